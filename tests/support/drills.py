# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of drills, as written by ``lifeboat drill-report``, with figures chosen by a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Optional

STARTED, FINISHED = "2026-11-22T02:00:00Z", "2026-11-22T02:03:20Z"


def a_report(
    passed: bool = True, rto: Optional[float] = 40.0, rpo: float = 1.5, lost: int = 7, **more: Any
) -> Dict[str, Any]:
    """The fields of ``report.json`` that matter here."""
    return {
        "format": 1,
        "result": "passed" if passed else "failed",
        "cluster": "drill-standby01-x",
        "host": "standby01",
        "started_at": STARTED,
        "finished_at": FINISHED,
        "seconds": 200.0,
        "rto": None if rto is None else {"seconds": rto, "objective": 300.0},
        "rpo": None if rto is None else {"seconds": rpo, "transactions": lost, "objective": 60.0},
        "checks": {"all": 30, "passed": 30 if passed else 28},
        "failure": None,
        "repeat": ["make drill"],
        **more,
    }


def write_report(directory: Path, **more: Any) -> Path:
    """A directory with the files of a drill."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.json").write_text(json.dumps(a_report(**more)))
    (directory / "report.html").write_text("<!DOCTYPE html><title>a drill</title>\n")
    (directory / "evidence.tar.gz").write_bytes(b"\x1f\x8b evidence")
    return directory
