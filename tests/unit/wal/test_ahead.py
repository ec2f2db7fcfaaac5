# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL agent's decisions, with every order of successes and failures."""

from __future__ import annotations

from typing import Dict, List, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.wal import ahead
from lifeboat.wal.ahead import ACKNOWLEDGED, FAILED, RUNNING, STORED, Job

SEGMENTS = [Segment(t, n).name for t in (1, 2) for n in range(1, 9)]
NAMES = [*SEGMENTS, f"{SEGMENTS[3]}.partial", f"{SEGMENTS[2]}.00000028.backup", "00000002.history", "0000000A.history"]
name_sets = st.lists(st.sampled_from(NAMES), unique=True)


@given(name_sets)
def test_the_order_is_postgresqls(names: List[str]) -> None:
    """As ready_file_comparator() in pgarch.c compares two of them."""
    ordered = ahead.archive_order(names)
    assert sorted(ordered) == sorted(names)
    for one, other in zip(ordered, ordered[1:]):
        histories = one.endswith(".history"), other.endswith(".history")
        assert one < other if histories[0] == histories[1] else histories == (True, False)


def test_histories_come_first_and_partial_files_by_their_name() -> None:
    waiting = [SEGMENTS[1], f"{SEGMENTS[0]}.partial", SEGMENTS[0], "00000002.history"]
    assert ahead.archive_order(waiting) == ("00000002.history", SEGMENTS[0], f"{SEGMENTS[0]}.partial", SEGMENTS[1])


class Play:
    """An agent whose pushes have given results, and a PostgreSQL that accepts acknowledgements."""

    def __init__(self, workers: int) -> None:
        self.workers, self.now = workers, 0.0
        self.ready: Tuple[str, ...] = ()
        self.jobs: Dict[str, Job] = {}
        self.taken: List[str] = []

    def arrive(self, names: List[str]) -> None:
        done = set(self.taken)
        self.ready = ahead.archive_order({*self.ready, *(n for n in names if n not in done)})

    def start(self) -> None:
        for name in ahead.to_start(self.ready, self.jobs, self.now, self.workers):
            assert self.jobs.get(name, Job()).state in (ahead.WAITING, FAILED)
            self.jobs[name] = Job(RUNNING, self.jobs.get(name, Job()).failures)
        assert sum(j.state == RUNNING for j in self.jobs.values()) <= self.workers

    def end(self, number: int, well: bool) -> None:
        running = [n for n, j in self.jobs.items() if j.state == RUNNING]
        if running:
            name = running[number % len(running)]
            failures = self.jobs[name].failures + 1
            bad = Job(FAILED, failures, retry_at=self.now + ahead.retry_pause(failures))
            self.jobs[name] = Job(STORED) if well else bad

    def acknowledge(self) -> None:
        for name in ahead.to_acknowledge(self.ready, self.jobs):
            assert self.jobs[name].state == STORED
            self.jobs[name] = Job(ACKNOWLEDGED)

    def take(self) -> None:
        """PostgreSQL asks for the first file only."""
        if self.ready and self.jobs.get(self.ready[0], Job()).state == ACKNOWLEDGED:
            self.taken.append(self.ready[0])
            self.ready = self.ready[1:]
        for name in ahead.to_forget(self.ready, self.jobs):
            del self.jobs[name]


steps = st.one_of(
    st.tuples(st.just("arrive"), name_sets),
    st.tuples(st.just("end"), st.tuples(st.integers(0, 9), st.booleans())),
    st.tuples(st.just("take"), st.none()),
    st.tuples(st.just("wait"), st.floats(0, 20)),
)


@given(st.integers(1, 5), st.lists(steps, max_size=60))
def test_whatever_happens_the_order_holds_and_everything_is_archived_at_last(
    workers: int, happenings: List[Tuple[str, object]]
) -> None:
    play = Play(workers)
    for what, how in happenings:
        if what == "arrive":
            play.arrive(how)  # type: ignore[arg-type]
        elif what == "end":
            play.end(*how)  # type: ignore[misc]
        elif what == "wait":
            play.now += how  # type: ignore[operator]
        else:
            play.take()
        before = {n for n, j in play.jobs.items() if j.state == ACKNOWLEDGED}
        play.acknowledge()
        for name in {n for n, j in play.jobs.items() if j.state == ACKNOWLEDGED} - before:
            earlier = play.ready[: play.ready.index(name)]
            assert all(play.jobs[n].state == ACKNOWLEDGED for n in earlier)
        play.start()
    # From now on all is well.
    for _ in range(4 * len(NAMES)):
        play.now += 20
        play.start()
        while any(j.state == RUNNING for j in play.jobs.values()):
            play.end(0, well=True)
        play.acknowledge()
        play.take()
    assert not play.ready


def test_a_first_file_that_fails_is_tried_alone() -> None:
    ready = tuple(SEGMENTS)
    failed = {ready[0]: Job(FAILED, 1, retry_at=5.0)}
    assert ahead.to_start(ready, failed, 4.9, 4) == ()
    assert ahead.to_start(ready, failed, 5.0, 4) == (ready[0],)
    assert ahead.to_start(ready, {ready[0]: Job(RUNNING, 1)}, 5.0, 4) == ()
    assert ahead.to_start(ready, {ready[1]: Job(FAILED, 1, retry_at=5.0)}, 0.0, 2) == (ready[0], ready[2])


def test_no_more_is_acknowledged_than_the_spool_may_hold() -> None:
    ready = tuple(Segment(1, n).name for n in range(1000))
    full = {name: Job(ACKNOWLEDGED) for name in ready[: ahead.MOST_ACKNOWLEDGED]}
    assert ahead.to_start(ready, full, 0.0, 4) == ()
    del full[ready[0]]
    assert len(ahead.to_start(ready[1:], full, 0.0, 4)) == 4


@given(st.integers(1, 64), st.integers(1, 2**30))
def test_the_files_on_their_way_fit_into_memory(parallel: int, size: int) -> None:
    workers = ahead.workers_for(parallel, size)
    assert 1 <= workers <= parallel
    assert workers == 1 or workers * size * 2 <= ahead.MOST_MEMORY


@given(st.integers(1, 10**6))
def test_a_pause_is_never_long(failures: int) -> None:
    assert 1 <= ahead.retry_pause(failures) <= ahead.retry_pause(failures + 1) <= 15
