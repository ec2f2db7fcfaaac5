# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The trend over drills: recovery time and data loss with their objectives, by scenario. One page, no scripts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from ..base.version import VERSION
from ..report.markup import Markup, count, join, seconds, table, tag
from ..report.page import whole_page
from ..repository.drills import Drill

_WIDTH, _HEIGHT = 520.0, 190.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 14.0, 28.0
_MORE = """
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(290px, 1fr)); gap: 8px 24px; }
.plots h3 { margin-top: 0; } .wide { overflow-x: auto; } .wide td { overflow-wrap: normal; white-space: nowrap; }
svg .axis { stroke: var(--line); stroke-width: 1; } svg .line { stroke: var(--bar); stroke-width: 2; fill: none; }
svg .promise { stroke: var(--warn); stroke-width: 1.5; stroke-dasharray: 6 4; fill: none; }
svg .passed { fill: var(--good); } svg .failed { fill: var(--bad); } svg .promised { fill: var(--warn); }
@media (max-width: 480px) { main { padding: 16px 12px 32px; } .card { padding: 14px; } svg text { font-size: 17px; } }
"""


def render(cluster: str, drills: Sequence[Drill], now: datetime) -> str:
    """The page of these drills, oldest first."""
    by_scenario: Dict[str, List[Drill]] = {}
    for drill in drills:
        by_scenario.setdefault(drill.scenario, []).append(drill)
    passed = sum(drill.passed for drill in drills)
    lead = f"Drills: {len(drills)}, passed: {passed}." if drills else "No drills have been stored yet."
    return whole_page(
        f"Drills of {cluster}",
        tag("div", "Lifeboat · drills", cls="kicker"),
        tag("h1", cluster),
        tag("p", lead, cls="lead"),
        tag("p", "Green passed, red failed; the dashed line is the objective at that time. Times are UTC.", cls="soft")
        if drills
        else None,
        [_scenario(name, found) for name, found in sorted(by_scenario.items())],
        tag("footer", f"Lifeboat {VERSION}; page of {now:%Y-%m-%d %H:%M:%S} UTC."),
        style=_MORE,
    )


def _scenario(name: str, drills: Sequence[Drill]) -> Markup:
    plots = [
        tag("div", tag("h3", title), plot(drills, value, promise, f"{title}, scenario {name}"))
        for title, value, promise in (
            ("Time to recover (RTO)", lambda d: d.rto, lambda d: d.objective_rto),
            ("Data lost (RPO)", lambda d: d.rpo, lambda d: d.objective_rpo),
        )
    ]
    rows = [
        [
            f"{drill.stored_at:%Y-%m-%d %H:%M}",
            tag("b", "passed" if drill.passed else "failed", cls="good-ink" if drill.passed else "bad-ink"),
            _beside(drill.rto, drill.objective_rto, "rto" in drill.missed),
            _beside(drill.rpo, drill.objective_rpo, "rpo" in drill.missed),
            "–" if drill.lost_transactions is None else count(drill.lost_transactions),
            f"{drill.checks_passed} of {drill.checks}",
            drill.host,
        ]
        for drill in reversed(drills)
    ]
    heads = ["Stored", "Result", "RTO", "RPO", "Commits lost", "Checks", "Host"]
    return join(
        [
            tag("h2", name),
            tag("section", tag("div", plots, cls="plots"), tag("div", table(heads, rows), cls="wide"), cls="card"),
        ]
    )


def _beside(value: Optional[float], objective: Optional[float], missed: bool) -> Markup:
    promise = "" if objective is None else f" of {seconds(objective)}"
    return tag("span", f"{seconds(value)}{promise}", cls="bad-ink" if missed else None)


Measure = Callable[[Drill], Optional[float]]


def plot(drills: Sequence[Drill], value: Measure, promise: Measure, words: str) -> Markup:
    """One measure over time, and the objective of each drill, as SVG; a sentence if there are no values."""
    points = [(d.stored_at, y, d) for d in drills for y in [value(d)] if y is not None]
    promised = [(d.stored_at, y) for d in drills for y in [promise(d)] if y is not None]
    if not points:
        return tag("p", "Never measured.", cls="soft")
    scale = _Scale([at for at, _y, _d in points], [y for _at, y, _d in points] + [y for _at, y in promised])
    shapes = [
        *scale.grid(),
        tag("polyline", points=" ".join(scale.at(at, y) for at, y in _steps(promised, scale.end)), cls="promise"),
        tag("polyline", points=" ".join(scale.at(at, y) for at, y, _d in points), cls="line"),
    ]
    for at, y, drill in points:
        x, top = scale.at(at, y).split(",")
        told = tag("title", f"{at:%Y-%m-%d %H:%M}: {seconds(y)}, {'passed' if drill.passed else 'failed'}")
        shapes.append(tag("circle", told, cx=x, cy=top, r="4.5", cls="passed" if drill.passed else "failed"))
    return tag("svg", shapes, viewBox=f"0 0 {_WIDTH:.0f} {_HEIGHT:.0f}", role="img", aria_label=words)


def _steps(promised: Sequence[Tuple[datetime, float]], end: datetime) -> List[Tuple[datetime, float]]:
    """The corners of a line that only changes where the objective did."""
    found: List[Tuple[datetime, float]] = []
    for at, y in promised:
        if found:
            found.append((at, found[-1][1]))
        found.append((at, y))
    return [*found, (end, found[-1][1])] if found else []


class _Scale:
    """Converts times and seconds to pixels; a single time is in the middle."""

    def __init__(self, moments: Sequence[datetime], values: Sequence[float]) -> None:
        self.start, self.end = min(moments), max(moments)
        if self.start == self.end:
            self.start, self.end = self.start - timedelta(days=1), self.end + timedelta(days=1)
        self._span = (self.end - self.start).total_seconds()
        self._top = nice(max(values))

    def at(self, moment: datetime, value: float) -> str:
        """``x,y`` of a point."""
        part = (moment - self.start).total_seconds() / self._span
        return f"{_LEFT + part * (_WIDTH - _LEFT - _RIGHT):.1f},{self._y(value):.1f}"

    def _y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - value / self._top * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self) -> List[Markup]:
        """Lines at zero, half and the top with their values, and the first and last day."""
        shapes: List[Markup] = []
        for value in (0.0, self._top / 2, self._top):
            y = self._y(value)
            shapes.append(tag("path", d=f"M{_LEFT:.0f} {y:.1f}H{_WIDTH - _RIGHT:.0f}", cls="axis"))
            told = "0" if value == 0 else short(value)
            shapes.append(tag("text", told, x=f"{_LEFT - 8:.0f}", y=f"{y + 4:.1f}", text_anchor="end"))
        for moment, x, anchor in ((self.start, _LEFT, "start"), (self.end, _WIDTH - _RIGHT, "end")):
            day = f"{moment:%Y-%m-%d}"
            shapes.append(tag("text", day, x=f"{x:.0f}", y=f"{_HEIGHT - 8:.0f}", text_anchor=anchor))
        return shapes


def nice(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten, or a round number of minutes or hours beyond a minute. Pure."""
    unit = 3600.0 if value > 7200 else 60.0 if value > 120 else 1.0
    wanted, step = max(value / unit, 0.001), 0.001
    while True:
        for factor in (1, 2, 5):
            if step * factor >= wanted:
                return step * factor * unit
        step *= 10


def short(value: float) -> str:
    """``2.5 s``, ``10 min``, ``5 h``, for an axis."""
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if value >= 2 * size:
            return f"{value / size:g} {unit}"
    return f"{value:g} s"
