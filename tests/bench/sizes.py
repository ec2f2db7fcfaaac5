# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement for several cluster sizes; the results are printed and stored below ``.build/bench``."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(CHECKOUT / "tests"), str(CHECKOUT / ".build" / "lib")]


def for_each_size(about: Optional[str], name: str, measure: Callable[[Path, float], List[Dict[str, Any]]]) -> None:
    """``measure`` gets an empty directory and a size in GB, and returns figures; nested ones are not printed."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.5], metavar="GB")
    sizes = parser.parse_args().sizes
    out = CHECKOUT / ".build" / "bench"
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=out))
    rows: List[Dict[str, Any]] = []
    try:
        for size in sizes:
            place = work / f"{size:g}"
            place.mkdir()
            rows += measure(place, size)
            shutil.rmtree(place)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    (out / f"{name}.json").write_text(json.dumps(rows, indent=2) + "\n")
    columns = [column for column, value in rows[0].items() if not isinstance(value, dict)]
    print("  ".join(columns))
    for row in rows:
        print("  ".join(str(row[column]).rjust(len(column)) for column in columns))
