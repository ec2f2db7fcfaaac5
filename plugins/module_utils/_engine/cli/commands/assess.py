# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat assess``: what is known, what can be done, and which way is the best."""

from __future__ import annotations

import argparse
from typing import Any, Callable, Dict, Mapping, Optional

from ...assess import DISASTERS, Asked, assess, find_sound, lines, tested_lines, write
from ...assess.gather import MOST_SECONDS
from ...base.errors import PostgresError, StandbyRefused
from ...config.load import Config, load
from ...records.model import read_aware
from ..terminal import Answer, Terminal
from .described import add_command


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(
        subparsers,
        "assess",
        "assess",
        "assess --disaster server --html assessment.html",
        "assess --disaster deletion --database shop --table sales.orders --target-time 2026-11-22T14:01:59Z",
        "assess --disaster corruption --amcheck --within 3600",
        "assess --disaster corruption --bisect",
        "--as-of 2026-11-22T14:01:59Z assess --disaster ransomware",
    )
    parser.add_argument("--disaster", choices=DISASTERS, default="", help="what happened (default: what it looks like)")
    aim = parser.add_mutually_exclusive_group()
    aim.add_argument("--target-time", metavar="TIME", help="the moment to return to: 2026-11-22T14:01:59Z")
    aim.add_argument("--label", default="", help="the backup to return to")
    parser.add_argument("--disaster-at", metavar="TIME", help="since when nothing is committed any more")
    parser.add_argument("--database", default="", help="the database that is wrong")
    parser.add_argument("--table", action="append", default=[], metavar="TABLE", help="as in SQL; may be repeated")
    for name, words in (
        ("host", "the server's name in the inventory, for the commands"),
        ("new-host", "the empty host's name in the inventory"),
        ("standby", "the standby's name in the inventory"),
        ("old-host", "the lost server's address"),
        ("inventory", "the inventory, for the commands"),
    ):
        parser.add_argument(f"--{name}", default="", metavar=name.upper().replace("-", "_"), help=words)
    parser.add_argument("--fenced", action="store_true", help="the old server is off for good")
    parser.add_argument("--html", metavar="FILE", help="also write the page as one HTML file")
    parser.add_argument(
        "--amcheck",
        action="store_true",
        help="find damaged relations and blocks with pg_amcheck, which reads the whole cluster (see --within)",
    )
    parser.add_argument(
        "--bisect",
        action="store_true",
        help="before that, find the newest sound backup by restore tests in scratch clusters, however long that takes",
    )
    parser.add_argument(
        "--within", type=float, default=MOST_SECONDS, metavar="SECONDS", help="wait no longer (default: %(default)g)"
    )
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 0 wherever the assessment could be made, also where there is no way back."""
    # What is asked for is the present beside the past, so that the configuration itself stays in the present.
    config = load(args.config)
    asked = Asked(
        args.disaster,
        read_aware(args.target_time, "--target-time") if args.target_time else None,
        args.label,
        read_aware(args.as_of, "--as-of") if args.as_of else None,
        read_aware(args.disaster_at, "--disaster-at") if args.disaster_at else None,
        args.database,
        tuple(args.table),
        args.host,
        args.new_host,
        args.standby,
        args.old_host,
        args.fenced,
        args.inventory,
    )
    sound, tested = find_sound(config, terminal) if args.bisect else (None, [])
    found = assess(config, asked, _loss(config), args.within, args.amcheck)
    if args.html:
        write(found, args.html)
    data = {**found.as_dict(), "page": args.html, "sound": sound, "tested": [[name, held] for name, held in tested]}
    return Answer(data, "\n".join([*tested_lines(tested), *lines(found)]))


def _loss(config: Config) -> Callable[[], Optional[Mapping[str, Any]]]:
    """What a promotion of the server here would lose; None where it is no standby, or does not answer."""

    def read() -> Optional[Dict[str, Any]]:
        from ...failover import loss
        from ...failover.judge import read_limit

        try:
            found, verdict = loss.read(config, read_limit(None, config.objectives.rpo))
        except (StandbyRefused, PostgresError):
            return None
        return found.as_dict(verdict)

    return read
