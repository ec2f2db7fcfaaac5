# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated files, which the lint compares with newly generated ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Mapping

ROOT = Path(__file__).resolve().parent.parent


def settle(wanted: Mapping[Path, str]) -> int:
    """Write the files; with ``--check`` only report which differ, with exit status 1."""
    check, status = "--check" in sys.argv[1:], 0
    for path, text in wanted.items():
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            print(f"{path.relative_to(ROOT)} is out of date: run .venv/bin/python {sys.argv[0]}")
            status = 1
    return status
