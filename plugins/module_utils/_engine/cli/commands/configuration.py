# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat config``."""

from __future__ import annotations

import argparse
from typing import Any, List

from ...config.described import shown
from ...config.load import load
from ..terminal import Answer, Terminal
from .described import add_command


def add_arguments(subparsers: Any) -> None:
    """Add the command and its arguments to ``subparsers``."""
    parser = add_command(subparsers, "config", "config", "config --json")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print every option with its value; of secrets, only whether they are set."""
    data = shown(load(args.config, args.as_of))
    return Answer(data, "\n".join(_lines(data, "")))


def _lines(value: Any, path: str) -> List[str]:
    """Lines such as ``repositories[0].store.bucket: backups``, without options that are not set."""
    if isinstance(value, dict):
        return [line for k, v in value.items() for line in _lines(v, f"{path}.{k}" if path else k)]
    if isinstance(value, list):
        return [line for i, v in enumerate(value) for line in _lines(v, f"{path}[{i}]")]
    return [] if value is None else [f"{path}: {value}"]
