# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole page, of which every report is one."""

from __future__ import annotations

from typing import Optional

from .markup import Child, Markup, tag
from .style import CSS


def whole_page(title: str, *content: Child, style: str = "", refresh: Optional[int] = None) -> str:
    """The self-contained page with ``content``, in the shared style and then ``style``.

    ``refresh``: seconds after which a browser loads it again.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="refresh", content=str(refresh)) if refresh is not None else None,
        tag("title", title),
        tag("style", Markup(CSS + style)),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, tag('body', tag('main', content)), lang='en')}\n"
