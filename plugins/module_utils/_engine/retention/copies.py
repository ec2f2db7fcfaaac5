# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which copies of file sets and which dumps are removed. Pure.

As with backups, one replaces another only if it is strong: its record agrees with the listing, all its files exist with
the right sizes, those that it is based on are strong too, it is not tiny compared with the previous one, and it was
stored some time ago.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..config.retention import RetentionConfig
from ..repository.kinds import Kind
from ..repository.labels import CHANGES, label_order, type_of
from ..repository.plausible import CLOCKS, Claim, copy_fault
from ..store.protocol import ObjectInfo
from .strength import shrunk

#: The kind (``files`` or ``dump``), the set or database (percent-encoded), and the label.
CopyKey = Tuple[str, str, str]
Parts = Sequence[Tuple[Kind, ObjectInfo]]


@dataclass(frozen=True)
class CopyRecord:
    """The contents of a record: its set or database, its files with sizes, the data first, and its parents."""

    label: str
    name: str
    created_at: datetime
    files: Tuple[Tuple[str, int], ...]
    parents: Tuple[str, ...] = ()


@dataclass(frozen=True)
class CopyStanding:
    """The strong copies and dumps, and the weak and foreign ones with the reason."""

    strong: Set[CopyKey] = field(default_factory=set)
    weak: Dict[CopyKey, str] = field(default_factory=dict)
    foreign: Dict[CopyKey, str] = field(default_factory=dict)


def judge_copies(
    records: Mapping[CopyKey, CopyRecord],
    unreadable: Mapping[CopyKey, str],
    found: Mapping[CopyKey, Parts],
    policy: RetentionConfig,
    now: datetime,
    shrunk_counts: bool = False,
) -> CopyStanding:
    """The standing of each copy that has a record. ``unreadable`` are those whose record cannot be read, and why."""
    out = CopyStanding()
    before: Dict[Tuple[str, str], int] = {}
    for key in sorted(found, key=copy_order):
        parts = found[key]
        stored = next((info.modified for kind, info in parts if kind.record), None)
        if stored is None:
            continue
        record = records.get(key)
        if record is None:
            out.foreign[key] = unreadable.get(key, "its record was not read")
            continue
        if why := copy_record_fault(key, record, stored):
            out.foreign[key] = why
            continue
        infos = {info.key.rsplit("/", 1)[1]: info for kind, info in parts}
        links = [(key[0], key[1], parent) for parent in record.parents]
        size = _data_size(record) + sum(_data_size(records[link]) for link in links if link in out.strong)
        last = before.get(key[:2], 0)
        fault = _fault(record, infos, links, out)
        if fault is None and not shrunk_counts and policy.is_shrunk(size, last):
            fault = shrunk(size, last)
        if fault is None and max(stored, *(infos[n].modified for n, _size in record.files)) > now - policy.settle:
            fault = f"it was stored less than {policy.settle_hours:g} hours ago"
        if fault is None:
            out.strong.add(key)
            before[key[:2]] = size
        else:
            out.weak[key] = fault
    return out


def copy_record_fault(key: CopyKey, record: CopyRecord, stored: datetime) -> Optional[str]:
    """What cannot be true in a record that was stored at that time; None if it is plausible."""
    _what, name, label = key
    claim = Claim("", label, stored)
    why = copy_fault(
        name, "", record.label, record.created_at, claim, record.name, "", record.parents, CLOCKS
    )  # fmt: skip
    return why or (None if _data_size(record) > 0 else "it is empty")


def _fault(
    record: CopyRecord, infos: Mapping[str, ObjectInfo], links: Sequence[CopyKey], out: CopyStanding
) -> Optional[str]:
    for name, size in record.files:
        if name not in infos:
            return f"its file {name} is missing"
        if infos[name].size != size:
            return f"its file {name} has {infos[name].size} bytes instead of {size}"
    lacking = next((link[2] for link in links if link not in out.strong), None)
    return f"it is based on {lacking}, which does not count" if lacking else None


def _data_size(record: CopyRecord) -> int:
    return record.files[0][1]


def copies_that_go(
    records: Mapping[CopyKey, CopyRecord],
    standing: CopyStanding,
    found: Mapping[CopyKey, Parts],
    policy: RetentionConfig,
    now: datetime,
) -> List[CopyKey]:
    """The expired copies and dumps that a newer strong one replaces, except those that a kept one is based on.

    In the order of removal: a copy before those that it is based on.
    """
    newest: Dict[Tuple[str, str], str] = {}
    for what, name, label in standing.strong:
        newest[what, name] = max(label, newest.get((what, name), label), key=label_order)
    judged = {*standing.strong, *standing.weak}
    passed = {key for key in judged if label_order(newest.get(key[:2], "")) > label_order(key[2])}
    old = {key for key in passed if _is_past(key, found[key], policy, now)}
    needed = {
        (what, name, parent) for what, name, label in judged - old for parent in (records[what, name, label].parents)
    }
    # A copy with changes whose record cannot be read may be based on any earlier one of its set.
    unknown: Dict[Tuple[str, str], str] = {}
    for what, name, label in standing.foreign:
        if what == "files" and type_of(label) == CHANGES and (what, name, label) not in records:
            unknown[what, name] = max(label, unknown.get((what, name), label), key=label_order)
    going = {key for key in old - needed if label_order(key[2]) >= label_order(unknown.get(key[:2], ""))}
    return sorted(going, key=copy_order, reverse=True)


def copy_order(key: CopyKey) -> Tuple[str, str, Tuple[str, int, str]]:
    """The sort key by which, within a set or database, a copy comes after those that it is based on."""
    return key[0], key[1], label_order(key[2])


def _is_past(key: CopyKey, parts: Parts, policy: RetentionConfig, now: datetime) -> bool:
    stored = max(info.modified for kind, info in parts)
    return now - stored >= timedelta(days=policy.days_of_copy(key[0], key[1]))
