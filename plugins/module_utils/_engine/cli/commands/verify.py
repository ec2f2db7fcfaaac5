# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat verify``."""

from __future__ import annotations

import argparse
from typing import Any, Sequence

from ...base.errors import ConfigError
from ...config.load import load
from ...restore_test.run import TestRequest
from ...verify.repair import Repaired, verify_and_repair
from ...verify.report import Verification
from ...verify.run import verify
from ...verify.survey import SET_APART, words_of
from ..terminal import Answer, Terminal, duration, size
from .described import add_command, add_plan
from .restore_test import run_test

_TOLD = 100


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "verify", "verify", "verify --restore --report-dir reports")
    parser.add_argument("label", nargs="?", help="only this backup, with everything that its chain needs")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--max-age",
        type=float,
        metavar="DAYS",
        help="skip objects that were verified within this many days (default: verify.max_age_days, 30)",
    )
    how.add_argument("--all", action="store_true", help="read everything, even if it was verified recently")
    parser.add_argument(
        "--repair",
        action="store_true",
        help="repair damaged or missing objects from a good copy in another repository, and verify again",
    )
    parser.add_argument(
        "--restore",
        action="store_true",
        help="instead, restore the newest backup (or this one) into a scratch cluster, check that, and drop it",
    )
    parser.add_argument("--repository", metavar="NAME", help="with --restore: only from this repository")
    parser.add_argument("--report-dir", metavar="DIR", help="with --restore: directory for report.json and report.html")
    add_plan(parser, "with --restore: only show what would be done")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 if there are findings."""
    config = load(args.config, args.as_of)
    if args.restore:
        return run_test(config, TestRequest(args.label, args.repository), args.plan, args.report_dir, terminal)
    if args.plan or args.repository or args.report_dir:
        raise ConfigError("--plan, --repository and --report-dir need --restore.", "Add --restore, or leave them out.")
    max_age = None if args.all or args.as_of else config.verify.max_age_days if args.max_age is None else args.max_age
    if not args.repair:
        return answer(verify(config, args.label, terminal, max_age))
    return answer(*verify_and_repair(config, args.label, terminal, max_age))


def answer(done: Verification, repaired: Sequence[Repaired] = ()) -> Answer:
    """The result: what was repaired and read, and every remaining finding with its hint."""
    lines = []
    for item in repaired:
        if item.error:
            lines += [f"{item.repository}: not repaired: {item.key}: {item.error.message}", f"  -> {item.error.hint}"]
            continue
        what = "it was damaged, and" if item.removed else "it was missing, and"
        kept = f"; the damaged bytes are kept as {item.aside}" if item.aside else ""
        lines.append(f"{item.repository}: {item.key}: {what} was restored from {item.source}{kept}")
    verdict = "intact" if done.intact else "DAMAGED"
    lines += [
        f"{len(done.labels)} backups, {len(done.copies)} dumps and copies of files, {done.segments_read} WAL segments,"
        f" {size(done.bytes_read + done.wal_bytes)} read in {duration(done.seconds)}: {verdict}"
    ]
    skipped = done.as_dict()["skipped"]
    if skipped or done.segments_skipped or done.copies_skipped:
        lines.append(
            f"{len(skipped)} backups, {len(done.copies_skipped)} dumps and copies of files and {done.segments_skipped}"
            " WAL segments were verified recently, and skipped"
        )
    if done.unopened:
        lines.append(
            f"{done.unopened} sealed WAL segments exist, but were not opened, because this host has no identity"
        )
    lines += [
        f"{key} has no digest, because an earlier release stored it" for key in sorted(set(done.unchecked))[:_TOLD]
    ]
    for name, foreign in sorted(done.foreign.items()):
        if foreign.count:
            lines += [f"{name}: {words_of(foreign)}", f"  -> {SET_APART}"]
    lines += [f"{name}: the result could not be recorded, so retention ignores it" for name in done.unrecorded]
    for finding in done.findings[:_TOLD]:
        lines += [
            f"{finding.repository}: {finding.label or 'WAL'}: {finding.error.message}",
            f"  -> {finding.error.hint}",
        ]
    if len(done.findings) > _TOLD:
        lines.append(f"and {len(done.findings) - _TOLD} more findings (--json lists 1000)")
    lines += [f"{name}: AHEAD {words}" for name, words in done.ahead[:_TOLD]]
    for name, aside in done.set_apart[:_TOLD]:
        lines.append(f"{name}: SET APART {aside.error.message}")
    if len(done.set_apart) > _TOLD:
        lines.append(f"and {len(done.set_apart) - _TOLD} more objects are set apart (--json lists 1000)")
    data = {**done.as_dict(), "repaired": [item.as_dict() for item in repaired]}
    return Answer(data, "\n".join(lines), 0 if done.intact else 1)
