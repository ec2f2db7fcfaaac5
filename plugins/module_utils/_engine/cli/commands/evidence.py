# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat evidence``."""

from __future__ import annotations

import argparse
import re
from typing import Any

from ...config.load import load
from ...evidence import write_pack
from ...records.fields import printable
from ...records.model import Target
from ..terminal import Answer, Terminal, bullets
from .described import add_command

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(
        subparsers,
        "evidence",
        "evidence --since 2026-01-01 --output evidence.tar.gz",
        'evidence --since "2026-11-22 14:00:00+00" --output evidence.tar.gz --json',
    )
    parser.add_argument("--since", required=True, metavar="TIME", help="a day (UTC), or a time with its zone")
    parser.add_argument("--output", required=True, metavar="FILE", help="the archive to write (.tar.gz)")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Write the archive; exit status 1 if something could not be read. The index lists what is missing."""
    since = Target("time", f"{args.since} 00:00:00+00" if _DAY.match(args.since) else args.since).moment()
    done = write_pack(load(args.config, args.as_of), since, args.output)
    lines = [f"{len(done.files)} files in {done.path}"]
    lines += bullets([f"{name}: {value}" for name, value in done.figures.items()])
    if done.set_apart:
        lines.append(f"SET APART {done.set_apart} records, listed in index.json")
    lines += [f"NOT READ {printable(name)}: {why}" for name, why in done.unread.items()]
    return Answer(done.as_dict(), "\n".join(lines), 1 if done.unread else 0)
