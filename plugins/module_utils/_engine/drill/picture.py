# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a drill: the ledger's commits over time, and which of them each restore contains."""

from __future__ import annotations

from datetime import datetime
from typing import Any, List, Mapping, Optional, Sequence

from ..records.model import parse_time
from ..report.markup import Markup, count, join, tag

_WIDTH, _MARGIN = 1080.0, 12.0
_TOP, _ROW, _BAR = 30.0, 44.0, 16.0
_MARKER = 22.0


def strip(report: Mapping[str, Any]) -> Optional[Markup]:
    """An SVG of the time between the ledger's first commit and the disaster; None if either is missing."""
    first, end = report["ledger"].get("first_at"), report["disaster"].get("at")
    if not first or not end or not report["restores"]:
        return None
    axis = _Axis(parse_time(first), parse_time(end))
    height = _TOP + _ROW * len(report["restores"])
    rows = [(restore, _TOP + row * _ROW) for row, restore in enumerate(report["restores"])]
    shapes = [_bars(axis, restore, top + 19) for restore, top in rows]
    shapes += _markers(axis, report["story"], height)
    shapes += [_words(axis, restore, top + 13) for restore, top in rows]
    return tag(
        "svg", shapes, viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}", role="img", aria_label="Restored commits over time"
    )


class _Axis:
    """Converts times to pixels."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.end = end
        self._span = max((end - start).total_seconds(), 0.001)

    def x(self, at: datetime) -> float:
        """The position of a time, limited to the picture."""
        part = min(max((at - self.start).total_seconds() / self._span, 0.0), 1.0)
        return _MARGIN + part * (_WIDTH - 2 * _MARGIN)


def _markers(axis: _Axis, story: Sequence[Mapping[str, Any]], height: float) -> List[Markup]:
    """The numbers of the events at their times, shifted to the left if they would overlap."""
    shapes: List[Markup] = []
    free = _WIDTH
    for number, event in reversed(list(enumerate(story, 1))):
        at = parse_time(event["at"])
        if not axis.start <= at <= axis.end or event["event"] in ("ledger", "order", "open"):
            continue
        red = " red" if event["event"] in ("drop", "disaster") else ""
        x = axis.x(at)
        place = min(x, free - _MARKER / 2)
        free = place - _MARKER / 2
        shapes.append(tag("path", d=f"M{_n(place)} 18L{_n(x)} {_n(_TOP)}V{_n(height)}", cls=f"tick{red}"))
        shapes.append(tag("circle", cx=_n(place), cy="10", r="9.5", cls=f"dot{red}"))
        shapes.append(tag("text", number, x=_n(place), y="14", text_anchor="middle", cls="dot-text"))
    return shapes


def _bars(axis: _Axis, restore: Mapping[str, Any], top: float) -> Markup:
    """The commits that the restore contains, and those that it lacks."""
    verdict = restore["verdict"]
    begin, end = axis.x(axis.start), axis.x(axis.end)
    last = verdict["last_survivor"] if verdict else None
    until = axis.x(parse_time(last["acked_at"])) if last else begin
    rest = "gone" if verdict and restore["target"]["kind"] == "latest" else "given"
    return join(
        [
            tag("rect", x=_n(begin), y=_n(top), width=_n(until - begin), height=_n(_BAR), cls="kept"),
            tag("rect", x=_n(until), y=_n(top), width=_n(end - until), height=_n(_BAR), cls=rest),
        ]
    )


def _words(axis: _Axis, restore: Mapping[str, Any], baseline: float) -> Markup:
    """The restore's name, and the numbers of its commits."""
    verdict = restore["verdict"]
    words = "not examined"
    if verdict:
        gone = "lost" if restore["target"]["kind"] == "latest" else "given up"
        words = f"{count(verdict['survived'])} commits restored, {count(len(restore['loss']))} {gone}"
    name = f"Restore {restore['number']}: {restore['title']}"
    return join(
        [
            tag("text", name, x=_n(axis.x(axis.start)), y=_n(baseline), cls="label"),
            tag("text", words, x=_n(axis.x(axis.end) - 6), y=_n(baseline), text_anchor="end"),
        ]
    )


def _n(value: float) -> str:
    return f"{value:.1f}"
