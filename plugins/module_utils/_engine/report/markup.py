# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTML without injection: strings are escaped, and only :class:`Markup` is used as it is."""

from __future__ import annotations

import html
from datetime import datetime
from typing import Iterable, List, Optional, Union

from ..base import units
from ..records.model import parse_time

_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is already HTML."""


Child = Union[str, int, None, Iterable["Child"]]


def tag(element: str, /, *children: Child, **attributes: Optional[str]) -> Markup:
    """An element. Attributes are escaped; ``_`` becomes ``-``, ``cls`` becomes ``class``, None omits the attribute."""
    shown = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if element in _VOID:
        return Markup(f"<{element}{shown}>")
    return Markup(f"<{element}{shown}>{join(children)}</{element}>")


def join(children: Child) -> Markup:
    """The children, one after the other: strings are escaped, None is omitted."""
    if children is None:
        return Markup("")
    if isinstance(children, Markup):
        return children
    if isinstance(children, (str, int)):
        return Markup(html.escape(str(children)))
    return Markup("".join(join(child) for child in children))


def size(count: Optional[int]) -> str:
    """:func:`~lifeboat.base.units.size`, or nothing."""
    return "" if count is None else units.size(count)


def seconds(value: Optional[float]) -> str:
    """:func:`~lifeboat.base.units.duration`, or a dash."""
    return "–" if value is None else units.duration(value)


def rate(value: Optional[int]) -> str:
    """Megabytes per second."""
    return "" if value is None else f"{value / 1e6:.1f}"


def count(number: int) -> str:
    """``1 234``: with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u2009")


def moment(text: Optional[str], date: bool = False) -> str:
    """``18:04:12.345`` UTC, after the date if ``date`` is set."""
    if not text:
        return "–"
    at: datetime = parse_time(text)
    shown = at.strftime("%H:%M:%S.%f")[:-3]
    return f"{at:%d %B %Y}, {shown} UTC" if date else shown


def table(head: List[str], rows: Iterable[Iterable[Child]], cls: Optional[str] = None) -> Markup:
    """A table; its cells may be strings or markup."""
    return tag(
        "table",
        tag("thead", tag("tr", [tag("th", name) for name in head])),
        tag("tbody", [tag("tr", [tag("td", cell) for cell in row]) for row in rows]),
        cls=cls,
    )
