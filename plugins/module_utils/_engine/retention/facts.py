# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the facts for a retention plan from a repository."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from ..base.errors import ObjectCorrupt, ObjectMissing, RecordImplausible, RecordTooNew
from ..config.retention import RetentionConfig
from ..repository.catalog import load_catalog
from ..repository.chain import Chains
from ..repository.dumps import load_dump
from ..repository.file_sets import load_copy
from ..repository.histories import read_histories
from ..repository.holds import look_at_holds
from ..repository.kinds import kind_of
from ..repository.layout import database_part
from ..repository.leases import being_written
from ..repository.records import Aside, foreign
from ..repository.repository import Repository
from ..repository.restore_tests import last_tested
from ..repository.verifications import read_all_known
from .copies import CopyKey, CopyRecord
from .given import Facts, without_history
from .strength import Evidence

_PARALLEL = 8


def read_facts(repository: Repository, policy: RetentionConfig, now: datetime) -> Tuple[Facts, List[Aside]]:
    """All facts except the listing, and what was set apart meanwhile. Costs one small get for each record."""
    catalog, holds = load_catalog(repository), look_at_holds(repository)
    known, before = read_all_known(repository, now - policy.settle)
    chains, held = catalog.chains(), {label: event.reason for label, event in holds.held.items()}
    verified, settled = set(known.labels), set(before.labels)
    copies, unreadable, sets = read_copies(repository)
    aside = [*holds.aside, *known.aside, *(foreign(key) for key in catalog.foreign)]
    aside += (Aside(repository.layout.manifest(d.label), d.error) for d in catalog.damaged)
    told: Dict[str, Dict[int, str]] = {}
    unclear: Dict[str, str] = {}
    for system in repository.systems():
        found = read_histories(repository, system)
        told[system], doubted = found.texts, found.aside(repository, system)
        aside += (Aside(key, error) for key, error in doubted.items())
        # The origin of the timeline is unknown: keep all backups that it may need.
        if any(not isinstance(error, RecordImplausible) for error in doubted.values()):
            unclear[system] = f"a history of {system} is damaged"
        else:
            why = without_history(catalog.of_system(system), found)
            unclear.update({system: why} if why else {})
        if system in unclear:
            held.update({b.label: unclear[system] for b in catalog.of_system(system)})
    newer = [d.label for d in catalog.damaged if d.newer]
    if newer:
        # It needs WAL and may need a parent; which, only the newer release can read.
        why = f"backup {newer[0]} was made by a newer Lifeboat: upgrade Lifeboat on this host"
        unclear.update(dict.fromkeys(repository.systems(), why))
        held.update(dict.fromkeys((b.label for b in catalog.backups), why))
    return Facts(
        cluster=repository.layout.cluster,
        chains=chains,
        damaged={d.label: d.error.message for d in catalog.damaged},
        histories=told,
        held=held,
        unclear=unclear,
        evidence=Evidence(verified & settled, _restored(repository, chains, now - policy.settle)),
        verified=verified | settled,
        copies=copies,
        unreadable=unreadable,
        newer=sets,
        writing=being_written(repository, now),
    ), aside


def _restored(repository: Repository, chains: Chains, until: datetime) -> Set[str]:
    """The backups that passed a restore test, with those that they are based on."""
    tested = last_tested(repository, until)
    labels = [label for label, found in tested.items() if found.proven and label in chains.whole]
    return {link.label for label in labels for link in chains.whole[label]}


def read_copies(
    repository: Repository,
) -> Tuple[Dict[CopyKey, CopyRecord], Dict[CopyKey, str], FrozenSet[Tuple[str, str]]]:
    """The records of all copies of file sets and of all dumps, reasons why others cannot be read, and the sets and
    databases with records of a newer Lifeboat.
    """
    newer: Set[Tuple[str, str]] = set()
    cluster, layout = repository.layout.cluster, repository.layout
    keys: List[Tuple[CopyKey, str]] = []
    for prefix in (layout.files, layout.dumps):
        for info in repository.store.list(prefix):
            kind = kind_of(cluster, info.key)
            if kind.record and kind.name in ("files", "dump"):
                keys.append(((kind.name, kind.part, kind.owner), info.key))

    def read(key: str) -> Tuple[Optional[CopyRecord], str]:
        try:
            return copy_record(kind_of(cluster, key).name, repository.get_record(key), key), ""
        except ObjectCorrupt as exc:
            if isinstance(exc, RecordTooNew):
                newer.add((kind_of(cluster, key).name, kind_of(cluster, key).part))
            return None, exc.message
        except ObjectMissing:
            return None, "its record has just been removed"

    with ThreadPoolExecutor(_PARALLEL, "lifeboat-records") as pool:
        found = list(zip(keys, pool.map(read, [key for _copy, key in keys])))
    return (
        {copy: record for (copy, _key), (record, _why) in found if record is not None},
        {copy: why for (copy, _key), (record, why) in found if record is None},
        frozenset(newer),
    )


def copy_record(what: str, raw: bytes, key: str) -> CopyRecord:
    """The record of a copy (``files``) or dump (``dump``); ObjectCorrupt if it cannot be read."""
    if what == "dump":
        dump = load_dump(raw, key)
        files = tuple((f.name, f.size) for f in (dump.data, dump.globals))
        return CopyRecord(dump.label, database_part(dump.database), dump.created_at, files)
    copy = load_copy(raw, key)
    stored = tuple((f.name, f.size) for f in copy.files)
    return CopyRecord(copy.label, copy.file_set, copy.created_at, stored, copy.parents)
