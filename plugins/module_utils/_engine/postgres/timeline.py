# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timelines and their history files (PostgreSQL manual, "Continuous Archiving", section "Timelines").

``00000003.history`` has a line for each ancestor: its number, the LSN at which its child left it, and a reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Iterator, List, Mapping, Optional, Tuple

from ..base.errors import WalInvalid
from ..base.wal_names import Segment, history_name, parse_lsn

# The format that PostgreSQL reads: a decimal number, an LSN, and the reason.
_LINE = re.compile(r"\s*([0-9]{1,10})\s+([0-9A-F]{1,8}/[0-9A-F]{1,8})(?:\s+(.*))?\s*\Z", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """A section of a path: the timeline is followed until the LSN ``switch`` (None: to its end)."""

    timeline: int
    switch: Optional[int]
    reason: str = ""


@dataclass(frozen=True)
class TimelinePath:
    """The path that recovery takes to the last timeline, oldest first."""

    steps: Tuple[Step, ...]

    @property
    def timeline(self) -> int:
        """The timeline at the end of the path."""
        return self.steps[-1].timeline

    def at(self, lsn: int) -> int:
        """The timeline of the path at ``lsn``."""
        for step in self.steps:
            if step.switch is None or lsn < step.switch:
                return step.timeline
        return self.timeline

    def contains(self, timeline: int, lsn: int) -> bool:
        """Whether a cluster that is at ``lsn`` of ``timeline`` can follow this path."""
        for step in self.steps:
            if step.timeline == timeline:
                return step.switch is None or lsn <= step.switch
        return False

    def fork_of(self, timeline: int) -> Optional[int]:
        """The LSN where the path leaves ``timeline``; None if it does not."""
        return next((s.switch for s in self.steps if s.timeline == timeline), None)

    def segments(self, start: int, size: int) -> Iterator[Segment]:
        """The segments that recovery reads from the LSN ``start`` on, without an end.

        A segment with a switch is read from the timeline after the switch, which begins with a copy of it.
        """
        number = start // size
        while True:
            yield Segment(self.at((number + 1) * size - 1), number, size)
            number += 1


def read_steps(timeline: int, text: str) -> List[Step]:
    """The lines of the history file of ``timeline``: its ancestors, oldest first. WalInvalid if it is not one."""
    steps = []
    # Split only at PostgreSQL's line ends: a reason may contain any other character.
    for line in text.split("\n"):
        stated = line.split("#", 1)[0]
        if not stated.strip():
            continue
        found = _LINE.match(stated)
        if found is None:
            raise WalInvalid(
                f"{history_name(timeline)} has a line that is not a timeline switch: {line[:100]!r}.",
                "Bring the file from another repository: lifeboat verify --repair.",
                name=history_name(timeline),
            )
        steps.append(Step(int(found.group(1)), parse_lsn(found.group(2)), found.group(3) or ""))
    if not steps:
        raise WalInvalid(
            f"{history_name(timeline)} is empty: it lists no ancestors.",
            "Bring the file from another repository: lifeboat verify --repair.",
            name=history_name(timeline),
        )
    numbers = [s.timeline for s in steps] + [timeline]
    if numbers != sorted(set(numbers)) or numbers[0] < 1:
        raise WalInvalid(
            f"{history_name(timeline)} lists timelines that do not increase: {numbers[:20]}.",
            "Bring the file from another repository: lifeboat verify --repair.",
            name=history_name(timeline),
        )
    return steps


def parse_history(timeline: int, text: str) -> TimelinePath:
    """The path to ``timeline`` according to its history file.

    A restore along timeline 2 to a moment before 2 began writes ``1 0/A000000`` and ``2 0/8194988``: such a path also
    leaves 1 at 0/8194988, as in PostgreSQL's ``tliOfPointInHistory``, and contains no byte of 2.
    """
    path = [Step(timeline, None)]
    for step in reversed(read_steps(timeline, text)):
        later = path[0].switch
        path.insert(0, step if later is None or (step.switch or 0) <= later else replace(step, switch=later))
    return TimelinePath(tuple(path))


def path_to(timeline: int, histories: Mapping[int, str]) -> TimelinePath:
    """The path to ``timeline``, from the texts of the history files by timeline; the first timeline has none."""
    if timeline in histories:
        return parse_history(timeline, histories[timeline])
    return TimelinePath((Step(timeline, None),))
