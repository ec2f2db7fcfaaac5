# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which numbers of a chain of events are connected. Pure.

Anybody who can create objects can create an event with any number: one far ahead would leave no number for the next.
"""

from __future__ import annotations

from typing import Iterable, List, Optional

from .event import MOST_EVENTS

#: This many events in a row may be missing everywhere without breaking the chain.
JUMP = 1000


def connected(numbers: Iterable[int], anchor: Optional[int] = None) -> range:
    """From the first to the last of the connected numbers: numbers outside do not belong to the chain.

    With an ``anchor`` (a number known to be genuine) the run around it, else the longest run.
    """
    runs: List[List[int]] = []
    for number in sorted({*numbers, *([] if anchor is None else [anchor])}):
        # A number that leaves none for the next event was not reached by counting.
        if number >= MOST_EVENTS:
            break
        if runs and number - runs[-1][-1] <= JUMP:
            runs[-1].append(number)
        else:
            runs.append([number])
    chosen = [run for run in runs if anchor in run] or sorted(runs, key=lambda run: (-len(run), run[0]))
    return range(chosen[0][0], chosen[0][-1] + 1) if chosen else range(0)
