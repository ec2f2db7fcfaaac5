# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat verify``."""

from __future__ import annotations

import argparse
from typing import Any

from .. import verify
from ..config import load
from ..terminal import Answer, Terminal, duration, size


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("verify", help="read backups back and compare every checksum, in every repository")
    parser.add_argument("label", nargs="?", help="only this backup")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Exit status 1 when anything is wrong."""
    done = verify.verify(load(args.config), args.label, terminal)
    lines = [
        f"{len(done.labels)} backups, {size(done.bytes_read)} and {done.segments_read} WAL segments"
        f" read in {duration(done.seconds)}: {'intact' if done.intact else 'DAMAGED'}"
    ]
    if done.unopened:
        lines.append(f"{done.unopened} sealed WAL segments are there, but were not opened: this host has no identity")
    lines += [f"{name}: took no record of it, retention does not know" for name in done.unrecorded]
    for finding in done.findings:
        lines += [
            f"{finding.repository}: {finding.label or 'all'}: {finding.error.message}",
            f"  -> {finding.error.hint}",
        ]
    return Answer(done.as_dict(), "\n".join(lines), 0 if done.intact else 1)
