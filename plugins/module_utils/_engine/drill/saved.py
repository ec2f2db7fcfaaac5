# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section of the page about the loss with and without the WAL stream (see :mod:`.comparison`)."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ..report.markup import Markup, count, join, moment, seconds, table, tag


def saved(rpo: Optional[Mapping[str, Any]]) -> Optional[Markup]:
    """A table with two rows; None if nothing was streamed, or a restore is missing."""
    stream = rpo["stream"] if rpo else None
    if not stream:
        return None
    rows = []
    for name, loss in (("With the stream", stream["with"]), ("Without it", stream["without"])):
        ends = (moment(loss["last_survivor_at"]), loss["wal_end"] or "", f"restore {loss['restore']}")
        rows.append([tag("b", name), tag("b", seconds(loss["seconds"])), count(loss["transactions"]), *ends])
    words = (
        "One disaster, and two restores of the same repository to the latest moment: with the pieces of the unfinished"
        f" segment, and without them. The pieces alone restored {count(stream['saved_transactions'])} commits."
    )
    heads = ["", "Data lost (RPO)", "Commits lost", "Last restored commit", "WAL ends at", "Seen in"]
    return join(
        [
            tag("h2", "What streaming saved"),
            tag("section", tag("p", words, cls="soft"), table(heads, rows, cls="num"), cls="card"),
        ]
    )
