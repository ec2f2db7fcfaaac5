# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The progress that another process reads while it waits."""

from __future__ import annotations

import json
from pathlib import Path

from lifeboat.base.progress import Written


def test_a_new_phase_starts_from_nothing_and_keeps_the_note(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    written = Written(str(path))
    written.note("moved aside: /srv/main")
    written.phase("extract")
    assert json.loads(path.read_text()) == {
        "phase": "extract",
        "done": 0,
        "total": None,
        "note": "moved aside: /srv/main",
    }
    written.advance(5, 10)
    assert json.loads(path.read_text())["done"] == 0, "at most one write a second within a phase"


def test_a_file_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    Written(str(tmp_path / "missing" / "progress")).phase("extract")
