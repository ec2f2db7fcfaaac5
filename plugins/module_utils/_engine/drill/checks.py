# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check of a restored server, as a pure decision over observations.

A check has the expected and the actual value, and the command or query to repeat it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..base.wal_names import parse_lsn
from ..records.model import format_time, parse_time, read_moment
from .judge import Verdict
from .ledger import PAYLOAD_SQL
from .stored import stored_end, with_pieces
from .survey import fingerprint_sql

_HELD = "SELECT id FROM lifeboat_ledger, compared with ledger.jsonl"


@dataclass(frozen=True)
class Check:
    """One statement about a restored server and its evidence."""

    id: str
    title: str
    ok: bool
    expected: str
    found: str
    how: str

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Observed:
    """The observations of ``prove``. ``source`` and ``clone`` are surveys; ``before`` and ``after``: objects and sizes.

    ``amcheck`` and ``push`` are programs that ran: ``command``, ``status``, ``output``; ``error_code`` of the latter.
    """

    restore: Mapping[str, Any]
    marks: Mapping[str, Any]
    disaster: Mapping[str, Any]
    source: Mapping[str, Any]
    clone: Mapping[str, Any]
    verdict: Verdict
    wrong_payloads: Sequence[int]
    amcheck: Mapping[str, Any]
    push: Mapping[str, Any]
    before: Mapping[str, int]
    after: Mapping[str, int]


def checks(seen: Observed) -> List[Check]:
    """All checks, in the order of the report."""
    return [
        _target(seen),
        _opened(seen),
        _complete(seen.verdict),
        _nothing_more(seen.verdict),
        _payloads(seen.wrong_payloads, seen.verdict),
        *_dropped(seen),
        _databases(seen),
        _tables(seen),
        *_balances(seen),
        *_tablespaces(seen),
        _amcheck(seen.amcheck),
        _not_archiving(seen.clone),
        _push_refused(seen.push),
        _untouched(seen.before, seen.after),
    ]


def _target(seen: Observed) -> Check:
    target, result = seen.restore["target"], seen.restore["result"]
    reached, lsn = result.get("reached_time"), result["reached_lsn"]
    how = f"the replayed commit and LSN at the end of recovery, in the server log {result['log']}"
    if target["kind"] == "time":
        moment = read_moment(target["value"])
        return Check(
            "target",
            "Recovery stopped at the target",
            reached is not None and parse_time(reached) <= moment,
            f"last replayed commit not after {format_time(moment)}",
            f"last replayed commit {reached}, LSN {lsn}",
            how,
        )
    stored = seen.disaster.get("stored")
    wanted, ok = "the backup", True
    if stored:
        whole, end = parse_lsn(stored["whole_lsn"]), stored_end(target, stored)
        ok = whole - int(seen.source["segment_size"]) < parse_lsn(lsn) <= end
        wanted = f"replayed into the last complete segment, which ends at {stored['whole_lsn']}"
        if end > whole:
            wanted += f", and on into the pieces, which end at {stored['pieced_lsn']}"
    return Check(
        "target",
        "Recovery used all stored WAL" if with_pieces(target) else "Recovery ended with the complete segments",
        ok,
        wanted,
        f"last replayed commit {reached}, LSN {lsn}",
        f"{how}; the store's objects after the disaster",
    )


def _opened(seen: Observed) -> Check:
    result = seen.restore["result"]
    opened = seen.restore.get("opened_at")
    ok = bool(opened) and not seen.clone["in_recovery"] and result["timeline"] > result["parent_timeline"]
    return Check(
        "open",
        "The server accepts writes, on its own timeline",
        ok,
        f"a committed CREATE TABLE; a timeline after {result['parent_timeline']}",
        f"committed {opened or 'never'}; timeline {result['timeline']}",
        "CREATE TABLE lifeboat_reopened AS SELECT clock_timestamp(); SELECT pg_is_in_recovery(); pg_controldata",
    )


def _complete(verdict: Verdict) -> Check:
    missing = verdict.missing
    found = f"{verdict.required - len(missing)} of them" if not missing else f"{len(missing)} missing: {_some(missing)}"
    return Check(
        "complete",
        "Every acknowledged commit up to the target exists",
        not missing and verdict.required > 0,
        f"{verdict.required} commits of the ledger",
        found,
        _HELD,
    )


def _nothing_more(verdict: Verdict) -> Check:
    surplus = verdict.surplus
    return Check(
        "nothing_more",
        "No commit after the target exists",
        not surplus,
        f"none of {verdict.forbidden} later commits; {verdict.ambiguous} in flight at that moment may exist or not",
        "none" if not surplus else f"{len(surplus)} too many: {_some(surplus)}",
        _HELD,
    )


def _payloads(wrong: Sequence[int], verdict: Verdict) -> Check:
    return Check(
        "payloads",
        "Every row of the ledger's table has its original content",
        not wrong,
        "0 rows that differ",
        f"{len(wrong)} rows that differ: {_some(wrong)}" if wrong else f"0 of {verdict.survived} rows",
        "SELECT id FROM lifeboat_ledger WHERE payload <> " + PAYLOAD_SQL,  # noqa: S608
    )


def _dropped(seen: Observed) -> Iterator[Check]:
    drop = seen.marks.get("drop")
    if not drop:
        return
    database, table = drop["database"], drop["table"]
    was = seen.source["databases"][database]["tables"].get(table)
    now = seen.clone["databases"].get(database, {}).get("tables", {}).get(table)
    how = f"in {database}: {fingerprint_sql(table)}"
    if seen.restore["dropped"] == "present":
        yield Check(
            "dropped",
            f"The dropped table {table} is back",
            was is not None and now == was,
            _table(was),
            _table(now),
            how,
        )
    else:
        yield Check(
            "dropped", f"The DROP of {table} is part of history", now is None, "no such table", _table(now), how
        )


def _databases(seen: Observed) -> Check:
    expected, found = sorted(seen.source["databases"]), sorted(seen.clone["databases"])
    return Check(
        "databases",
        "All databases exist",
        expected == found,
        ", ".join(expected),
        ", ".join(found),
        "SELECT datname FROM pg_database",
    )


def _tables(seen: Observed) -> Check:
    """The unchanged tables. The dropped table has its own check."""
    drop = seen.marks.get("drop") or {}
    quiet = {
        (database, name): facts
        for database, content in seen.source["databases"].items()
        for name, facts in content["tables"].items()
        if facts["fingerprint"] is not None and (database, name) != (drop.get("database"), drop.get("table"))
    }
    wrong = []
    for (database, name), was in quiet.items():
        now = seen.clone["databases"].get(database, {}).get("tables", {}).get(name)
        if now != was:
            wrong.append(f"{database}: {name} has {_table(now)}, had {_table(was)}")
    rows = sum(int(facts["rows"]) for facts in quiet.values())
    names = ", ".join(f"{name} in {database}" for database, name in quiet)
    return Check(
        "tables",
        "Unchanged tables are the same, row for row",
        bool(quiet) and not wrong,
        f"{rows} rows and the fingerprints of {names or 'no table'}",
        "the same" if not wrong else "; ".join(wrong[:5]),
        "in each database: " + fingerprint_sql("…"),
    )


def _balances(seen: Observed) -> Iterator[Check]:
    for database, content in seen.source["databases"].items():
        if not content["pgbench_balance"]:
            continue
        accounts = content["tables"]["public.pgbench_accounts"]["rows"]
        now = seen.clone["databases"].get(database, {})
        rows = now.get("tables", {}).get("public.pgbench_accounts", {}).get("rows")
        history = now.get("tables", {}).get("public.pgbench_history", {}).get("rows")
        sums = now.get("pgbench_balance") or []
        yield Check(
            "accounts",
            "No account of the load is lost",
            rows == accounts,
            f"{accounts} rows in pgbench_accounts",
            f"{rows} rows",
            "SELECT count(*) FROM pgbench_accounts",
        )
        yield Check(
            "balance",
            "The load's transactions are complete: none exists in part",
            len(sums) == 4 and len(set(sums)) == 1,
            "the same sum over accounts, branches, tellers and history",
            f"{', '.join(map(str, sums)) or 'no sums'} over {history} transactions",
            "SELECT sum(abalance) FROM pgbench_accounts; likewise sum(bbalance), sum(tbalance), sum(delta)",
        )


def _tablespaces(seen: Observed) -> Iterator[Check]:
    moved = seen.restore.get("tablespaces") or {}
    for name, space in seen.source["tablespaces"].items():
        wanted = moved.get(space["location"], space["location"])
        now: Optional[Mapping[str, Any]] = seen.clone["tablespaces"].get(name)
        yield Check(
            "tablespace",
            f"The tablespace {name} is in its new place",
            now is not None and now["location"] == wanted and now["bytes"] > 0,
            wanted,
            f"{now['location']}, {now['bytes']} bytes" if now else "no such tablespace",
            "SELECT spcname, pg_tablespace_location(oid), pg_tablespace_size(oid) FROM pg_tablespace",
        )


def _amcheck(program: Mapping[str, Any]) -> Check:
    found = f"exit status {program['status']}" + (f": {program['output']}" if program["output"] else ", no message")
    return Check(
        "amcheck", "Tables and indexes are sound", program["status"] == 0, "exit status 0", found, program["command"]
    )


def _not_archiving(clone: Mapping[str, Any]) -> Check:
    mode = clone["settings"].get("archive_mode")
    return Check(
        "archive_mode",
        "The restored server does not archive",
        mode == "off",
        "archive_mode is off",
        f"archive_mode is {mode}",
        "SHOW archive_mode",
    )


def _push_refused(program: Mapping[str, Any]) -> Check:
    return Check(
        "push_refused",
        "Its WAL would be refused even if it tried to archive",
        program["status"] == 1 and program["error_code"] == "clone_refused",
        "exit status 1, clone_refused",
        f"exit status {program['status']}, {program['error_code'] or program['output']}",
        program["command"],
    )


def _untouched(before: Mapping[str, int], after: Mapping[str, int]) -> Check:
    changed = sorted(set(before.items()) ^ set(after.items()))
    names = ", ".join(sorted({change[0] for change in changed})[:5])
    found = f"changed: {names}" if changed else f"the same {len(after)} objects"
    return Check(
        "untouched",
        "The production prefix is unchanged since the disaster",
        bool(before) and not changed,
        f"the {len(before)} objects, {sum(before.values())} bytes, right after the disaster",
        found,
        "keys and sizes of every object below the cluster's prefix, except leases of restores and the audit trail",
    )


def _table(facts: Optional[Mapping[str, Any]]) -> str:
    if facts is None:
        return "no such table"
    return f"{facts['rows']} rows, fingerprint {facts['fingerprint']}, in {facts['tablespace']}"


def _some(ids: Sequence[int], limit: int = 10) -> str:
    shown: Tuple[str, ...] = tuple(str(i) for i in ids[:limit])
    return ", ".join(shown) + (f" and {len(ids) - limit} more" if len(ids) > limit else "")
