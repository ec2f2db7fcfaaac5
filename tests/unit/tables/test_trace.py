# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What happened to tables, from the output of ``pg_waldump``; and the names of restored tables."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.identifiers import conninfo, quoted, with_end
from lifeboat.tables.naming import suffix_of
from lifeboat.tables.trace import Trace, file_of, joined, parse_line, trace

ORDERS, OTHER, CATALOG = "1663/5/100", "1663/5/200", "1663/5/1259"
AT = "2026-11-22 14:02:00.500000 UTC"


def line(rmgr: str, xid: int, lsn: int, text: str) -> str:
    return (
        f"rmgr: {rmgr:<11} len (rec/tot):     54/    54, tx: {xid:>10}, lsn: 0/{lsn:08X}, prev 0/00000000, desc: {text}"
    )


def row(what: str, xid: int, file: str) -> str:
    return line("Heap", xid, 1, f"{what} xmax: {xid}, off: 1, infobits: [], flags: 0x00, blkref #0: rel {file} blk 0")


def told(lines: List[str], until: Optional[datetime] = None) -> List[Tuple[Any, ...]]:
    tracer = Trace({ORDERS: "orders", OTHER: "other"}, CATALOG)
    return [(e.table, e.what, e.rows, e.xid) for e in joined(trace(lines, tracer, until))]


def test_rows_count_when_their_transaction_commits() -> None:
    lines = [
        row("DELETE", 7, ORDERS), row("DELETE", 8, ORDERS), row("HOT_UPDATE", 7, OTHER), row("INSERT+INIT", 7, OTHER),
        line("Transaction", 8, 2, f"ABORT {AT}"), row("DELETE", 9, ORDERS), row("DELETE", 7, "1663/6/100"),
        line("Transaction", 7, 3, f"COMMIT {AT}; subxacts: 9; inval msgs: catcache 55"),
        "pg_waldump: first record is after 0/1", line("XLOG", 0, 4, "SWITCH "),
    ]  # fmt: skip
    assert told(lines) == [("orders", "deleted", 2, 7), ("other", "updated", 1, 7)]


def test_a_prepared_transaction_commits_under_its_own_number() -> None:
    lines = [row("DELETE", 7, ORDERS), line("Transaction", 0, 3, f"COMMIT_PREPARED 7: {AT}")]
    assert told(lines) == [("orders", "deleted", 1, 7)]


@pytest.mark.parametrize(
    ("before", "what", "after"),
    [
        ([], "dropped", []),
        ([line("Storage", 7, 1, "CREATE base/5/300")], "truncated", [("orders", "deleted", 1, 8)]),
        ([line("Storage", 7, 1, "CREATE base/5/300"), row("DELETE", 7, CATALOG)], "rewritten", []),
    ],
)
def test_a_file_that_goes_was_dropped_truncated_or_rewritten(
    before: List[str], what: str, after: List[Tuple[Any, ...]]
) -> None:
    lines = [
        *before, line("Transaction", 7, 2, f"COMMIT {AT}; rels: base/5/150 base/5/100; dropped stats: 2/5/100"),
        row("DELETE", 8, "1663/5/300"), line("Transaction", 8, 3, f"COMMIT {AT}"),
    ]  # fmt: skip
    assert told(lines) == [("orders", what, None, 7), *after]


def test_a_drop_says_it_all_and_a_database_takes_its_tables() -> None:
    drop = line("Transaction", 7, 2, f"COMMIT {AT}; rels: base/5/100")
    assert told([row("DELETE", 7, ORDERS), drop]) == [("orders", "dropped", None, 7)]
    gone = [line("Database", 7, 1, "DROP dir 1663/5"), line("Transaction", 7, 2, f"COMMIT {AT}")]
    assert sorted(told(gone)) == [("orders", "database dropped", None, 7), ("other", "database dropped", None, 7)]
    assert told([line("Database", 7, 1, "DROP dir 1663/6"), gone[1]]) == []


def test_it_ends_at_a_time() -> None:
    lines = [row("DELETE", 7, ORDERS), line("Transaction", 7, 2, f"COMMIT {AT}")]
    moment = datetime(2026, 11, 22, 14, 2, 0, 500000, tzinfo=timezone.utc)
    assert told(lines, moment) and not told(lines, moment.replace(microsecond=0))


def test_files_by_their_paths() -> None:
    assert file_of("base/5/100") == "1663/5/100" and file_of("pg_tblspc/77/PG_17_202406281/5/100") == "77/5/100"
    assert file_of("global/1260") is file_of("base/5/100_fsm") is None
    assert parse_line("rmgr: Heap        something else") is None


def test_the_suffix_is_the_moment() -> None:
    assert suffix_of(datetime(2026, 11, 22, 14, 2, tzinfo=timezone.utc)) == "_20261122_1402"
    assert suffix_of(datetime(2026, 11, 22, 14, 2, 7, tzinfo=timezone.utc)) == "_20261122_140207"


@given(st.text(min_size=1, max_size=80), st.text(alphabet="abc_0123", min_size=1, max_size=20))
def test_a_name_with_a_suffix_is_one_that_postgresql_keeps_whole(name: str, end: str) -> None:
    found = with_end(name, end)
    assert found.endswith(end) and len(found.encode()) <= 63 and name.startswith(found[: -len(end)])
    assert quoted(found)[1:-1].replace('""', '"') == found


def test_a_database_name_is_no_connection_string() -> None:
    assert conninfo("a=b host=x") == "dbname='a=b host=x'" and conninfo("it's\\") == "dbname='it\\'s\\\\'"
