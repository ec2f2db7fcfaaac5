# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a run so far: figures, failures and limits, each printed and stored immediately."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Callable, Dict, List

from meter import Cost
from page import Failure, Figure


class Contest:
    """Figures of the cluster being measured are added to the earlier ones; ``save`` is called for each."""

    def __init__(self, turns: int, save: Callable[[], None]) -> None:
        self.figures: List[Figure] = []
        self.failures: List[Failure] = []
        self.limits: Dict[str, Dict[str, float]] = {}
        self.rounds: Dict[str, int] = {}
        self._turns, self._turn, self._save, self._begin = turns, 0, save, time.monotonic()

    @property
    def minutes(self) -> float:
        """Seconds since the start."""
        return (time.monotonic() - self._begin) / 60

    def say(self, words: str) -> None:
        """Print one line, with the progress of the run."""
        print(f"bench: [{self._turn}/{self._turns}, {self.minutes:.1f} min] {words}", flush=True)

    def next_turn(self) -> None:
        self._turn += 1

    def pass_over(self, turns: int) -> None:
        """Skip this many turns."""
        self._turn += turns

    def keep(self, figure: Figure) -> None:
        self.figures.append(figure)
        rate = f"{figure.rate:.1f} {figure.unit}/s"
        self.say(f"{figure.cluster}: {figure.who}: {figure.operation}: {rate} ({_short(figure.cost)})")
        self._save()

    def fail(self, failure: Failure) -> None:
        """Record a case that could not be measured, once for all rounds."""
        if failure not in self.failures:
            self.failures.append(failure)
            self.say(f"{failure.cluster}: {failure.who}: no {failure.operation}: {failure.reason}")
            self._save()

    def write(self, path: Path) -> None:
        """Everything as data."""
        kept = {"figures": [asdict(f) for f in self.figures], "failures": [asdict(f) for f in self.failures]}
        path.write_text(json.dumps({**kept, "limits": self.limits, "rounds": self.rounds}, indent=2) + "\n")


def _short(cost: Cost) -> str:
    return f"{cost.seconds:.1f} s, CPU {cost.cpu:.1f} s, {cost.memory:.0f} MB, {cost.traffic.requests} requests"
