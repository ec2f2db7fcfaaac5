# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat config``."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, List

from ..config import load
from ..terminal import Answer, Terminal


def add_arguments(subparsers: Any) -> None:
    """Register the command."""
    parser = subparsers.add_parser("config", help="check the configuration and show it, without secrets")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Every option with its value; a secret is only told to be set."""
    data = _shown(load(args.config, args.as_of))
    return Answer(data, "\n".join(_lines(data, "")))


def _shown(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            f.name: _shown(getattr(value, f.name)) if f.repr or getattr(value, f.name) in (None, ()) else "(set)"
            for f in dataclasses.fields(value)
        }
    return [_shown(item) for item in value] if isinstance(value, tuple) else value


def _lines(value: Any, path: str) -> List[str]:
    """``repositories[0].store.bucket: backups``; what is not set is left out."""
    if isinstance(value, dict):
        return [line for k, v in value.items() for line in _lines(v, f"{path}.{k}" if path else k)]
    if isinstance(value, list):
        return [line for i, v in enumerate(value) for line in _lines(v, f"{path}[{i}]")]
    return [] if value is None else [f"{path}: {value}"]
