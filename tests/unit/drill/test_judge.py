# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict against a model of how PostgreSQL's recovery stops."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.drill.judge import ABSENT, EITHER, PRESENT, TimeTarget, WalTarget, judge
from lifeboat.drill.records import Commit

ZERO = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


def at(tick: int) -> datetime:
    return ZERO + timedelta(microseconds=tick)


@dataclass(frozen=True)
class Record:
    """A commit record in the WAL: its time (ticks), where it starts and ends, and the client's view of it."""

    time: int
    start: int
    end: int
    commit: Commit


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Commit records in WAL order. Their times need not increase: commits take them before their position."""
    records = []
    lsn, written = 1000, 0
    for number in range(1, draw(st.integers(1, 25)) + 1):
        lsn += draw(st.integers(0, 50))
        # The clock when the record is inserted into the WAL; it took its own time shortly before that.
        written += draw(st.integers(0, 6))
        time = max(0, written - draw(st.integers(0, 4)))
        started = max(0, time - draw(st.integers(0, 8)))
        acked = written + draw(st.integers(0, 8))
        start, end = lsn, lsn + draw(st.integers(1, 40))
        lsn = end
        before, after = start - draw(st.integers(0, 30)), end + draw(st.integers(0, 60))
        records.append(Record(time, start, end, Commit(number, at(started), at(acked), before, after)))
    return records


def stopped_at(history: list[Record], tick: int, inclusive: bool) -> set[int]:
    """recoveryStopsBefore(): recovery ends before the first commit record that is too late, in WAL order."""
    present = set()
    for record in history:
        if record.time > tick or (not inclusive and record.time == tick):
            break
        present.add(record.commit.id)
    return present


def commits(history: list[Record]) -> list[Commit]:
    return [record.commit for record in history]


@given(histories(), st.integers(0, 160), st.booleans())
def test_what_postgresql_restores_to_a_time_is_good(history: list[Record], tick: int, inclusive: bool) -> None:
    present = stopped_at(history, tick, inclusive)
    verdict = judge(commits(history), present, TimeTarget(at(tick), inclusive), at(1000))
    assert verdict.good
    assert verdict.required + verdict.forbidden + verdict.ambiguous == len(history)
    assert verdict.survived == len(present)
    assert {c.id for c in verdict.lost} == {r.commit.id for r in history} - present


@given(histories(), st.integers(0, 3000))
def test_what_postgresql_restores_to_the_end_of_wal_is_good(history: list[Record], reached: int) -> None:
    present = {r.commit.id for r in history if r.end <= reached}
    assert judge(commits(history), present, WalTarget(reached), at(1000)).good


@given(histories(), st.integers(0, 160), st.booleans(), st.data())
def test_a_commit_too_few_or_too_many_is_named(
    history: list[Record], tick: int, inclusive: bool, data: st.DataObject
) -> None:
    target = TimeTarget(at(tick), inclusive)
    present = stopped_at(history, tick, inclusive)
    flipped = data.draw(st.sampled_from(commits(history)))
    changed = present ^ {flipped.id}
    verdict = judge(commits(history), changed, target, at(1000))
    expectation = target.expects(flipped)
    assert verdict.missing == ((flipped.id,) if expectation == PRESENT else ())
    assert verdict.surplus == ((flipped.id,) if expectation == ABSENT else ())


@given(histories(), st.integers(0, 160), st.booleans())
def test_little_is_left_undecided(history: list[Record], tick: int, inclusive: bool) -> None:
    """Either is correct only for a commit in progress at the target."""
    target = TimeTarget(at(tick), inclusive)
    for commit in commits(history):
        assert commit.acked_at is not None
        under_way = commit.started_at <= at(tick) <= commit.acked_at
        assert (target.expects(commit) == EITHER) <= under_way


def commit(number: int, started: int, acked: int | None, before: int = 0, after: int | None = 0) -> Commit:
    return Commit(number, at(started), None if acked is None else at(acked), before, after)


@pytest.mark.parametrize(
    ("inclusive", "started", "acked", "expected"),
    [
        (True, 1, 5, PRESENT),
        (False, 1, 5, EITHER),
        (True, 1, 4, PRESENT),
        (False, 1, 4, PRESENT),
        (True, 5, 9, EITHER),
        (False, 5, 9, ABSENT),
        (True, 6, 9, ABSENT),
        (True, 4, 6, EITHER),
        (True, 1, None, EITHER),
        (True, 6, None, ABSENT),
    ],
)
def test_the_edge_of_a_time_target(inclusive: bool, started: int, acked: int | None, expected: str) -> None:
    assert TimeTarget(at(5), inclusive).expects(commit(1, started, acked)) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(40, 100, PRESENT), (40, 101, EITHER), (99, 150, EITHER), (100, 150, ABSENT), (40, None, EITHER)],
)
def test_the_edge_of_an_lsn(before: int, after: int | None, expected: str) -> None:
    assert WalTarget(100).expects(commit(1, 0, 1, before, after)) == expected


def test_a_recovery_that_ends_before_the_archive_does_owes_the_rest() -> None:
    told = [commit(1, 0, 1, 0, 50), commit(2, 2, 3, 60, 90), commit(3, 4, 5, 120, 150)]
    early = judge(told, {1}, WalTarget(reached=55, archived=100), at(10))
    assert early.missing == (2,)
    assert early.rpo_transactions == 2
    assert judge(told, {1, 2}, WalTarget(reached=95, archived=100), at(10)).good


def test_an_unknown_row_is_surplus_and_the_unanswered_commit_is_not() -> None:
    told = [commit(1, 0, 1, 0, 50), commit(2, 2, None, 60, None)]
    assert judge(told, {1, 2}, WalTarget(100), at(10)).good
    assert judge(told, {1}, WalTarget(100), at(10)).good
    assert judge(told, {1, 7}, WalTarget(100), at(10)).surplus == (7,)


def test_the_loss_is_counted_from_the_last_survivor_to_the_disaster() -> None:
    told = [commit(1, 0, 1_000_000, 0, 50), commit(2, 2_000_000, 3_000_000, 60, 90), commit(3, 3, None, 95, None)]
    lost = judge(told, {1}, WalTarget(55), at(6_000_000))
    assert (lost.rpo_transactions, lost.rpo_seconds) == (1, 5.0)
    assert lost.last_survivor == told[0]
    nothing = judge(told, {1, 2}, WalTarget(92), at(6_000_000))
    assert (nothing.rpo_transactions, nothing.rpo_seconds) == (0, 0.0)
    everything = judge(told, set(), WalTarget(10), at(6_000_000))
    assert (everything.rpo_transactions, everything.rpo_seconds, everything.last_survivor) == (2, 6.0, None)
