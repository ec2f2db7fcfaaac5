# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index refers to rows that exist in docs/compliance.md, and pauses are computed correctly."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict, List

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.audit.event import FAILED, OK, Event
from lifeboat.evidence.index import PARTS, as_data, render, rows_of
from lifeboat.evidence.operations import access, backups_kept, deletions, longest_pause, schedule_kept
from support.records import a_backup, moment

PAGE = Path(__file__).resolve().parents[3] / "docs/compliance.md"
ABOUT: Dict[str, Any] = {"cluster": "main", "since": "a", "until": "b", "host": "h", "lifeboat": "1", "figures": {}}


def event(what: str, at: float, result: str = OK, user: str = "postgres") -> Event:
    return Event("h.u", 1, None, moment(at), what, result, "main", {"user": user, "host": "h"})


def test_every_row_of_the_index_is_one_of_the_page_and_every_row_has_a_part() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:\d|A\d|A\.|CC)[^|]*) \|", text, flags=re.MULTILINE)
    assert len(rows) > 15
    named = {row for part in PARTS for row in part.rows}
    for row in named:
        assert any(found.startswith(row) for found in rows), row
    # What no file of the pack can show is said there.
    left = [found for found in rows if not any(found.startswith(row) for row in named)]
    (section,) = re.findall(r"^## The evidence pack\n(.*?)^## ", text, flags=re.MULTILINE | re.DOTALL)
    assert all(found.split(" ")[0] in section for found in left), left
    assert all(f"`{part.files}`" in section for part in PARTS)


def test_a_file_has_the_rows_of_its_part() -> None:
    assert "A1.3" in rows_of("drills/20261122T020000Z-server/report.json")
    assert rows_of("repositories/near/backups.json") and rows_of("notes.txt") == ()
    data = as_data(ABOUT, [{"name": "access.json", "size": 1, "sha256": "a"}], {}, [])
    assert data["files"][0]["compliance"] == ["5(2)", "CC7.3, CC7.4"]


def test_the_index_says_what_is_missing_and_is_no_markup_of_others() -> None:
    about = {**ABOUT, "cluster": "<b>|x", "figures": {"Drills": 0}}
    text = render(about, [{"name": "access.json", "size": 1, "sha256": "a"}], {"repository far": "gone\n| away"})
    assert "What could not be read" in text and "<b>" not in text and "gone &#124; away" in text
    assert "`drills/*` (0): none" in text and "| `access.json` |" in text


@given(st.lists(st.integers(0, 1000), max_size=10))
def test_a_pause_is_never_shorter_than_any_between_two(seconds: List[int]) -> None:
    since, now = moment(0), moment(1000)
    pause = longest_pause([moment(s) for s in seconds], since, now)
    points = [0, *sorted(seconds), 1000]
    assert pause == max(after - before for before, after in zip(points, points[1:]))


def test_what_failed_does_not_count_as_done() -> None:
    events = [event("backup", 10), event("backup", 20, FAILED), event("backup", 40), event("prune", 50)]
    kept = schedule_kept(events, moment(0), moment(100))
    assert (kept["backup"]["succeeded"], kept["backup"]["failed"]) == (2, 1)
    assert kept["backup"]["longest_pause_seconds"] == 60
    none = schedule_kept([event("sync", 1, FAILED)], moment(0), moment(9))["sync"]
    assert none["longest_pause_seconds"] is None and none["last_success"] is None
    assert [e["what"] for e in deletions(events)] == ["prune"]
    assert access([*events, event("backup", 1, user="root")])[0] == {
        "user": "postgres", "host": "h", "what": "backup", "events": 3,
    }  # fmt: skip


def test_the_pause_of_backups_is_held_against_the_objective() -> None:
    backups = [a_backup(at, at) for at in (0, 100, 350)]

    def kept(limit: Any) -> Any:
        return backups_kept(backups, moment(50), moment(400), limit)["objective_kept"]

    assert (kept(None), kept(250), kept(249)) == (None, True, False)
    assert backups_kept([], moment(0), moment(9), 5)["objective_kept"] is False
    now: datetime = moment(400) + timedelta(seconds=600)
    assert backups_kept(backups, moment(50), now, None)["longest_pause_seconds"] == 650
