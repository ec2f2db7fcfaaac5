# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A way back: what it loses, how long it lasts, what must be true. And which one is the best. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any, Dict, Iterable, Optional, Tuple

MET, UNMET, UNKNOWN = "met", "unmet", "unknown"


@dataclass(frozen=True)
class Condition:
    """Something that must be true. ``state`` is ``met``, ``unmet`` or ``unknown``; ``reason`` is a sentence."""

    name: str
    state: str
    reason: str


@dataclass(frozen=True)
class Loss:
    """What is lost: ``seconds`` of commits at most (None: not known), about so many ``transactions``, and in words."""

    seconds: Optional[float]
    words: str
    transactions: Optional[int] = None


@dataclass(frozen=True)
class Lasts:
    """How many ``seconds`` it takes, by the forecast (None: not known), and what the figure comes from."""

    seconds: Optional[float]
    source: str


@dataclass(frozen=True)
class Way:
    """One way back. ``playbook`` is empty where a command of the host does it; ``missed`` are ``rpo`` and ``rto``."""

    name: str
    title: str
    loses: Loss
    lasts: Lasts
    conditions: Tuple[Condition, ...]
    command: str
    playbook: str = ""
    repository: str = ""
    missed: Tuple[str, ...] = ()
    best: bool = False

    @property
    def possible(self) -> bool:
        """Whether no condition is unmet; what is unknown has to be found out first."""
        return all(condition.state != UNMET for condition in self.conditions)

    def as_dict(self) -> Dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "title": self.title,
            "best": self.best,
            "possible": self.possible,
            "loses": {
                "seconds": self.loses.seconds, "transactions": self.loses.transactions, "words": self.loses.words,
            },
            "lasts": {"seconds": self.lasts.seconds, "source": self.lasts.source},
            "missed": list(self.missed),
            "conditions": [{"name": c.name, "state": c.state, "reason": c.reason} for c in self.conditions],
            "command": self.command,
            "playbook": self.playbook,
            "repository": self.repository,
        }  # fmt: skip


def beside_objectives(way: Way, rpo: Optional[float], rto: Optional[float]) -> Way:
    """The way with the objectives that it misses; what is not known misses none."""
    pairs = (("rpo", way.loses.seconds, rpo), ("rto", way.lasts.seconds, rto))
    missed = tuple(name for name, value, most in pairs if value is not None and most is not None and value > most)
    return replace(way, missed=missed)


#: Seconds of loss by which two ways do not differ: each was measured at its own moment.
_EQUAL = 5.0


def rank(way: Way, least: float = 0.0) -> Tuple[int, int, float, float, int]:
    """The lower the better: possible, the objectives missed, what is lost, how long it lasts, what is unknown.

    What is not known counts as the worst. ``least`` is the smallest loss of a possible way, in seconds: losses up to
    5 s above it are equal, but none equals no loss.
    """
    loses = inf if way.loses.seconds is None else way.loses.seconds
    loses = least if least > 0 and loses <= least + _EQUAL else loses
    lasts = inf if way.lasts.seconds is None else way.lasts.seconds
    doubts = sum(condition.state == UNKNOWN for condition in way.conditions)
    return (0 if way.possible else 1, len(way.missed), loses, lasts, doubts)


def ranked(ways: Iterable[Way], choose: bool = True) -> Tuple[Way, ...]:
    """The best first, and marked if it is possible and ``choose`` is set; of equals the earlier one is better."""
    made = [replace(way, best=False) for way in ways]
    least = min((way.loses.seconds for way in made if way.possible and way.loses.seconds is not None), default=0.0)
    ordered = sorted(made, key=lambda way: rank(way, least))
    if choose and ordered and ordered[0].possible:
        ordered[0] = replace(ordered[0], best=True)
    return tuple(ordered)
