# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the permanent records: the owner of the repository, holds, reports of restore tests, erasures, epochs and
events of incidents.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Dict, Iterable, List, Mapping, Optional, Set

from ..base.errors import ErasureFailed, LifeboatError, ObjectCorrupt, ObjectMissing
from ..incident.record import load_event
from ..leadership.record import load_epoch
from ..records.model import open_record, parse_time
from ..repository.erasures import load_erasure
from ..repository.kinds import kind_of
from ..repository.labels import begun
from ..repository.layout import Layout
from ..repository.repository import Repository
from .report import COPY_HINT, Finding

_PARALLEL = 8
_APART = timedelta(minutes=10)


def require_sound(layout: Layout, key: str, raw: bytes) -> None:
    """ObjectCorrupt unless ``raw`` is the record that belongs under this key. Pure."""
    try:
        if _named(layout, key, raw) == key:
            return
    except ErasureFailed as exc:
        raise ObjectCorrupt(exc.message, COPY_HINT, key=key) from exc
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise ObjectCorrupt(f"{key} has a missing or invalid field: {exc}.", COPY_HINT, key=key) from exc
    raise ObjectCorrupt(f"{key} contains another object's record.", COPY_HINT, key=key)


def _named(layout: Layout, key: str, raw: bytes) -> str:
    """The key that the record must have according to its contents."""
    kind, token = kind_of(layout.cluster, key), key.rsplit("-", 1)[-1][: -len(".json")]
    if kind.name == "erasure":
        erasure = load_erasure(raw, key)
        return layout.erasure(erasure.recorded_at, erasure.id.rsplit("-", 1)[-1])
    if kind.name == "epoch":
        epoch = load_epoch(raw, key)
        return layout.epoch(epoch.system, epoch.number)
    if kind.name == "incident":
        event = load_event(raw, key)
        return layout.incident_event(event.incident, event.number)
    data: Mapping[str, Any] = open_record(raw, key)
    if kind.name in ("hold", "release"):
        return _named_by_hold(layout, key, data, token)
    if kind.name == "report":
        return layout.restore_test(parse_time(data["ended_at"]), token)
    if data["cluster"] != layout.cluster:
        return ""
    return layout.repository if key == layout.repository else layout.system(data["system_identifier"])


def _named_by_hold(layout: Layout, key: str, data: Mapping[str, Any], token: str) -> str:
    """The key of a hold or release; older versions stored releases beside the holds."""
    label, at, held = data["label"], parse_time(data["at"]), data["held"]
    if "-released-" in key.rsplit("/", 1)[1]:
        return "" if held else layout.hold(label, at, token).replace("-held-", "-released-")
    return layout.hold(label, at, token) if held else layout.release(label, at, token)


def read_lasting(repository: Repository, keys: Iterable[str]) -> List[Finding]:
    """Read these records; the findings, including the store's errors."""

    def one(key: str) -> Optional[LifeboatError]:
        try:
            require_sound(repository.layout, key, repository.get_record(key))
        except LifeboatError as exc:
            return exc
        return None

    chosen = sorted(keys)
    with ThreadPoolExecutor(_PARALLEL, "lifeboat-verify") as pool:
        answers = list(pool.map(one, chosen))
    return [Finding(repository.name, name_of(repository.layout, k), e, k) for k, e in zip(chosen, answers) if e]


def name_of(layout: Layout, key: str) -> str:
    """The name of an object in a finding: a backup's label, or else the key without cluster and extension."""
    kind, rest = kind_of(layout.cluster, key), key[len(layout.cluster) + 1 :]
    if kind.name == "backup":
        return kind.owner
    return rest.rsplit("/", 1)[0] if kind.record else rest.rsplit(".", 1)[0]


def alike(cluster: str, key: str, other: str) -> bool:
    """Whether these are keys of the same record in two repositories. Holds and reports have another token in each;
    holds also have another time, because one command holds a backup in one repository after the other.
    """
    kinds = (kind_of(cluster, key), kind_of(cluster, other))
    if key == other or kinds[0] != kinds[1] or kinds[0].name not in ("hold", "report"):
        return key == other
    if kinds[0].name == "report":
        return key.rsplit("-", 1)[0] == other.rsplit("-", 1)[0]
    times = [begun(k.rsplit("/", 1)[-1]) for k in (key, other)]
    if times[0] is None or times[1] is None or ("-held-" in key) != ("-held-" in other):
        return False
    return abs(times[0] - times[1]) < _APART


def required(repository: Repository, known: Mapping[str, object], backups: Set[str], wal: Set[str]) -> List[Finding]:
    """Findings for mandatory records that are not among the keys of ``known``: the repository's own, and one for each
    system identifier of ``backups`` and ``wal``. Pure.
    """
    layout = repository.layout
    needed: Dict[str, str] = {layout.system(system): f"it has WAL of {system}" for system in wal}
    needed.update({layout.system(system): f"it has backups of {system}" for system in backups})
    if needed:
        needed[layout.repository] = "it has backups or WAL"
    return [
        Finding(
            repository.name,
            name_of(layout, key),
            ObjectMissing(
                f"{key} is missing in repository {repository.location}, although {why}: it was deleted, or they belong"
                " to another cluster.",
                f"{COPY_HINT} If there is no other one, the next archived segment or backup of this cluster creates it"
                " again.",
                key=key,
                repository=repository.name,
            ),
            key,
        )
        for key, why in sorted(needed.items())
        if key not in known
    ]
