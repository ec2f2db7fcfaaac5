# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drills in a repository: of each its record, and the files that the record names. Written once, the record last.

The record is a claim like any other: its label is that of its key, its time not later than the store's, its files are
listed in their sizes.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base.errors import ObjectCorrupt, ObjectMissing
from ..records.fields import MOST_SMALL, Fields
from ..records.model import FORMAT, ArchiveFile, format_time, open_fields, read_file
from ..store.protocol import ObjectInfo
from .kinds import kind_of
from .labels import begun
from .layout import DRILL, MANIFEST
from .plausible import Claim, apart, implausible, lacking, late, settled
from .records import Aside, StoredRecord, read_listed
from .repository import Repository

#: So many drills are read, the newest first: whoever may store can store thousands.
MOST = 500
REPORT, PAGE, EVIDENCE, CHECKLIST, SUMS = (
    "report.json", "report.html", "evidence.tar.gz", "checklist.json", "SHA256SUMS",
)  # fmt: skip
FILES = (REPORT, PAGE, EVIDENCE, CHECKLIST, SUMS)
_FILE = re.compile(rf"(?:{'|'.join(re.escape(name) for name in FILES)})\Z")
_LABEL = re.compile(rf"{DRILL}\Z", re.ASCII)
#: How a scenario may be named.
SCENARIO = re.compile(r"[a-z][a-z0-9_]{0,31}\Z", re.ASCII)


@dataclass(frozen=True)
class Drill:
    """One drill. Times are aware, durations seconds; None is what was not measured, or not promised.

    ``cluster`` is the one in whose repository it is kept, ``rehearsed`` the drill's own. ``lost_transactions`` are the
    acknowledged commits missing at the latest possible point.
    """

    label: str
    scenario: str
    cluster: str
    rehearsed: str
    host: str
    passed: bool
    started_at: datetime
    finished_at: datetime
    stored_at: datetime
    rto: Optional[float]
    rpo: Optional[float]
    lost_transactions: Optional[int]
    objective_rto: Optional[float]
    objective_rpo: Optional[float]
    checks: int
    checks_passed: int
    failure: str
    files: Tuple[ArchiveFile, ...]

    @property
    def missed(self) -> Tuple[str, ...]:
        """The objectives of the drill that it did not meet: ``rto``, ``rpo``."""
        pairs = (("rto", self.rto, self.objective_rto), ("rpo", self.rpo, self.objective_rpo))
        return tuple(name for name, value, most in pairs if value is not None and most is not None and value > most)

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it."""
        times = {name: format_time(getattr(self, name)) for name in ("started_at", "finished_at", "stored_at")}
        return {"format": FORMAT, **asdict(self), **times, "files": [asdict(file) for file in self.files]}


def load_drill(raw: bytes, key: str) -> Drill:
    """The record of these bytes; ObjectCorrupt (naming ``key``) when anything is off."""
    fields = open_fields(raw, key, MOST_SMALL)
    return Drill(
        label=fields.text("label", _LABEL),
        scenario=fields.text("scenario", SCENARIO),
        cluster=fields.text("cluster", most=255),
        rehearsed=fields.text("rehearsed", most=255),
        host=fields.text("host", most=255),
        passed=fields.flag("passed"),
        started_at=fields.moment("started_at"),
        finished_at=fields.moment("finished_at"),
        stored_at=fields.moment("stored_at"),
        rto=_number(fields, "rto"),
        rpo=_number(fields, "rpo"),
        lost_transactions=fields.integer("lost_transactions") if fields.has("lost_transactions") else None,
        objective_rto=_number(fields, "objective_rto"),
        objective_rpo=_number(fields, "objective_rpo"),
        checks=fields.integer("checks"),
        checks_passed=fields.integer("checks_passed"),
        failure=fields.lines("failure"),
        files=tuple(read_file(inner, _FILE) for inner in fields.inners("files")),
    )


def _number(fields: Fields, name: str) -> Optional[float]:
    return float(fields.number(name)) if fields.has(name) else None


def drill_fault(drill: Drill, claim: Claim, cluster: str) -> Optional[str]:
    """What cannot be true in the record of a drill; None for a plausible one. Pure."""
    if drill.label != claim.label:
        return f"it claims the label {drill.label}"
    if drill.cluster != cluster:
        return f"it is of the cluster {drill.cluster}"
    if drill.label.split("-", 1)[1] != drill.scenario:
        return f"it claims the scenario {drill.scenario}"
    if drill.passed and drill.checks_passed != drill.checks:
        return f"it claims to have passed with {drill.checks_passed} of {drill.checks} checks"
    names = [file.name for file in drill.files]
    if len(set(names)) < len(names) or not {REPORT, SUMS} <= set(names):
        return f"it names a file twice, or no {REPORT} or {SUMS}"
    why = apart(drill.stored_at, begun(claim.label)) or late(drill.stored_at, claim.stored)
    return why or late(drill.finished_at, claim.stored) or _order(drill)


def _order(drill: Drill) -> Optional[str]:
    if drill.started_at <= drill.finished_at:
        return None
    return f"it ended at {format_time(drill.finished_at)}, before it began"


@dataclass(frozen=True)
class Drills:
    """The plausible ones, oldest first by when the store had them, and what was set apart."""

    items: Tuple[Drill, ...] = ()
    aside: Tuple[Aside, ...] = ()

    @property
    def last(self) -> Optional[Drill]:
        """The newest one."""
        return self.items[-1] if self.items else None

    @property
    def last_passed(self) -> Optional[Drill]:
        """The newest one that passed."""
        return next((drill for drill in reversed(self.items) if drill.passed), None)


def read_drills(repository: Repository) -> Drills:
    """The newest :data:`MOST`: one listing, and a small get for each."""
    cluster = repository.layout.cluster
    sizes: Dict[str, Dict[str, int]] = {}
    records: List[ObjectInfo] = []
    for info in repository.store.list(repository.layout.drills):
        kind = kind_of(cluster, info.key)
        if kind.name != "drill":
            continue
        sizes.setdefault(kind.owner, {})[kind.part] = info.size
        if kind.record:
            records.append(info)
    # By the time of the store: a label of the future would take the place of another one forever.
    records.sort(key=lambda info: (info.modified, info.key))
    found: List[Tuple[datetime, str, Drill]] = []
    aside: List[Aside] = []
    for stored in read_listed(repository, records[-MOST:]):
        label = kind_of(cluster, stored.key).owner
        try:
            drill = _believed(stored, sizes[label], cluster)
        except ObjectCorrupt as exc:
            aside.append(Aside(stored.key, exc))
            continue
        found.append((settled(drill.stored_at, stored.info.modified), label, drill))
    return Drills(tuple(drill for _at, _label, drill in sorted(found, key=lambda item: item[:2])), tuple(aside))


def _believed(stored: StoredRecord, sizes: Mapping[str, int], cluster: str) -> Drill:
    """The drill of this record; ObjectCorrupt where it was not read, is damaged, or cannot be true."""
    if stored.error is not None:
        raise stored.error
    drill = load_drill(stored.raw, stored.key)
    claim = Claim(stored.key, kind_of(cluster, stored.key).owner, stored.info.modified)
    why = drill_fault(drill, claim, cluster) or lacking(drill.files, sizes)
    if why:
        raise implausible(stored.key, why)
    return drill


def find_drill(repository: Repository, label: str) -> Drill:
    """The drill of this label; ObjectMissing."""
    found = read_drills(repository)
    chosen = next((drill for drill in found.items if drill.label == label), None)
    if chosen is None:
        known = ", ".join(drill.label for drill in found.items[-5:]) or "none"
        apart_here = next((item.error.message for item in found.aside if f"/{label}/" in item.key), "")
        raise ObjectMissing(
            f"Repository {repository.location} has no drill {label} (newest: {known}). {apart_here}".rstrip(),
            "lifeboat drill list shows all.",
            key=f"{repository.layout.drills}{label}/{MANIFEST}",
        )
    return chosen
