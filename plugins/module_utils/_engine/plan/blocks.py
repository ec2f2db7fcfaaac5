# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A document of few kinds of blocks, and how it is written as HTML and as Markdown. Pure. All text in it is text of
others: it is escaped in both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Sequence, Tuple, Union

from ..records.fields import printable
from ..report.markup import Child, Markup, tag
from ..report.page import whole_page


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Items:
    """A list. ``warn``: each item is something that is wrong."""

    texts: Tuple[str, ...]
    warn: bool = False


@dataclass(frozen=True)
class Rows:
    """A table; ``head`` names its columns. A cell that begins with :data:`BAD` is something that is wrong."""

    head: Tuple[str, ...]
    rows: Tuple[Tuple[str, ...], ...]


@dataclass(frozen=True)
class Commands:
    """Commands to paste, and what they do."""

    what: str
    lines: Tuple[str, ...]


Block = Union[Words, Items, Rows, Commands]
#: The mark of a cell that is wrong, and the column whose numbers a phone dials.
BAD, PHONE = "✗ ", "phone"


@dataclass(frozen=True)
class Section:
    """A heading and what is below it; ``anchor`` names it in links, ``parts`` are its subsections."""

    title: str
    anchor: str
    blocks: Tuple[Block, ...] = ()
    parts: Tuple[Section, ...] = ()


@dataclass(frozen=True)
class Document:
    """The whole of it."""

    title: str
    lead: str
    sections: Tuple[Section, ...]


# --- Markdown -------------------------------------------------------------------------------------------------------


def markdown(told: Document) -> str:
    """The document as Markdown."""
    lines = [f"# {plain(told.title)}", "", plain(told.lead), ""]
    for section in told.sections:
        lines += _section(section, 2)
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, level: int) -> List[str]:
    lines = [f"{'#' * level} {plain(section.title)}", ""]
    for block in section.blocks:
        lines += [*_block(block), ""]
    for part in section.parts:
        lines += _section(part, level + 1)
    return lines


def _block(block: Block) -> List[str]:
    if isinstance(block, Words):
        return [plain(block.text)]
    if isinstance(block, Items):
        return [f"- {plain(text)}" for text in block.texts]
    if isinstance(block, Commands):
        # A fence longer than any in the text ends only where it should.
        body = [printable(line) for line in block.lines]
        longest = max((len(found) for line in body for found in re.findall("`+", line)), default=0)
        fence = "`" * max(3, longest + 1)
        return [plain(block.what), "", fence, *body, fence]
    head = "| " + " | ".join(plain(cell) for cell in block.head) + " |"
    rows = ["| " + " | ".join(plain(cell) for cell in row) + " |" for row in block.rows]
    return [head, "|" + "---|" * len(block.head), *rows]


def plain(text: str) -> str:
    """One line of text that is no markup."""
    # An underscore inside a word is none of markup, and stands in most names.
    return re.sub(r"([\\`*{}\[\]<>#|!&~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))", r"\\\1", one_line(text))


def one_line(text: object) -> str:
    """Text of a record as one line: another one could pass for a line of the document."""
    return printable(" ".join(str(text).split()))


# --- HTML -----------------------------------------------------------------------------------------------------------

_MORE = """
.contents { columns: 2; column-gap: 32px; margin: 0; padding: 0 0 0 20px; font-size: 14px; }
.contents a, .contents a:visited { color: var(--bar); text-decoration: none; }
section.chapter { margin: 0 0 8px; } .wide { overflow-x: auto; margin: 0 0 16px; } .card .wide:last-child { margin: 0; }
.card > div:first-child > h3:first-child { margin-top: 0; } td a, td a:visited { color: var(--bar); }
.wide td { overflow-wrap: break-word; min-width: 6em; }
.wrong { color: var(--bad); font-weight: 600; } ul.warn li { margin: 0 0 4px; }
ul.warn li::marker { color: var(--bad); }
.command { break-after: avoid; margin: 12px 0 4px; font-size: 14px; font-weight: 600; }
h3 { break-after: avoid; } .card h3:not(:first-child) { margin-top: 26px; }
@media (max-width: 600px) { main { padding: 16px 12px 32px; } .card { padding: 14px; } .contents { columns: 1; }
  .stack thead { display: none; } .stack tr { display: block; padding: 8px 0; border-bottom: 1px solid var(--line); }
  .stack td { display: grid; grid-template-columns: 7.5em 1fr; gap: 8px; border: 0; padding: 2px 0; }
  .stack td::before { content: attr(data-head); color: var(--soft); } }
@media print { :root { color-scheme: light; --card: #fff; --ink: #000; --soft: #444; --code: #f4f4f4; --bad: #a01010; }
  .card { border: 0; padding: 0; } pre { border: 1px solid #ccc; break-inside: avoid; } .card { break-inside: auto; }
  h1 { font-size: 22pt; } h2 { font-size: 15pt; margin-top: 20pt; } table { font-size: 9pt; } pre { font-size: 8.5pt; }
  @page { margin: 16mm 14mm; } }
"""


def page(told: Document) -> str:
    """The whole, self-contained page, for a screen, a phone and paper."""
    links = [tag("li", tag("a", section.title, href=f"#{section.anchor}")) for section in told.sections]
    return whole_page(
        told.title,
        tag("div", "Lifeboat · disaster recovery plan", cls="kicker"),
        tag("h1", told.title),
        tag("p", told.lead, cls="lead"),
        tag("nav", tag("ol", links, cls="contents"), cls="card"),
        [_chapter(section) for section in told.sections],
        tag("footer", "The same as text: plan.md. For each cluster without Lifeboat: by-hand-CLUSTER.txt."),
        style=_MORE,
    )


def _chapter(section: Section) -> Markup:
    return tag(
        "section",
        tag("h2", section.title),
        tag("div", _inside(section), cls="card"),
        cls="chapter",
        id=section.anchor,
    )


def _inside(section: Section) -> List[Child]:
    return [
        *[_shown(block) for block in section.blocks],
        *[tag("div", tag("h3", part.title), _inside(part), id=part.anchor) for part in section.parts],
    ]


def _shown(block: Block) -> Markup:
    if isinstance(block, Words):
        return tag("p", block.text)
    if isinstance(block, Items):
        return tag("ul", [tag("li", text) for text in block.texts], cls="warn" if block.warn else None)
    if isinstance(block, Commands):
        return tag("div", tag("p", block.what, cls="command"), tag("pre", "\n".join(block.lines)))
    rows = [[_cell(name, text) for name, text in zip(block.head, row)] for row in block.rows]
    head = tag("thead", tag("tr", [tag("th", name) for name in block.head]))
    body = tag("tbody", [tag("tr", row) for row in rows])
    return tag("div", tag("table", head, body, cls="stack"), cls="wide")


def _cell(head: str, text: str) -> Markup:
    if head == PHONE and re.fullmatch(r"\+?[0-9][0-9 ()/.-]*", text):
        return tag("td", tag("a", text, href=f"tel:{re.sub('[^+0-9]', '', text)}"), data_head=head)
    return tag("td", tag("span", text, cls="wrong" if text.startswith(BAD) else None), data_head=head)


def joined(parts: Sequence[str], otherwise: str = "none") -> str:
    """The parts that are not empty, with commas."""
    return ", ".join(part for part in parts if part) or otherwise
