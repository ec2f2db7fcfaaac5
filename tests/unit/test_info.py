# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Windows of point-in-time recovery, from backups and the WAL after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Set

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment
from lifeboat.listing.contents import (
    Reach,
    Window,
    arriving,
    first_reaches,
    last_segments,
    new_timelines,
    reaches_on,
    stands_alone,
    window_of,
)
from lifeboat.postgres.timeline import Step, TimelinePath, path_to
from lifeboat.records.model import BackupManifest
from lifeboat.wal.inventory import Run, find_run, find_runs
from support.records import a_backup, moment, stored

PATH = TimelinePath((Step(1, None),))


def runs_of(backups: List[BackupManifest], numbers: List[int]) -> Dict[str, Run]:
    have = stored(Segment(1, n) for n in numbers)
    return {b.label: find_run(PATH, b.start_lsn, SIZE, have) for b in backups}


def find_windows(backups: List[BackupManifest], runs: Dict[str, Run]) -> List[Window]:
    return [window_of(r) for r in first_reaches(Reach(b, PATH, runs[b.label]) for b in backups)]


def a_backup_in(number: int) -> BackupManifest:
    """A backup whose WAL is in one segment; it is consistent in that segment's second."""
    return a_backup(number - 0.9, number - 0.5, number * SIZE + 40, number * SIZE + 400)


@given(st.sets(st.integers(1, 20), max_size=4), st.sets(st.integers(1, 24)))
def test_windows_are_the_spans_that_backups_and_wal_cover(starts: set[int], numbers: set[int]) -> None:
    backups = [a_backup(n * 10, n * 10 + 1, n * SIZE + 40, n * SIZE + 400) for n in sorted(starts)]
    runs = runs_of(backups, sorted(numbers))
    windows = find_windows(backups, runs)

    spans: Dict[int, List[BackupManifest]] = {}
    for backup in backups:
        end = backup.start_lsn // SIZE
        while end in numbers:
            end += 1
        if end > backup.start_lsn // SIZE:
            spans.setdefault(end, []).append(backup)
    assert [(w.label, w.end_lsn, w.start) for w in windows] == [
        (group[0].label, end * SIZE, group[0].finished_at) for end, group in sorted(spans.items())
    ]
    for window in windows:
        assert window.start <= window.end
        gap = set(range(window.end_lsn // SIZE, max(numbers))) - numbers
        assert (window.missing_count, list(window.missing)) == (len(gap), [Segment(1, n).name for n in sorted(gap)])


def test_a_window_ends_when_its_last_segment_was_stored() -> None:
    backup = a_backup_in(2)
    (window,) = find_windows([backup], runs_of([backup], [2, 3, 4]))
    assert (window.start, window.end) == (moment(1.5), moment(4))
    assert window.as_dict()["seconds"] == 2.5


def test_a_gap_parts_two_windows_and_is_named() -> None:
    backups = [a_backup_in(2), a_backup_in(6)]
    first, second = find_windows(backups, runs_of(backups, [2, 3, 6, 7]))
    assert (first.end_lsn, first.missing) == (4 * SIZE, (Segment(1, 4).name, Segment(1, 5).name))
    assert (second.end_lsn, second.missing) == (8 * SIZE, ())


def test_a_backup_without_its_wal_has_no_window() -> None:
    backup = a_backup(0, 1, 2 * SIZE + 40, 3 * SIZE + 5)
    assert not find_windows([backup], runs_of([backup], [2]))
    assert not find_windows([backup], runs_of([backup], []))
    assert find_windows([backup], runs_of([backup], [2, 3]))


def test_wal_that_is_missing_before_the_window_is_no_gap() -> None:
    old, base = a_backup_in(2), a_backup_in(9)
    runs = runs_of([old, base], [2, 5, 9, 10])

    def alone(backup: BackupManifest, window_start: float, whole: List[BackupManifest]) -> bool:
        return stands_alone(Reach(backup, PATH, runs[backup.label]), whole, moment(window_start))

    assert alone(old, 9, [old, base])
    # The window begins earlier, no other backup is there, or it is on another way.
    assert not alone(old, 8, [old, base])
    assert not alone(old, 9, [old])
    assert not alone(old, 9, [old, replace(base, timeline=2)])
    assert not alone(old, 9, [old, replace(base, system_identifier="7")])
    # A gap that reaches into the window, or one that the backup itself needs.
    assert not alone(base, 9, [old, base])
    runs = runs_of([old, base], [2, 5, 9, 11])
    assert not alone(old, 9, [old, base])
    runs = {old.label: find_run(PATH, old.start_lsn, SIZE, stored([Segment(1, 9)]))}
    assert not alone(old, 9, [old, base])


HISTORIES = {2: f"1\t0/{4 * SIZE + 100:X}\tno recovery target specified\n"}


def test_a_timeline_without_a_backup_has_a_window_as_soon_as_it_has_wal() -> None:
    old, newer, later = a_backup_in(1), a_backup_in(2), a_backup_in(6)
    have = stored([*(Segment(1, n) for n in range(1, 8)), Segment(2, 4), Segment(2, 5)])
    (path,) = new_timelines(HISTORIES, {1}, last_segments(have))
    # The last backup is of what was left.
    found = reaches_on(path, [old, newer, later], SIZE, have)
    assert arriving(found) == found
    (window,) = [window_of(r) for r in first_reaches(found)]
    assert (window.timeline, window.label, window.end_lsn) == (2, old.label, 6 * SIZE)

    assert not arriving(reaches_on(path, [old], SIZE, stored(Segment(1, n) for n in range(1, 8))))
    # The way there is interrupted before the fork.
    interrupted = reaches_on(path, [old], SIZE, stored([Segment(1, 1), Segment(2, 4)]))
    assert not arriving(interrupted)
    assert [r.run.missing for r in interrupted] == [(Segment(1, 2).name, Segment(1, 3).name)]


THIRD = {**HISTORIES, 3: f"{HISTORIES[2]}2\t0/{6 * SIZE + 100:X}\tno recovery target specified\n"}


def new_ones(backed_up: Set[int], *segments: Segment) -> List[int]:
    return [path.timeline for path in new_timelines(THIRD, backed_up, last_segments(stored(segments)))]


def test_a_timeline_that_was_left_or_has_a_backup_is_no_new_one() -> None:
    first, second, third = Segment(1, 4), Segment(2, 6), Segment(3, 6)
    assert new_ones({1}, first, second, third) == [3]
    assert new_ones({1, 3}, first, second, third) == []
    # As long as the third one has no WAL the second is where the cluster is, whoever stored that history.
    assert new_ones({1}, first, second) == [2]


def test_a_timeline_that_continues_beside_a_copy_of_its_cluster_is_a_new_one() -> None:
    assert new_ones({1}, Segment(1, 4), Segment(2, 6), Segment(3, 6), Segment(2, 7)) == [2, 3]


@given(st.sets(st.integers(1, 20), min_size=1, max_size=5), st.sets(st.integers(1, 24)))
def test_runs_that_share_their_segments_are_those_that_were_found_alone(starts: Set[int], numbers: Set[int]) -> None:
    have = stored([*(Segment(1, n) for n in numbers if n < 5), *(Segment(2, n) for n in numbers if n >= 4)])
    path = path_to(2, HISTORIES)
    begin = [n * SIZE + 40 for n in sorted(starts)]
    shared = find_runs(path, begin, SIZE, have)
    for start in begin:
        alone = find_run(path, start, SIZE, have)
        told = [
            (r.segments, r.stored_bytes, r.archived_at, r.first_needed, r.end, r.missing)
            for r in (shared[start], alone)
        ]
        assert told[0] == told[1]
