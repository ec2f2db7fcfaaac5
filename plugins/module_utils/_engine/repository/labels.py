# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels of backups, copies of file sets and dumps: when they began, and their kind."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Optional, Tuple

#: A regular expression for a backup's label (ASCII).
LABEL = r"\d{8}T\d{6}Z-(?:full|diff|incr)"
_LABEL = re.compile(rf"{LABEL}\Z", re.ASCII)
_SHORT = {"differential": "diff", "incremental": "incr"}
#: The suffixes of the labels of copies of file sets: complete, or only with changes.
FILES, CHANGES = "files", "changes"


def make_label(started: datetime, backup_type: str) -> str:
    """``20261122T020000Z-full``, ``…-diff``, ``…-incr``: the time the backup started, in UTC, and its type."""
    return f"{stamp(started)}-{_SHORT.get(backup_type, backup_type)}"


def stamp(moment: datetime) -> str:
    """``20261122T020000Z``: a moment in UTC, in the form of labels and keys."""
    return f"{moment.astimezone(timezone.utc):%Y%m%dT%H%M%SZ}"


def type_of(label: str) -> str:
    """The reverse of :func:`make_label`: the type of the backup of this label."""
    word = label.rsplit("-", 1)[-1]
    return next((name for name, short in _SHORT.items() if short == word), word)


def label_order(label: str) -> Tuple[str, int, str]:
    """The sort key of labels. Within a second, those with a parent come after those without, incremental ones last."""
    return label[:16], {"full": 0, FILES: 0, "differential": 1}.get(type_of(label), 2), label


def begun(label: str) -> Optional[datetime]:
    """The reverse of :func:`make_label`: when the backup began; None if it is not one of our labels."""
    try:
        return datetime.strptime(label[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def is_label(text: str) -> bool:
    """Whether this is a backup's label."""
    return bool(_LABEL.match(text))
