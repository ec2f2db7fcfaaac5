# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a restore stops: which backup, which timeline, and whether the existing WAL contains the target."""

from __future__ import annotations

from typing import List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import BackupMissing, TargetUnreachable, WalGap
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment, format_lsn
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.records.model import BackupManifest, Target, format_time
from lifeboat.restore.target import (
    choose_backup,
    choose_timeline,
    require_consistent,
    require_reachable,
    segments_needed,
    target_position,
)
from lifeboat.wal.inventory import Run
from support.records import a_backup, moment

seconds = st.integers(0, 2000)


def at(second: float, inclusive: bool = True) -> Target:
    return Target("time", format_time(moment(second)), inclusive)


def at_lsn(lsn: int) -> Target:
    return Target("lsn", format_lsn(lsn))


@st.composite
def backups(draw: st.DrawFn) -> List[BackupManifest]:
    """One after the other, on timelines that sometimes increase."""
    found, second, lsn, timeline = [], 0, SIZE, 1
    for _ in range(draw(st.integers(0, 5))):
        started = second + draw(st.integers(1, 300))
        second = started + draw(st.integers(1, 100))
        start = lsn + draw(st.integers(0, 3 * SIZE))
        lsn = start + draw(st.integers(1, SIZE))
        timeline += draw(st.integers(0, 1))
        found.append(a_backup(started, second, start, lsn, timeline=timeline))
    return draw(st.permutations(found))


@st.composite
def maybe_paths(draw: st.DrawFn) -> Optional[TimelinePath]:
    points = sorted(draw(st.lists(st.integers(1, 15 * SIZE), max_size=3)))
    steps = tuple(Step(n, p) for n, p in enumerate(points, 1))
    return draw(st.sampled_from([None, TimelinePath((*steps, Step(len(steps) + 1, None)))]))


@given(backups(), maybe_paths(), st.one_of(seconds.map(at), st.integers(1, 20 * SIZE).map(at_lsn), st.just(Target())))
def test_the_chosen_backup_is_the_newest_that_can_lead_there(
    known: List[BackupManifest], path: Optional[TimelinePath], target: Target
) -> None:
    position = target_position(target, None)

    def usable(backup: BackupManifest) -> bool:
        early = target.kind == "time" and backup.finished_at >= target.moment()
        beyond = position is not None and backup.stop_lsn > position
        return not early and not beyond and (path is None or path.contains(backup.timeline, backup.stop_lsn))

    good = [b for b in known if usable(b)]
    if good:
        assert choose_backup(known, target, position, None, path) == max(good, key=lambda b: b.finished_at)
        return
    with pytest.raises(TargetUnreachable if known else BackupMissing):
        choose_backup(known, target, position, None, path)


def test_a_target_before_the_first_backup_is_told_the_earliest_one() -> None:
    first, second = a_backup(100, 110), a_backup(200, 210)
    with pytest.raises(TargetUnreachable, match="is before backup") as caught:
        choose_backup([second, first], at(50), None, None, None)
    assert first.label in caught.value.message
    assert caught.value.details["earliest"] == format_time(moment(110))
    assert "after that" in caught.value.hint


def test_a_target_inside_a_backup_is_reported_as_such() -> None:
    backup = a_backup(100, 110, 2 * SIZE, 3 * SIZE)
    for target, position in ((at(105), None), (at_lsn(2 * SIZE + 5), 2 * SIZE + 5), (at(110), None)):
        with pytest.raises(TargetUnreachable, match="between the start and the end of backup " + backup.label):
            choose_backup([backup], target, position, None, None)


def test_a_restore_point_that_lies_too_early_is_reported_with_its_place() -> None:
    with pytest.raises(TargetUnreachable, match=r"name x \(at 0/1000000\) is before"):
        choose_backup([a_backup()], Target("name", "x"), SIZE, None, None)


def test_an_asked_label_is_taken_or_refused_never_replaced() -> None:
    backup = a_backup(100, 110, timeline=1, stop=5 * SIZE)
    assert choose_backup([backup], at(120), None, backup.label, None) == backup
    with pytest.raises(TargetUnreachable, match="the requested one"):
        choose_backup([backup], at(50), None, backup.label, None)
    left_before = TimelinePath((Step(1, 4 * SIZE), Step(2, None)))
    with pytest.raises(
        TargetUnreachable, match="it left timeline 1 at 0/4000000, before that backup's end at 0/5000000"
    ):
        choose_backup([backup], Target(), None, backup.label, left_before)
    with pytest.raises(TargetUnreachable, match="does not pass timeline 1"):
        choose_backup([backup], Target(), None, backup.label, TimelinePath((Step(3, None),)))


def a_run(length: int, gap: tuple[Segment, ...] = (), first: int = 2) -> Run:
    found = tuple(Segment(1, first + n) for n in range(length))
    return Run(found, 100 * length, moment(length) if length else None, Segment(1, first), gap)


GAP = (Segment(1, 9),)


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000), st.booleans(), st.booleans())
def test_a_time_is_reachable_when_a_commit_follows_it(
    second: int, latest: int, now: int, inclusive: bool, gap: bool
) -> None:
    latest, now = sorted((latest, now))
    run = a_run(3, GAP if gap else ())
    reachable = second < latest or (second == latest and not inclusive)

    def ask() -> None:
        require_reachable(at(second, inclusive), None, run, moment(latest), moment(now))

    if reachable:
        return ask()
    if second > now:
        with pytest.raises(TargetUnreachable, match="is in the future"):
            ask()
        return
    with pytest.raises(WalGap if gap else TargetUnreachable) as caught:
        ask()
    assert caught.value.details["latest"] == format_time(moment(latest))
    assert (GAP[0].name in caught.value.message) == gap


@given(st.integers(0, 8 * SIZE), st.integers(0, 5), st.booleans(), st.none() | st.integers(0, 8 * SIZE))
def test_an_lsn_is_reachable_up_to_the_last_record(lsn: int, length: int, gap: bool, last: Optional[int]) -> None:
    run = a_run(length, GAP if gap else ())
    if lsn <= run.end and (last is None or lsn <= last):
        require_reachable(at_lsn(lsn), lsn, run, None, moment(0), last)
        return
    with pytest.raises(WalGap if gap else TargetUnreachable) as caught:
        require_reachable(at_lsn(lsn), lsn, run, None, moment(0), last)
    assert caught.value.details["latest_lsn"] == format_lsn(run.end if last is None else last)


def test_the_latest_moment_is_refused_only_at_a_gap() -> None:
    require_reachable(Target(), None, a_run(3), None, moment(0))
    with pytest.raises(WalGap, match=GAP[0].name) as caught:
        require_reachable(Target(), None, a_run(3, GAP), moment(5), moment(9))
    assert caught.value.details["missing"] == [GAP[0].name]
    assert format_time(moment(5)) in caught.value.message
    require_reachable(Target("immediate"), None, a_run(3, GAP), None, moment(0))


def test_a_time_with_no_commit_after_the_backup_is_unreachable() -> None:
    with pytest.raises(TargetUnreachable, match="with no commit after it"):
        require_reachable(at(5), None, a_run(1), None, moment(9))


@given(st.integers(0, 6), st.integers(2 * SIZE, 8 * SIZE))
def test_a_backup_is_consistent_when_the_run_covers_it(length: int, stop: int) -> None:
    backup, run = a_backup(start=2 * SIZE, stop=stop), a_run(length)
    if (2 + length) * SIZE >= stop:
        require_consistent(backup, run)
        return
    with pytest.raises(WalGap, match=backup.label) as caught:
        require_consistent(backup, run)
    assert caught.value.details["missing"] == [Segment(1, 2 + length).name]


def test_the_first_missing_segment_is_named_where_later_ones_exist() -> None:
    with pytest.raises(WalGap, match=GAP[0].name):
        require_consistent(a_backup(start=2 * SIZE, stop=20 * SIZE), a_run(7, GAP))


HISTORIES = {2: "1\t0/5000000\tx\n", 3: "1\t0/5000000\tx\n2\t0/6000000\tx\n"}


def test_the_latest_timeline_is_the_highest_known() -> None:
    path = choose_timeline(Target(), [1, 2], HISTORIES, {1, 2, 3})
    assert path is not None
    assert [s.timeline for s in path.steps] == [1, 2, 3]
    alone = choose_timeline(Target(), [1], {}, ())
    assert alone is not None
    assert alone.timeline == 1


def test_a_history_without_wal_is_not_the_latest_timeline() -> None:
    planted = {**HISTORIES, 255: "1\t0/3000000\tx\n"}
    path = choose_timeline(Target(), [1], planted, {1, 3})
    assert path is not None and path.timeline == 3
    path = choose_timeline(Target(), [1], planted, ())
    assert path is not None and path.timeline == 1


def test_the_current_timeline_is_left_to_the_backup() -> None:
    assert choose_timeline(Target(timeline="current"), [1], HISTORIES, ()) is None


def test_a_numbered_timeline_must_be_known() -> None:
    path = choose_timeline(Target(timeline="2"), [1], HISTORIES, ())
    assert path is not None
    assert path.timeline == 2
    with pytest.raises(TargetUnreachable, match="no timeline 7; it has 1, 2, 3"):
        choose_timeline(Target(timeline="7"), [1], HISTORIES, ())


@given(st.integers(0, SIZE), st.integers(1, 5 * SIZE), st.integers(0, 8 * SIZE))
def test_segments_needed_reach_from_the_start_to_the_target(offset: int, length: int, more: int) -> None:
    start = 2 * SIZE + offset
    backup = a_backup(start=start, stop=start + length)
    run = a_run(20, first=start // SIZE)
    first = run.segments[0].start
    for target, position, end in (
        (Target("immediate"), None, backup.stop_lsn),
        (at_lsn(backup.stop_lsn + more), backup.stop_lsn + more, backup.stop_lsn + more),
    ):
        count = segments_needed(backup, target, position, run)
        assert first + (count - 1) * SIZE < end <= first + count * SIZE
    assert segments_needed(backup, Target(), None, run) == 20
