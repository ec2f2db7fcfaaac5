# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next drill: when it is due, and what it rehearses. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Dict, Optional, Sequence

from ..records.model import format_time
from ..repository.drills import Drill

#: The disasters, in the order in which they are rehearsed where none was yet.
DISASTERS = ("server", "deletion", "ransomware", "corruption", "region")
#: Days between two drills where ``objectives.max_drill_age`` is not set.
QUARTER = 91.0


@dataclass(frozen=True)
class Proposal:
    """The next drill. ``due`` is None where none was ever kept: it is due now. ``last`` is the newest one."""

    scenario: str
    due: Optional[datetime]
    last: Optional[Drill]

    def near(self, now: datetime, days: float) -> bool:
        """Whether it is due within so many days, or late."""
        return self.due is None or self.due - now <= timedelta(days=days)

    def as_dict(self, now: datetime) -> Dict[str, Any]:
        """As plain data."""
        return {
            "scenario": self.scenario,
            "due": format_time(self.due) if self.due else None,
            "late": self.near(now, 0),
            "last": self.last.label if self.last else None,
        }


def rehearses(drill: Drill) -> Sequence[str]:
    """The disasters in the name of its scenario: ``server_deletion`` has two."""
    return [name for name in DISASTERS if name in drill.scenario.split("_")]


def propose(drills: Sequence[Drill], every: Optional[float], repositories: int) -> Proposal:
    """The next one after these, oldest first: the disaster rehearsed longest ago, and none of the newest drill's.

    It is due ``every`` days (default: a quarter) after the newest that passed. With one repository no region can be
    rehearsed. A drill that failed counts as a turn, but does not move the date.
    """
    possible = [name for name in DISASTERS if name != "region" or repositories > 1]
    turns: Dict[str, int] = {}
    for number, drill in enumerate(drills):
        turns.update(dict.fromkeys(rehearses(drill), number))
    last = drills[-1] if drills else None
    fresh = [name for name in possible if last is None or name not in rehearses(last)]
    scenario = min(fresh or possible, key=lambda name: (turns.get(name, -1), possible.index(name)))
    passed = next((drill for drill in reversed(drills) if drill.passed), None)
    due = passed.stored_at + timedelta(days=QUARTER if every is None else every) if passed else None
    return Proposal(scenario, due, last)
