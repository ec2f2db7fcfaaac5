# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a base backup leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.left_out import emptied, first_block, kept

SPACE = "pg_tblspc/16390/PG_15_202209061"


def test_the_servers_own_files_are_left_out_everywhere() -> None:
    names = ["postmaster.pid", "postmaster.opts", "backup_label", "tablespace_map", "backup_manifest", "PG_VERSION",
             "postgresql.auto.conf", "postgresql.auto.conf.tmp", "current_logfiles", "current_logfiles.tmp",
             "backup_label.old", "base", "pgsql_tmp", "pgsql_tmp7.1", ".DS_Store"]  # fmt: skip
    wanted = ["PG_VERSION", "backup_label.old", "base", "current_logfiles", "postgresql.auto.conf"]
    assert kept("", names) == wanted
    assert kept("log", names) == wanted


def test_the_control_file_comes_apart() -> None:
    assert kept("global", ["pg_control", "1262", "pg_internal.init", "pg_internal.init.77"]) == ["1262"]
    assert kept("log", ["pg_control"]) == ["pg_control"]


@pytest.mark.parametrize("database", ["base/5", f"{SPACE}/5"])
def test_temporary_and_unlogged_relations(database: str) -> None:
    names = ["16400", "16400.1", "16400_fsm", "16400_init", "16401", "16401_vm", "t3_16402", "t3_16402_fsm",
             "t3_16402.1", "t3_x", "PG_VERSION", "pg_filenode.map", "016400"]  # fmt: skip
    assert kept(database, names) == [
        "016400", "16400_init", "16401", "16401_vm", "PG_VERSION", "pg_filenode.map", "t3_x",
    ]  # fmt: skip
    assert "16400" in kept("base", names)
    assert "t3_16402" in kept("elsewhere/5", names)


relations = st.tuples(st.integers(1, 5), st.sampled_from(["", "_fsm", "_vm", "_init"]), st.sampled_from(["", ".1"]))


@given(st.sets(relations))
def test_of_an_unlogged_relation_remains_what_initializes_it(found: set[tuple[int, str, str]]) -> None:
    names = {f"{number}{fork}{segment}" for number, fork, segment in found}
    for number, fork, segment in found:
        name = f"{number}{fork}{segment}"
        assert (name in kept("base/5", names)) == (fork == "_init" or f"{number}_init" not in names)


def test_directories_without_their_contents() -> None:
    for name in ("pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans"):
        assert emptied(name, 150000) == ()
    assert emptied("pg_wal", 150000) == emptied("pg_wal", 160000) == ("archive_status",)
    assert emptied("pg_wal", 170000) == emptied("pg_wal", 180000) == ("archive_status", "summaries")
    assert emptied("pg_xact", 170000) is None
    assert emptied("log/pg_wal", 170000) is None


def test_which_files_have_pages_and_where_they_begin() -> None:
    assert first_block("base/5/16400", 131072) == 0
    assert first_block("base/5/16400.2", 131072) == 262144
    assert first_block(f"{SPACE}/5/16400_vm.1", 131072) == 131072
    assert first_block("global/1262", 131072) == 0
    for path in ("base/5/PG_VERSION", "base/5/pg_filenode.map", "global/pg_control", "pg_xact/0000", "log/5/16400"):
        assert first_block(path, 131072) is None
