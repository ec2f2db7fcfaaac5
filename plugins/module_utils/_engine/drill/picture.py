# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a drill: the ledger's commits on a line of time, and what became of them in each restore."""

from __future__ import annotations

from datetime import datetime
from typing import Any, List, Mapping, Optional

from ..model import parse_time
from .markup import Markup, tag

_LEFT, _WIDTH, _RIGHT = 210.0, 1080.0, 14.0
_TOP, _ROW, _BAR = 34.0, 30.0, 16.0


def strip(report: Mapping[str, Any]) -> Optional[Markup]:
    """An SVG of the time between the ledger's first commit and the disaster; None when either is missing."""
    first, end = report["ledger"].get("first_at"), report["disaster"].get("at")
    if not first or not end:
        return None
    axis = _Axis(parse_time(first), parse_time(end))
    height = _TOP + _ROW * len(report["restores"]) + 8
    shapes: List[Markup] = []
    for row, restore in enumerate(report["restores"]):
        shapes += _row(axis, restore, _TOP + row * _ROW)
    for number, event in enumerate(report["story"], 1):
        at = parse_time(event["at"])
        if axis.start <= at <= axis.end and event["event"] not in ("ledger", "order", "open"):
            red = " red" if event["event"] in ("drop", "disaster") else ""
            x = axis.x(at)
            shapes.append(tag("line", x1=_n(x), x2=_n(x), y1="20", y2=_n(height), cls=f"tick{red}"))
            shapes.append(tag("circle", cx=_n(x), cy="11", r="9", cls=f"dot{red}"))
            shapes.append(tag("text", number, x=_n(x), y="15", text_anchor="middle", cls="dot-text"))
    return tag(
        "svg", shapes, viewBox=f"0 0 {_WIDTH:.0f} {height:.0f}", role="img", aria_label="What came back, over time"
    )


class _Axis:
    """Time to pixels."""

    def __init__(self, start: datetime, end: datetime) -> None:
        self.start = start
        self.end = end
        self._span = max((end - start).total_seconds(), 0.001)

    def x(self, at: datetime) -> float:
        """Where a moment lies, kept inside the picture."""
        part = min(max((at - self.start).total_seconds() / self._span, 0.0), 1.0)
        return _LEFT + part * (_WIDTH - _LEFT - _RIGHT)


def _row(axis: _Axis, restore: Mapping[str, Any], top: float) -> List[Markup]:
    label = tag("text", f"Restore {restore['number']}: {restore['title']}"[:36], x="0", y=_n(top + 13), cls="label")
    verdict = restore["verdict"]
    if not verdict:
        return [label, tag("text", "not judged", x=_n(_LEFT), y=_n(top + 13))]
    latest = restore["target"]["kind"] == "latest"
    last = verdict["last_survivor"]
    until = axis.x(parse_time(last["acked_at"])) if last else _LEFT
    end = axis.x(axis.end)
    return [
        label,
        tag("rect", x=_n(_LEFT), y=_n(top), width=_n(until - _LEFT), height=_n(_BAR), cls="kept"),
        tag("rect", x=_n(until), y=_n(top), width=_n(end - until), height=_n(_BAR), cls="gone" if latest else "given"),
    ]


def _n(value: float) -> str:
    return f"{value:.1f}"
