# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that are missing although the audit trail has an event of their creation and none of their removal. Pure.

A repository must have what was made since it was created. Events of retention name removed copies and dumps in
``copies``; older ones do not, so nothing made before such an event is required.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Sequence, Set, Tuple

from ..audit.event import FAILED, Event
from ..base.errors import ObjectMissing
from ..repository.labels import begun, is_label
from ..repository.layout import MANIFEST, Layout
from .records import name_of
from .report import Finding

# An operation is recorded when it is done, by its host's clock.
_BEFORE, _AFTER = timedelta(minutes=10), timedelta(minutes=1)


@dataclass(frozen=True)
class There:
    """The contents of a repository: finished backups, copies and dumps by name (``backups/LABEL``, ``files/SET/LABEL``,
    ``dumps/DATABASE/LABEL``, as in their keys), those with files but no record, and the keys of permanent records.
    ``began``: when the repository was made.
    """

    name: str
    layout: Layout
    finished: FrozenSet[str]
    unfinished: FrozenSet[str]
    records: FrozenSet[str]
    began: Optional[datetime]


@dataclass(frozen=True)
class _Made:
    """The ``key`` of what was made; with ``near``, any key matches that begins with it, has one of the ``signs``, and
    contains a time near the event's.
    """

    key: str
    event: Event
    near: Tuple[str, ...] = ()
    signs: Tuple[str, ...] = ("",)


def missing(there: There, events: Sequence[Event]) -> List[Finding]:
    """The findings of one repository."""
    removed, unnamed = _removed(events)
    found: Dict[str, Finding] = {}
    for event in events:
        if event.result == FAILED or there.began is None or event.at < there.began:
            continue
        for made in _made(there, event):
            gone = removed.get(_owner(there.layout, made.key))
            if (gone is not None and gone >= event.at) or _is_there(there, made):
                continue
            if made.key.startswith((there.layout.files, there.layout.dumps)) and any(at >= event.at for at in unnamed):
                continue
            found.setdefault(made.key, _finding(there, made))
    return list(found.values())


def _made(there: There, event: Event) -> Iterable[_Made]:
    layout = there.layout
    for name in event.objects:
        if event.what == "backup" and is_label(name):
            yield _Made(layout.manifest(name), event)
        elif event.what == "files-backup" and name.count("/") == 1:
            file_set, label = name.split("/")
            yield _Made(layout.file_set(file_set, label, MANIFEST), event)
        elif event.what == "dump" and isinstance(event.details.get("database"), str):
            yield _Made(layout.dump(event.details["database"], name, MANIFEST), event)
        elif event.what in ("hold", "release") and is_label(name) and _took(event, "repositories", there.name):
            near = (f"{layout.holds}{name}/", f"{layout.releases}{name}/")
            # Older versions stored releases beside the holds.
            signs = ("-held-",) if event.what == "hold" else ("-released-", "/releases/")
            yield _Made(near[0], event, near, signs)
        elif event.what == "drill" and _took(event, "repositories", there.name):
            yield _Made(f"{layout.drills}{name}/{MANIFEST}", event)
        elif event.what == "erasure":
            yield _Made(f"{layout.erasures}{name}.json", event)
        elif event.what == "leader-claim" and _took(event, "repositories", there.name):
            yield _Made(f"{layout.leadership}{name}.json", event)
        elif event.what == "incident" and _took(event, "repositories", there.name):
            yield _Made(f"{layout.incidents()}{name}.json", event)
        elif event.what == "restore test" and not _took(event, "unrecorded", there.name, False):
            yield _Made(layout.restore_tests, event, (layout.restore_tests,))


def _took(event: Event, detail: str, repository: str, otherwise: bool = True) -> bool:
    """Whether the detail names the repository; ``otherwise`` if the event has no such detail."""
    names = event.details.get(detail)
    return repository in names if isinstance(names, list) else otherwise


def _is_there(there: There, made: _Made) -> bool:
    if not made.near:
        name = made.key[len(there.layout.cluster) + 1 :]
        return made.key in there.records or name.rsplit("/", 1)[0] in there.finished
    for key in there.records:
        if key.startswith(made.near) and any(sign in key for sign in made.signs):
            at = begun(key.rsplit("/", 1)[-1])
            if at is not None and made.event.at - _BEFORE <= at <= made.event.at + _AFTER:
                return True
    return False


def _owner(layout: Layout, key: str) -> str:
    """The name in events of retention: a backup's label, also for its holds; otherwise as in :class:`There`.

    Erasures and epochs have their own names, so that a note about one does not cover all.
    """
    rest = key[len(layout.cluster) + 1 :]
    if rest.startswith(("erasures/", "leadership/", "incidents/")):
        return rest.rsplit(".", 1)[0]
    return rest.split("/")[1] if rest.startswith(("backups/", "holds/")) else rest.rsplit("/", 1)[0]


def _removed(events: Iterable[Event]) -> Tuple[Mapping[str, datetime], Set[datetime]]:
    """When each name was last removed; and the times of the events that do not name copies."""
    removed: Dict[str, datetime] = {}
    unnamed: Set[datetime] = set()
    for event in (e for e in events if e.what == "prune"):
        copies = event.details.get("copies")
        if not isinstance(copies, list):
            unnamed.add(event.at)
        for name in (*event.objects, *(copies if isinstance(copies, list) else ())):
            removed[str(name)] = max(event.at, removed.get(str(name), event.at))
    return removed, unnamed


def _finding(there: There, made: _Made) -> Finding:
    name = made.key[len(there.layout.cluster) + 1 :].rsplit("/", 1)[0]
    event, what = made.event, {"hold": "The hold", "release": "The release", "restore test": "The report"}
    subject = made.key if not made.near else f"{what[event.what]} of {', '.join(event.objects)}"
    return Finding(
        there.name,
        name_of(there.layout, made.key).rstrip("/"),
        ObjectMissing(
            f"{subject} is missing in repository {there.name}, but event {event.number} of {event.chain} in the audit"
            f" trail says that it was made at {event.at:%Y-%m-%dT%H:%M:%SZ}, and none says that it was removed.",
            f"Copy it from another repository: lifeboat sync --to {there.name}. If you removed it yourself, record"
            f" that: lifeboat audit note prune --object {_owner(there.layout, made.key)}",
            key=made.key,
            repository=there.name,
            chain=event.chain,
            number=event.number,
        ),
        # A record alone can be copied if its files are there, or if it has none.
        made.key if event.what in ("erasure", "leader-claim", "incident") or name in there.unfinished else "",
    )
