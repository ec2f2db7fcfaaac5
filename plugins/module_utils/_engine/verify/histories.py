# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check timeline histories against their digests, each other, and the WAL and backups of their timelines.

Histories of earlier releases have no digest. They can only be checked for contradictions: a history must repeat that
of its parent, and nothing of a timeline may be before the point at which it began.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base.errors import LifeboatError, ObjectMissing, WalInvalid
from ..base.wal_names import Segment, format_lsn, history_name
from ..postgres.timeline import Step, read_steps
from ..records.model import BackupManifest
from ..repository.histories import Histories
from ..repository.repository import Repository
from .report import COPY_HINT, Finding


def check_histories(
    repository: Repository,
    system: str,
    found: Histories,
    segments: Iterable[Segment],
    backups: Sequence[BackupManifest],
) -> List[Finding]:
    """The findings about the histories of one system identifier. Pure."""
    wrong: Dict[int, LifeboatError] = dict(found.damaged)
    for timeline in found.lost:
        words = f"{history_name(timeline)} is missing in repository {repository.location}, which has its digest."
        wrong[timeline] = ObjectMissing(words, COPY_HINT, name=history_name(timeline))
    for timeline, words in contradictions(found, segments, backups).items():
        wrong.setdefault(timeline, WalInvalid(words, COPY_HINT, name=history_name(timeline)))
    layout = repository.layout
    return [
        Finding(repository.name, "", error, layout.wal(system, history_name(timeline)), system)
        for timeline, error in sorted(wrong.items())
    ]


def contradictions(found: Histories, segments: Iterable[Segment], backups: Sequence[BackupManifest]) -> Dict[int, str]:
    """Contradictions, by timeline. If two histories contradict each other, the one with a digest is right."""
    steps = {timeline: read_steps(timeline, text) for timeline, text in found.texts.items()}
    first: Dict[int, Segment] = {}
    for segment in segments:
        if segment.number < first.get(segment.timeline, segment).number or segment.timeline not in first:
            first[segment.timeline] = segment
    wrong: Dict[int, str] = {}
    for timeline in sorted(found.unchecked):
        began = steps[timeline][-1].switch or 0
        earliest = first.get(timeline)
        early = next((b for b in backups if b.timeline == timeline and b.stop_lsn < began), None)
        said = f"According to {history_name(timeline)}, its timeline began at {format_lsn(began)}"
        if earliest is not None and earliest.end <= began:
            wrong[timeline] = f"{said}, but its earlier segment {earliest.name} exists."
        elif early is not None:
            wrong[timeline] = f"{said}, but its backup {early.label} ended at {format_lsn(early.stop_lsn)}."
    for timeline in sorted(steps):
        pair = _of_parent(steps, timeline)
        if pair is None or pair[0] == pair[1]:
            continue
        parent = steps[timeline][-1].timeline
        words = f"{history_name(timeline)} and its parent's {history_name(parent)} list different ancestors."
        for one in {timeline, parent} & found.unchecked:
            wrong.setdefault(one, words)
    return wrong


def _of_parent(steps: Mapping[int, Sequence[Step]], timeline: int) -> Optional[Tuple[List[object], List[object]]]:
    """The parent's ancestors according to the timeline's history and according to the parent's own."""
    parent = steps[timeline][-1].timeline
    if parent not in steps:
        return None
    return [(s.timeline, s.switch) for s in steps[timeline][:-1]], [(s.timeline, s.switch) for s in steps[parent]]
