# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out what happened to tables, from WAL records in order. Pure.

Changes of rows are ``Heap DELETE`` and ``UPDATE`` records of the table's file; the removal of its file is in a commit's
list of files (``rels``). The rest of the transaction shows whether it was dropped, truncated or rewritten: TRUNCATE
creates files and deletes nothing from pg_class, a drop creates none, and a rewrite (VACUUM FULL, CLUSTER, ALTER TABLE)
does both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Set, Tuple

from ..base.wal_names import format_lsn, parse_lsn
from ..records.model import format_time, read_moment

_LINE = re.compile(r"rmgr: (\S+)\s.*?tx:\s*(\d+), lsn: ([0-9A-F]+/[0-9A-F]+), prev [0-9A-F/]+, desc: (\S+) ?(.*)$")
_WANTED = ("rmgr: Heap ", "rmgr: Storage ", "rmgr: Transaction ", "rmgr: Database ")
_REL = re.compile(r"blkref #0: rel (\d+/\d+/\d+)")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC")
_RELS = re.compile(r"; rels:((?: [^\s;]+)+)")
_SUBXACTS = re.compile(r"; subxacts:((?: \d+)+)")
_PREPARED = re.compile(r"(\d+): ")
_DIRECTORY = re.compile(r"(?:dir )?(\d+/\d+)")

DELETED, UPDATED, DROPPED, TRUNCATED, REWRITTEN = "deleted", "updated", "dropped", "truncated", "rewritten"
GONE = "database dropped"


@dataclass(frozen=True)
class WalRecord:
    """One record as printed by ``pg_waldump``."""

    rmgr: str
    xid: int
    lsn: int
    kind: str
    description: str


@dataclass(frozen=True)
class Event:
    """A change of a table by a committed transaction.

    ``what``: deleted, updated (``rows`` of them), dropped, truncated, rewritten, database dropped. ``lsn`` is that of
    the commit record: exclusive recovery to it ends just before the transaction.
    """

    table: str
    what: str
    rows: Optional[int]
    xid: int
    at: datetime
    lsn: int

    def as_dict(self) -> Dict[str, object]:
        """The event as JSON-serializable data, with the target of a restore to just before it."""
        return {
            "table": self.table,
            "what": self.what,
            "rows": self.rows,
            "xid": self.xid,
            "at": format_time(self.at),
            "lsn": format_lsn(self.lsn),
            "just_before": {"target": "lsn", "target_value": format_lsn(self.lsn), "target_inclusive": False},
        }


def parse_line(line: str) -> Optional[WalRecord]:
    """The record in a line of ``pg_waldump``; None for records of other resource managers, and other lines."""
    if not line.startswith(_WANTED):
        return None
    match = _LINE.match(line)
    if match is None:
        return None
    rmgr, xid, lsn, kind, description = match.groups()
    return WalRecord(rmgr, int(xid), parse_lsn(lsn), kind, description)


def file_of(path: str) -> Optional[str]:
    """``base/5/16384`` as ``1663/5/16384``: tablespace, database and file node. None for a fork or a global file."""
    parts = path.split("/")
    if parts[0] == "base" and len(parts) == 3 and parts[2].isdigit():
        return f"1663/{parts[1]}/{parts[2]}"
    if parts[0] == "pg_tblspc" and len(parts) == 5 and parts[4].isdigit():
        return f"{parts[1]}/{parts[3]}/{parts[4]}"
    return None


@dataclass
class _Transaction:
    """The changes of one transaction, or subtransaction, so far."""

    rows: Dict[Tuple[str, str], int] = field(default_factory=dict)
    created: List[str] = field(default_factory=list)
    undescribed: bool = False
    directories: Set[str] = field(default_factory=set)

    def join(self, other: _Transaction) -> None:
        """Merge a subtransaction."""
        for key, number in other.rows.items():
            self.rows[key] = self.rows.get(key, 0) + number
        self.created += other.created
        self.undescribed = self.undescribed or other.undescribed
        self.directories |= other.directories


class Trace:
    """Follows tables of one database through WAL.

    ``files`` are tables by their files (``1663/5/16384``) at the beginning of the WAL; ``catalog`` is the file of
    pg_class. ``lost`` are tables whose file was replaced by an unknown one, so that later changes are not found.
    """

    def __init__(self, files: Mapping[str, str], catalog: str) -> None:
        self._files, self._catalog = dict(files), catalog
        self._open: Dict[int, _Transaction] = {}
        self.lost: Dict[str, datetime] = {}

    def feed(self, record: WalRecord) -> List[Event]:
        """Take the next record; the events that it commits."""
        if record.rmgr == "Heap":
            self._heap(record)
        elif record.rmgr == "Storage" and record.kind == "CREATE":
            made = file_of(record.description.split(" ")[0].rstrip(";,"))
            if made:
                self._of(record.xid).created.append(made)
        elif record.rmgr == "Database" and record.kind.startswith("DROP"):
            self._of(record.xid).directories |= set(_DIRECTORY.findall(record.description))
        elif record.rmgr == "Transaction":
            return self._end(record)
        return []

    def _of(self, xid: int) -> _Transaction:
        return self._open.setdefault(xid, _Transaction())

    def _heap(self, record: WalRecord) -> None:
        what = {"DELETE": DELETED, "UPDATE": UPDATED, "HOT_UPDATE": UPDATED}.get(record.kind.split("+")[0])
        match = _REL.search(record.description) if what else None
        if what is None or match is None:
            return
        table = self._files.get(match.group(1))
        if table is not None:
            rows = self._of(record.xid).rows
            rows[table, what] = rows.get((table, what), 0) + 1
        elif match.group(1) == self._catalog and what == DELETED:
            self._of(record.xid).undescribed = True

    def _end(self, record: WalRecord) -> List[Event]:
        if not record.kind.startswith(("COMMIT", "ABORT")):
            return []
        prepared = _PREPARED.match(record.description)
        xid = int(prepared.group(1)) if prepared else record.xid
        whole = self._open.pop(xid, _Transaction())
        subxacts = _SUBXACTS.search(record.description)
        for text in subxacts.group(1).split() if subxacts else ():
            whole.join(self._open.pop(int(text), _Transaction()))
        moment = _MOMENT.search(record.description)
        if record.kind.startswith("ABORT") or moment is None:
            return []
        at = read_moment(moment.group(1) + "Z")
        found = [Event(table, what, rows, xid, at, record.lsn) for (table, what), rows in whole.rows.items()]
        rels = _RELS.search(record.description)
        gone = [f for f in map(file_of, rels.group(1).split()) if f] if rels else []
        found += self._replaced(whole, [f for f in gone if f in self._files], xid, at, record.lsn)
        for directory in whole.directories:
            for file in [f for f in self._files if f.rsplit("/", 1)[0] == directory]:
                found.append(Event(self._files.pop(file), GONE, None, xid, at, record.lsn))
        return found

    def _replaced(self, whole: _Transaction, gone: List[str], xid: int, at: datetime, lsn: int) -> Iterable[Event]:
        what = DROPPED if not whole.created else REWRITTEN if whole.undescribed else TRUNCATED
        tables = [self._files.pop(file) for file in gone]
        # TRUNCATE creates the table's own file first, then those of its TOAST table and its indexes.
        if what == TRUNCATED and len(tables) == 1:
            self._files[whole.created[0]] = tables[0]
        elif what != DROPPED:
            self.lost.update(dict.fromkeys(tables, at))
        return [Event(table, what, None, xid, at, lsn) for table in tables]


def trace(lines: Iterable[str], tracer: Trace, until: Optional[datetime] = None) -> Iterator[Event]:
    """The events of these lines of ``pg_waldump``, up to the first commit after ``until``."""
    for line in lines:
        record = parse_line(line)
        if record is None:
            continue
        for event in tracer.feed(record):
            if until is not None and event.at > until:
                return
            yield event


def joined(events: Iterable[Event]) -> List[Event]:
    """The events without changes of rows by a transaction that also dropped their table."""
    found = list(events)
    dropped = {(e.table, e.xid) for e in found if e.what in (DROPPED, GONE)}
    return [replace(e) for e in found if e.what not in (DELETED, UPDATED) or (e.table, e.xid) not in dropped]
