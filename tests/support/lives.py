# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Histories of clusters, for tests of retention: what they write, and what a repository then lists."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Dict, List, Set

from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment, format_lsn
from lifeboat.config.retention import RetentionConfig
from lifeboat.postgres.timeline import path_to
from lifeboat.records.model import BackupManifest
from lifeboat.repository.chain import find_chains
from lifeboat.repository.labels import make_label
from lifeboat.repository.layout import Layout
from lifeboat.retention.plan import Facts
from lifeboat.store.protocol import ObjectInfo

from .records import a_backup

SIZE = 16 * 1024 * 1024
BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)
LAYOUT = Layout("main")
FOREIGN = ("main/backups/notes.txt", "other/wal/1/00000001/00000000/000000010000000000000001.zst", "main/wal/readme")


@dataclass
class Life:
    """A possible history of a cluster: it writes WAL, is backed up, idles, and is restored to an earlier moment."""

    system: str = "7000000000000000001"
    now: datetime = BEGIN
    timeline: int = 1
    number: int = 1
    backups: List[BackupManifest] = field(default_factory=list)
    segments: Dict[Segment, datetime] = field(default_factory=dict)
    histories: Dict[int, str] = field(default_factory=dict)
    newest_timeline: int = 1
    lost: Set[str] = field(default_factory=set)

    def write(self, count: int) -> None:
        for _ in range(count):
            self.now += timedelta(hours=3)
            self.segments[Segment(self.timeline, self.number, SIZE)] = self.now
            self.number += 1

    def idle(self, days: int) -> None:
        self.now += timedelta(days=days)

    def back_up(self, kind: str) -> None:
        path = path_to(self.timeline, self.histories)
        usable = [b for b in self.backups if path.contains(b.timeline, b.stop_lsn) and b.label not in self.lost]
        parents = [b for b in usable if kind == "incremental" or b.type == "full"]
        if kind != "full" and not parents:
            kind = "full"
        start = self.number * SIZE + 40
        self.now += timedelta(seconds=30)
        started = self.now
        self.write(1)
        self.backups.append(
            replace(
                a_backup(),
                label=make_label(started, kind),
                type=kind,
                parent=parents[-1].label if kind != "full" else None,
                system_identifier=self.system,
                timeline=self.timeline,
                start_lsn=start,
                stop_lsn=start + 200,
                segment_size=SIZE,
                started_at=started,
                finished_at=self.now,
            )
        )

    def go_back(self, segments: int) -> None:
        """A restore to an earlier moment, where a new timeline starts."""
        path = path_to(self.timeline, self.histories)
        oldest = min((b.stop_lsn for b in self.backups if path.contains(b.timeline, b.stop_lsn)), default=None)
        if oldest is None:
            return
        switch = max((self.number - segments) * SIZE + 100, oldest)
        lines = [f"{s.timeline}\t{format_lsn(min(s.switch or switch, switch))}\tbefore" for s in path.steps]
        self.newest_timeline += 1
        self.timeline = self.newest_timeline
        self.histories[self.timeline] = "\n".join(lines) + "\n"
        self.number = switch // SIZE
        self.write(1)

    def objects(self) -> List[ObjectInfo]:
        found = [ObjectInfo(LAYOUT.wal(self.system, s.name), 100, t) for s, t in self.segments.items()]
        for backup in self.backups:
            sizes = {f.name: f.size for f in backup.files}
            if backup.label not in self.lost:
                sizes["manifest.json"] = 1000
            found += [ObjectInfo(LAYOUT.backup(backup.label, n), size, backup.finished_at) for n, size in sizes.items()]
        found += [ObjectInfo(LAYOUT.wal(self.system, f"{t:08X}.history"), 50, BEGIN) for t in self.histories]
        return found + [ObjectInfo(key, 10, BEGIN) for key in FOREIGN]

    def facts(self, **more: object) -> Facts:
        chains = find_chains(
            [b for b in self.backups if b.label not in self.lost], dict.fromkeys(self.lost, "was never finished")
        )
        return replace(Facts("main", chains, histories={self.system: self.histories}), **more)  # type: ignore[arg-type]


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 30)),
    st.tuples(st.just("back_up"), st.sampled_from(["full", "differential", "incremental"])),
    st.tuples(st.just("idle"), st.integers(1, 12)),
    st.tuples(st.just("go_back"), st.integers(0, 20)),
)
POLICIES = st.builds(
    RetentionConfig,
    full_days=st.integers(0, 30).map(float),
    differential_days=st.integers(0, 10).map(float),
    incremental_days=st.integers(0, 10).map(float),
    wal_days=st.integers(0, 10).map(float),
    keep_last=st.integers(1, 3),
    weekly=st.integers(0, 3),
)


@st.composite
def lives(draw: st.DrawFn) -> Life:
    life = Life()
    life.write(2)
    life.back_up("full")
    for name, value in draw(st.lists(STEPS, max_size=14)):
        getattr(life, name)(value)
    life.lost = set(draw(st.lists(st.sampled_from([b.label for b in life.backups]), max_size=1)))
    return life
