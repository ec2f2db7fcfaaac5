# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check``."""

from __future__ import annotations

import argparse
from typing import Any

from .. import check
from ..config import load
from ..terminal import Answer, Terminal

_STATUS = {check.OK: 0, check.WARNING: 2, check.CRITICAL: 1}


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("check", help="can we archive, is the window what was promised, is there a gap")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """A line for each check; exit status 0 when all is well, 2 for a warning, 1 for anything critical."""
    checks = check.check(load(args.config, args.as_of))
    data = check.as_dict(checks)
    lines = []
    for item in checks:
        lines.append(f"{item.status:<8}  {item.name}: {item.message}")
        if item.hint:
            lines.append(f"{'':<8}  -> {item.hint}")
    return Answer(data, "\n".join(lines), _STATUS[data["status"]])
