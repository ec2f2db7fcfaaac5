# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss with the stream and without it."""

from __future__ import annotations

from typing import Any, Dict, Sequence

from lifeboat.drill.comparison import compare
from lifeboat.drill.saved import saved

DISASTER: Dict[str, Any] = {
    "killed": ["postgres -D x", "python -m lifeboat --config c wal-stream"],
    "stored": {"whole_lsn": "0/8000000", "pieced_lsn": "0/8001000", "pieces": 3},
}


def restore(number: int, lost: Sequence[int], seconds: float) -> Dict[str, Any]:
    verdict = {
        "rpo_seconds": seconds,
        "rpo_transactions": len(lost),
        "last_survivor": {"id": 1, "acked_at": "2026-11-22T12:00:00Z", "lsn": "0/1"},
        "lost": [{"id": i} for i in lost],
    }
    return {"number": number, "verdict": verdict}


def failed(compared: Dict[str, Any]) -> set[str]:
    return {check["id"] for check in compared["checks"] if not check["ok"]}


def test_both_losses_and_what_the_pieces_saved() -> None:
    found = compare(restore(2, [9], 1.5), restore(3, [7, 8, 9], 8.0), DISASTER)
    assert (found["with"]["seconds"], found["with"]["transactions"], found["with"]["wal_end"]) == (1.5, 1, "0/8001000")
    assert (found["without"]["seconds"], found["without"]["transactions"]) == (8.0, 3)
    assert found["saved_transactions"] == 2
    assert failed(found) == set()
    page = str(saved({"stream": found}))
    assert "restore 2" in page
    assert "8.0 s" in page
    assert saved({"stream": None}) is None
    assert saved(None) is None


def test_a_commit_that_only_comes_back_without_the_pieces_is_a_fault() -> None:
    assert failed(compare(restore(2, [6], 1.0), restore(3, [7], 1.0), DISASTER)) == {"stream_saved"}


def test_a_stream_that_had_ended_or_stored_nothing_is_a_fault() -> None:
    two = restore(2, [], 0.0), restore(3, [], 0.0)
    assert failed(compare(*two, {**DISASTER, "killed": ["postgres"]})) == {"stream"}
    assert failed(compare(*two, {**DISASTER, "stored": None})) == {"stream"}
