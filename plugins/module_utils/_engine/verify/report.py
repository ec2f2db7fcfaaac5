# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a verification: what was read, and the findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Set, Tuple

from ..base.errors import LifeboatError
from ..base.wal_names import Segment
from ..repository.records import Aside
from .survey import Foreign

# Maximum number of findings to return: a gap may have a hundred thousand segments.
_TOLD = 1000
#: The hint for an object that is damaged or missing, but may be intact in another repository.
COPY_HINT = "Copy it from another repository: lifeboat verify --repair."


@dataclass(frozen=True)
class Finding:
    """One fault. ``key`` is the object, ``segment`` a WAL segment of the cluster identity ``system``."""

    repository: str
    label: str
    error: LifeboatError
    key: str = ""
    system: str = ""
    segment: Optional[Segment] = None


@dataclass
class Verification:
    """What was read, and the findings.

    ``labels`` are backups; ``copies`` copies of file sets and dumps, as ``files/SET/LABEL`` and
    ``dumps/DATABASE/LABEL``. ``skipped`` and ``copies_skipped`` were verified recently, so they were not read.
    ``unrecorded``: repositories that did not accept a record of it. ``unopened``: the number of sealed WAL segments
    that exist, but could not be opened without an identity. ``unchecked``: keys of timeline histories without a digest.
    ``foreign``: by repository, the objects that Lifeboat did not put there; ``set_apart``: the records that do not
    count, and so do no harm. ``ahead``: messages about backups that are dated in the future.
    """

    labels: Set[str] = field(default_factory=set)
    skipped: Set[str] = field(default_factory=set)
    copies: Set[str] = field(default_factory=set)
    copies_skipped: Set[str] = field(default_factory=set)
    bytes_read: int = 0
    wal_bytes: int = 0
    segments_read: int = 0
    segments_skipped: int = 0
    unopened: int = 0
    seconds: float = 0.0
    findings: List[Finding] = field(default_factory=list)
    unrecorded: List[str] = field(default_factory=list)
    set_apart: List[Tuple[str, Aside]] = field(default_factory=list)
    unchecked: List[str] = field(default_factory=list)
    foreign: Dict[str, Foreign] = field(default_factory=dict)
    ahead: List[Tuple[str, str]] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def as_dict(self) -> Dict[str, Any]:
        """JSON-serializable data, with at most 1000 of the findings."""
        return {
            "labels": sorted(self.labels),
            "skipped": sorted(self.skipped - self.labels),
            "copies": sorted(self.copies),
            "copies_skipped": sorted(self.copies_skipped - self.copies),
            "bytes_read": self.bytes_read,
            "wal_bytes_read": self.wal_bytes,
            "segments_read": self.segments_read,
            "segments_skipped": self.segments_skipped,
            "segments_unopened": self.unopened,
            "unrecorded": list(self.unrecorded),
            "histories_without_digest": sorted(set(self.unchecked)),
            "foreign": {name: found.as_dict() for name, found in sorted(self.foreign.items()) if found.count},
            "seconds": round(self.seconds, 3),
            "intact": self.intact,
            "findings_count": len(self.findings),
            "ahead": [{"repository": name, "message": words} for name, words in self.ahead],
            "set_apart": [{"repository": name, **item.as_dict()} for name, item in self.set_apart[:_TOLD]],
            "set_apart_count": len(self.set_apart),
            "findings": [
                {"repository": f.repository, "label": f.label, "key": f.key, **f.error.as_dict()}
                for f in self.findings[:_TOLD]
            ],
        }
