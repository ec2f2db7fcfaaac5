# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store with a bandwidth limit moves the same bytes, and waits for them; the clock here only counts."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.config.load import parse_repository
from lifeboat.repository.repository import Repository
from lifeboat.store import limited
from lifeboat.store.limited import after

KB = 1024


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(limited, "clock", made)
    return made


def repository(path: Path, **rates: int) -> Repository:
    return Repository.open(parse_repository({"type": "directory", "path": str(path), **rates}), "main")


def test_all_that_is_stored_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    store = repository(tmp_path, max_upload_kb=10).store
    store.put("small", bytes(5 * KB))
    with store.writer("large") as writer:
        for _ in range(3):
            assert writer.write(bytes(20 * KB)) == 20 * KB
    assert clock.time == pytest.approx(1000 + 6.5)
    assert store.get("small") + b"".join(store.read("large")) == bytes(65 * KB)
    assert clock.time == pytest.approx(1000 + 6.5)


def test_all_that_is_read_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    store = repository(tmp_path, max_download_kb=10).store
    store.put("small", bytes(5 * KB))
    with pytest.raises(ZeroDivisionError), store.writer("given up") as writer:
        writer.write(b"x")
        raise ZeroDivisionError
    with store.writer("large") as writer:
        writer.write(bytes(60 * KB))
    assert clock.time == 1000
    assert store.get("small") + b"".join(store.read("large")) == bytes(65 * KB)
    assert clock.time == pytest.approx(1000 + 6.5)
    assert [o.key for o in store.list()] == ["large", "small"] and store.head("given up") is None


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10**6)), min_size=1, max_size=20),
    st.floats(1, 10**6),
)
def test_never_more_than_the_rate(pieces: List[Tuple[float, int]], rate: float) -> None:
    now = paid_until = 0.0
    moved = 0
    for pause, size in pieces:
        now += pause
        paid_until = after(paid_until, now, size, rate)
        now = max(now, paid_until)
        moved += size
        assert moved <= rate * now * (1 + 1e-9) + 1e-6
