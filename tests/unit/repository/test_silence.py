# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base import clock
from lifeboat.repository.silence import LIFETIME, STATE, marked, read_silent, still_silent, write_silent

names = st.sampled_from(["east", "west", "far"])
times = st.floats(0, 1e6)


@given(st.dictionaries(names, times), times)
def test_a_mark_holds_for_its_lifetime_and_never_from_the_future(marks: Dict[str, float], now: float) -> None:
    assert set(still_silent(marks, now)) == {n for n, since in marks.items() if since <= now and now - since < LIFETIME}


@given(st.dictionaries(names, times), st.lists(names), times)
def test_a_mark_is_not_renewed_by_not_asking(before: Dict[str, float], silent: List[str], now: float) -> None:
    after = marked(before, silent, now)
    assert set(after) == set(silent)
    for name, since in after.items():
        assert since == (before[name] if name in still_silent(before, now) else now)


def test_marks_are_kept_and_removed(tmp_path: Path) -> None:
    where = str(tmp_path)
    assert read_silent(where) == {}
    write_silent(where, {}, [])
    assert not (tmp_path / STATE).exists()
    write_silent(where, {}, ["east s3://a"])
    found = read_silent(where)
    assert list(found) == ["east s3://a"]
    write_silent(where, found, [])
    assert read_silent(where) == {}


@pytest.mark.parametrize("content", ["", "[]", "1", '{"east": "x"}', '{"east": null}', '{"east": NaN}', "[" * 60000])
def test_a_broken_file_marks_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / STATE).write_text(content)
    assert read_silent(str(tmp_path)) == {}


def test_marks_of_another_user_or_behind_a_link_do_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").write_text(json.dumps({"east": clock.monotonic()}))
    (tmp_path / STATE).symlink_to(tmp_path / "other")
    assert read_silent(str(tmp_path)) == {}
    (tmp_path / "other").replace(tmp_path / STATE)
    assert list(read_silent(str(tmp_path))) == ["east"]
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert read_silent(str(tmp_path)) == {}
