# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore to the latest moment could use: gaps, lost WAL and windows across timelines."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import pytest
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment
from lifeboat.check.answer import Check
from lifeboat.check.contents import of_contents
from lifeboat.config.load import Config, DirectoryOptions, RepositoryConfig
from lifeboat.config.retention import RetentionConfig
from lifeboat.config.sections import ObjectivesConfig
from lifeboat.listing.contents import Contents, read_contents
from lifeboat.repository.repository import Repository
from support.records import SYSTEM, a_backup, put_backup


class Story:
    """A directory of backups and WAL, by numbers of segments."""

    def __init__(self, root: Path) -> None:
        self.entry = RepositoryConfig("near", DirectoryOptions(str(root)))
        self.repository = Repository.open(self.entry, "main")
        self.repository.adopt(SYSTEM)

    def backup(self, number: int, timeline: int = 1) -> str:
        made = a_backup(number, number + 0.5, number * SIZE + 40, number * SIZE + 400, timeline=timeline)
        put_backup(self.repository, made)
        return made.label

    def wal(self, timeline: int, *numbers: int) -> None:
        for number in numbers:
            self.repository.store.put(self.repository.layout.wal(SYSTEM, Segment(timeline, number).name), b"x")

    def acknowledged(self, timeline: int, number: int) -> None:
        name = Segment(timeline, number).name
        self.repository.store.put(self.repository.layout.wal_acknowledged(SYSTEM, name), b"")

    def fork(self, timeline: int, *switches: Tuple[int, int]) -> None:
        """The history of a timeline: each (parent, segment in which it was left)."""
        lines = "".join(f"{parent}\t0/{number * SIZE + 100:X}\tno reason\n" for parent, number in switches)
        self.repository.store.put(self.repository.layout.wal(SYSTEM, f"{timeline:08X}.history"), lines.encode())

    def contents(self) -> Contents:
        return read_contents(self.repository, RetentionConfig(wal_days=36500))

    def checks(self) -> Dict[str, Check]:
        config = Config("main", (self.entry,), objectives=ObjectivesConfig(rto=1e9))
        return {c.name.split(": ")[1]: c for c in of_contents(config, self.contents(), "critical", None)}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def missing(contents: Contents) -> List[Tuple[str, Tuple[str, ...]]]:
    return [(label, run.missing) for label, run in contents.gaps()]


def test_all_is_well_after_a_failover(story: Story) -> None:
    backup = story.backup(1)
    story.wal(1, 1, 2, 3)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4, 5)
    assert missing(story.contents()) == []
    windows = {w.timeline: (w.label, w.end_lsn // SIZE) for w in story.contents().windows}
    assert windows == {1: (backup, 4), 2: (backup, 6)}
    assert set(story.checks()) == {"backups", "window", "restore"}


def test_a_gap_on_a_new_timeline_is_one_of_the_backup_before_it(story: Story) -> None:
    backup = story.backup(1)
    story.wal(1, 1, 2, 3)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4, 6)
    assert missing(story.contents()) == [(backup, (Segment(2, 5).name,))]
    assert story.checks()["gap"].status == "critical"


def test_a_backup_on_what_was_left_mends_nothing(story: Story) -> None:
    """A restore in place to a moment before the newest backup: that one does not lead to the current timeline."""
    old, _later = story.backup(1), story.backup(5)
    story.wal(1, 1, 2, 3, 4, 5, 6)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4, 6)
    assert missing(story.contents()) == [(old, (Segment(2, 5).name,))]
    assert story.checks()["gap"].status == "critical"


def test_no_way_to_the_timeline_of_today_is_reported(story: Story) -> None:
    story.backup(5)
    story.wal(1, 1, 2, 3, 4, 5, 6)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4)
    found = story.checks()["latest"]
    assert found.status == "critical" and "timeline 2" in found.message


def test_a_gap_on_a_timeline_that_was_given_up_is_none(story: Story) -> None:
    backup = story.backup(1)
    story.wal(1, 1, 2, 3, 4, 5)
    story.fork(2, (1, 3))
    story.wal(2, 3, 5)
    story.fork(3, (1, 4))
    story.wal(3, 4, 5, 6)
    assert missing(story.contents()) == []
    assert "gap" not in story.checks()
    assert {(w.timeline, w.label) for w in story.contents().windows} == {(1, backup), (2, backup), (3, backup)}


def test_windows_come_in_the_order_of_timelines(story: Story) -> None:
    """The last one is current, even if it starts with a backup from before the abandoned timeline."""
    first = story.backup(1)
    story.wal(1, 1, 2, 3)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4, 5, 6)
    story.backup(5, timeline=2)
    story.fork(3, (1, 2))
    story.wal(3, 2, 3, 4)
    windows = [(w.timeline, w.label) for w in story.contents().windows]
    assert windows[-1] == (3, first)
    assert [timeline for timeline, _label in windows] == sorted(timeline for timeline, _label in windows)


def test_a_gap_before_the_first_backup_of_a_timeline_stays_told(story: Story) -> None:
    old = story.backup(1)
    story.wal(1, 1, 2, 3)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4, 6, 7)
    new = story.backup(6, timeline=2)
    assert missing(story.contents()) == [(old, (Segment(2, 5).name,))]
    assert (story.checks()["gap"].status, new in story.checks()["gap"].hint) == ("warning", True)
    assert {(w.timeline, w.label, w.end_lsn // SIZE) for w in story.contents().windows} == {
        (1, old, 4), (2, old, 5), (2, new, 8),
    }  # fmt: skip


def test_wal_of_a_new_timeline_that_was_deleted_altogether_is_lost(story: Story) -> None:
    story.backup(1)
    story.wal(1, 1, 2, 3)
    story.fork(2, (1, 3))
    story.acknowledged(2, 5)
    found = story.checks()["lost WAL"]
    assert found.status == "critical" and Segment(2, 3).name in found.message


def test_what_lies_far_ahead_on_a_new_timeline_is_set_apart(story: Story) -> None:
    story.backup(1)
    story.wal(1, 1, 2, 3)
    story.fork(2, (1, 3))
    story.wal(2, 3, 4, 2**31)
    assert [item.key.rsplit("/", 1)[1][:24] for item in story.contents().aside] == [Segment(2, 2**31).name]
    assert missing(story.contents()) == []


def test_many_backups_cost_little(story: Story) -> None:
    """Each run is a part of the previous one: no backup creates objects for its WAL."""
    labels = [story.backup(number) for number in range(1, 40)]
    story.wal(1, *range(1, 60))
    runs = story.contents().runs
    assert all(runs[label].segments[-1] is runs[labels[0]].segments[-1] for label in labels)
