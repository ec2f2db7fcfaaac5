# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups read beside the server: the same files as the server sends, under load, and with damage."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import subprocess
import tarfile
import threading
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
import zstandard
from lifeboat.backup import copying
from lifeboat.backup import run as backup
from lifeboat.backup.method import require_server_of
from lifeboat.base.errors import DataDirectoryRefused
from lifeboat.config.load import load as load_config
from lifeboat.postgres.backup_mode import backup_mode
from lifeboat.postgres.connection import session
from support.backups import recorded, refused
from support.choice import every_postgres
from support.installations import Installation
from support.postgres import Cluster, Site, Sites, restore_arguments
from support.processes import run_program, until

pytestmark = pytest.mark.integration
PARALLEL = {"wal_timeout": 120, "method": "parallel", "parallel": 3, "volume_size": 2**22}
# The server writes these for each backup, or between two backups.
DIFFER = {"backup_label", "global/pg_control"}
REWRITTEN = (*DIFFER, "pg_logical/replorigin_checkpoint", "tablespace_map")


def members(site: Site, label: str) -> Dict[str, Tuple[bytes, int, str, bytes]]:
    """Type, mode, target and content of every member of a backup, by its path in the data directory."""
    found: Dict[str, Tuple[bytes, int, str, bytes]] = {}
    for path in sorted((site.repository_dir / "backups" / label).glob("*.tar.zst")):
        oid = path.name.split(".")[0]
        prefix = "" if oid == "base" else f"pg_tblspc/{oid}/"
        unpacker = zstandard.ZstdDecompressor()
        with open(path, "rb") as stream, unpacker.stream_reader(stream, read_across_frames=True) as raw:
            with tarfile.open(fileobj=raw, mode="r|") as archive:
                for info in archive:
                    content = archive.extractfile(info).read() if info.isreg() else b""  # type: ignore[union-attr]
                    found[prefix + info.name.removeprefix("./")] = (info.type, info.mode, info.linkname, content)
    return found


@pytest.fixture(scope="module")
def varied(postgres: Installation, module_sites: Sites) -> Site:
    """A cluster with a tablespace, unlogged and temporary relations, a linked pg_wal, and files to leave out."""
    more = {"summarize_wal": "on"} if postgres.major >= 17 else {}
    site = module_sites(postgres, name="varied", start=False, options={"backup": PARALLEL}, **more)
    data, space = site.cluster.data_dir, site.root / "table space"
    space.mkdir()
    (data / "pg_wal").rename(site.root / "wal")
    (data / "pg_wal").symlink_to(site.root / "wal")
    site.cluster.start()
    site.cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{space}'",
        "CREATE TABLE spread TABLESPACE spacious AS SELECT generate_series(1, 20000) AS n",
        "CREATE TABLE plain AS SELECT generate_series(1, 20000) AS n",
        "CREATE INDEX ON plain (n)",
        "CREATE UNLOGGED TABLE forgetful AS SELECT generate_series(1, 20000) AS n",
        "CREATE UNLOGGED TABLE forgetful_too TABLESPACE spacious AS SELECT generate_series(1, 20000) AS n",
        "VACUUM (FREEZE)",
    )
    if postgres.major >= 16:
        site.cluster.execute(
            "SET allow_in_place_tablespaces = on",
            "CREATE TABLESPACE inside LOCATION ''",
            "CREATE TABLE within TABLESPACE inside AS SELECT generate_series(1, 5000) AS n",
        )
    (data / "backup_manifest").write_text("of an older backup")
    (data / "backup_label.old").write_text("of an older backup")
    (data / "pgsql_tmp1").write_text("of a crash")
    (data / "base" / "5" / "t9_16999").write_bytes(bytes(8192))
    (data / "pg_stat_tmp" / "left").write_text("over")
    (data / "pg_notify" / "left").write_text("over")
    (data / os.fsdecode(b'odd \xff name "\\')).write_text("not UTF-8")
    (data / "deep").mkdir()
    (data / "deep" / "leads away").symlink_to("/etc/passwd")
    os.mkfifo(data / "deep" / "a fifo")
    site.cluster.execute("VACUUM (FREEZE)", "CHECKPOINT")
    return site


@every_postgres
def test_a_quiet_cluster_gives_the_same_files_as_the_server_sends(varied: Site, tmp_path: Path) -> None:
    streamed = varied.lifeboat(
        "backup", config_file=varied.write(tmp_path / "x.yml", backup={"wal_timeout": 120, "method": "stream"})
    ).data["backup"]
    ours = varied.backup()
    theirs_found, ours_found = members(varied, streamed["label"]), members(varied, ours["label"])
    assert set(ours_found) == set(theirs_found)
    assert {p for p in ours_found if ours_found[p] != theirs_found[p]} <= DIFFER
    for name in ("tablespaces", "data_size", "server_version_num", "timeline"):
        assert ours[name] == streamed[name]


@every_postgres
def test_the_manifest_is_the_servers_but_for_what_it_writes_anew(varied: Site, tmp_path: Path) -> None:
    ours = varied.backup()
    program = varied.cluster.installation.program("pg_basebackup")
    run_program(
        program, "-h", str(varied.cluster.socket_dir), "-p", str(varied.cluster.port), "-U", "postgres", "-X", "none",
        "-F", "t", "-c", "fast", "--no-sync", "--manifest-checksums=SHA256", "-D", str(tmp_path / "theirs"),
    )  # fmt: skip
    wanted = lines(tmp_path / "theirs" / "backup_manifest")
    got = lines(varied.repository_dir / "backups" / ours["label"] / "backup_manifest")
    assert sorted(got) == sorted(wanted)
    assert got[:2] == wanted[:2]
    assert got[-4:] == wanted[-4:]


def lines(path: Path) -> List[str]:
    """The manifest without the values that differ from one backup to the next."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        line = re.sub(r'("(?:Start|End)-LSN": |"Manifest-Checksum": )"[^"]*"', r"\1", line.rstrip(","))
        if any(f'"{name}"' in line for name in REWRITTEN):
            line = re.sub(r'("Last-Modified": |"Checksum": )"[^"]*"', r"\1", line)
            line = re.sub(r'("Size": )\d+', r"\1", line) if "backup_label" in line else line
        found.append(line)
    return found


# --- under load -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def busy(postgres: Installation, module_sites: Sites) -> Site:
    """A cluster with 2,000 tables and a tablespace, to be changed while it is read."""
    more = {"summarize_wal": "on"} if postgres.major >= 17 else {}
    site = module_sites(
        postgres, name="busy", options={"backup": {**PARALLEL, "max_rate_kb": 20_000}}, autovacuum="on", **more
    )
    space = site.root / "space"
    space.mkdir()
    tables = "DO $$BEGIN FOR i IN {}..{} LOOP EXECUTE 'CREATE TABLE many.t' || i || ' (n int)'; END LOOP; END$$"
    site.cluster.execute(
        "CREATE SCHEMA many",
        *(tables.format(i, i + 249) for i in range(0, 2000, 250)),
        f"CREATE TABLESPACE apart LOCATION '{space}'",
        "CREATE TABLE accounts (id int PRIMARY KEY, branch int, balance int, filler char(200) DEFAULT '')",
        "INSERT INTO accounts SELECT i, i % 10, 0 FROM generate_series(1, 40000) i",
        "CREATE TABLE history (id serial PRIMARY KEY, account int, change int) TABLESPACE apart",
    )
    return site


@contextlib.contextmanager
def load(site: Site) -> Iterator[None]:
    """Two clients change accounts; tables are created, filled, truncated and dropped meanwhile."""
    end = threading.Event()
    trouble: List[BaseException] = []

    def work(number: int) -> None:
        try:
            with contextlib.closing(site.cluster.connect()) as connection, connection.cursor() as cursor:
                turn = 0
                while not end.is_set():
                    turn += 1
                    account = (turn * 7919 + number * 104729) % 40000 + 1
                    cursor.execute(
                        "WITH changed AS (UPDATE accounts SET balance = balance + %s WHERE id = %s RETURNING id)"
                        " INSERT INTO history (account, change) SELECT id, %s FROM changed", (turn, account, turn),
                    )  # fmt: skip
                    if turn % 20 == 0:
                        name = f"passing_{secrets.token_hex(8)}"
                        cursor.execute(f"CREATE TABLE {name} AS SELECT generate_series(1, 3000) n")
                        cursor.execute(f"TRUNCATE {name}" if turn % 40 else f"DROP TABLE {name}")
        except BaseException as exc:
            trouble.append(exc)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        end.set()
        for thread in threads:
            thread.join()
    assert not trouble, trouble


def balanced(cluster: Cluster) -> int:
    """Check that accounts and history agree, by heap and by index; the number of changes."""
    wrong = cluster.rows(
        "SELECT id FROM accounts LEFT JOIN (SELECT account, sum(change) AS total FROM history GROUP BY 1) h"
        " ON account = id WHERE balance <> coalesce(total, 0)"
    )
    assert wrong == []
    assert cluster.value("SELECT count(*) FROM accounts") == 40000
    return int(cluster.value("SELECT count(*) FROM history"))


@every_postgres
def test_a_busy_cluster_is_restored_and_takes_an_incremental_backup(busy: Site) -> None:
    with load(busy):
        full = busy.backup()
    changes = balanced(busy.cluster)
    busy.cluster.switch_wal()
    (space,) = full["tablespaces"]

    def restored(name: str, *words: str) -> Cluster:
        clone = busy.clone(name)
        places = [(space["location"], f"{busy.root}/{name} space")]
        busy.lifeboat(*restore_arguments(clone, *words, tablespaces=places))
        return clone

    clone = restored("latest")
    assert balanced(clone) == changes
    program = clone.installation.program("pg_amcheck")
    clone.execute("CREATE EXTENSION IF NOT EXISTS amcheck") if has_amcheck(clone) else None
    if has_amcheck(clone):
        run_program(program, "-h", str(clone.socket_dir), "-p", str(clone.port), "-U", "postgres", "-d", "postgres",
                    "--heapallindexed", "-t", "public.*")  # fmt: skip
    clone.stop()
    assert balanced(restored("immediate", "--immediate", "--label", full["label"])) <= changes
    if busy.cluster.installation.major < 17:
        return
    with load(busy):
        later = busy.backup("--type", "incremental")
    assert later["parent"] == full["label"]
    assert later["data_size"] < full["data_size"]
    changes = balanced(busy.cluster)
    busy.cluster.switch_wal()
    assert balanced(restored("chain")) == changes


def has_amcheck(cluster: Cluster) -> bool:
    return bool(cluster.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'amcheck'"))


# --- what must fail ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(newest_postgres: Installation, module_sites: Sites) -> Site:
    """A small cluster with 24 MB of a table."""
    site = module_sites(newest_postgres, name="plain", options={"backup": PARALLEL})
    site.cluster.execute(
        "CREATE TABLE filled AS SELECT i AS n, repeat('x', 500) AS filler FROM generate_series(1, 40000) i",
        "CHECKPOINT",
    )
    return site


def test_a_damaged_page_is_named_and_no_backup_remains(plain: Site) -> None:
    path = plain.cluster.data_dir / str(plain.cluster.value("SELECT pg_relation_filepath('filled')"))
    with open(path, "r+b") as stream:
        stream.seek(5 * 8192 + 4000)
        kept = stream.read(4)
        stream.seek(5 * 8192 + 4000)
        stream.write(b"torn")
        stream.flush()
        try:
            name = str(path.relative_to(plain.cluster.data_dir))
            error = refused(plain, "postgres_error", "1 in all", f"file {name}, block 5")
            assert "pg_amcheck" in error["hint"]
            assert error["details"] == {"pages": 1, "sqlstate": "XX001"}
        finally:
            stream.seek(5 * 8192 + 4000)
            stream.write(kept)
    assert plain.lifeboat("verify", plain.backup()["label"]).data["intact"]


def test_a_server_of_another_directory_is_refused(plain: Site, sites: Sites) -> None:
    # As if the primary and a standby on this host had the same path and system identifier.
    other = sites(plain.cluster.installation, name="other")
    with session(plain.config.connection) as sql:
        require_server_of(sql, plain.data_dir)
        for place in (other.data_dir, str(plain.root / "nowhere"), "/"):
            with pytest.raises(DataDirectoryRefused, match=re.escape(place)) as caught:
                require_server_of(sql, place)
            assert "backup.method to stream" in caught.value.hint


def test_no_backup_begins_in_a_session_of_another_server(plain: Site, sites: Sites) -> None:
    """As with several hosts in a connection string: each session may be one of another server."""
    other = sites(plain.cluster.installation, name="other")
    check = partial(require_server_of, data_dir=other.data_dir)
    with pytest.raises(DataDirectoryRefused):
        with backup_mode(plain.config.connection, "label", True, check):
            pytest.fail("the mode has begun")


def test_a_control_file_that_is_being_written_is_read_again(plain: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = [b"new" * 100 + b"old" * 100, b"new" * 200]
    read = copying.read_at

    def reading(descriptor: int, offset: int, size: int) -> bytes:
        whole = read(descriptor, offset, size)
        is_control = os.readlink(f"/proc/self/fd/{descriptor}").endswith("pg_control")
        return torn.pop(0).ljust(size, b"\0") if is_control and torn else whole

    monkeypatch.setattr(copying, "read_at", reading)
    config = load_config(str(plain.write(plain.root / "torn.yml", backup=PARALLEL)))
    made = backup.apply(config, backup.plan(config, backup.BackupRequest())).manifest
    assert not torn and plain.lifeboat("verify", made.label).data["intact"]
    clone = plain.clone("torn")
    plain.lifeboat(*restore_arguments(clone, "--label", made.label))
    assert clone.value("SELECT true")


def test_a_role_without_the_functions_is_told_the_grant(plain: Site, tmp_path: Path) -> None:
    plain.cluster.execute("CREATE ROLE keeper LOGIN REPLICATION", "GRANT pg_monitor TO keeper")
    there = {"host": str(plain.cluster.socket_dir), "port": plain.cluster.port, "user": "keeper"}
    config = plain.write(tmp_path / "x.yml", backup=PARALLEL, connection=there)
    error = refused(plain, "server_not_ready", "keeper", "pg_backup_start", config_file=config)
    plain.cluster.execute(error["hint"].split(";")[0])
    made = plain.lifeboat("backup", config_file=config).data["backup"]
    assert plain.lifeboat("verify", made["label"]).data["intact"]


def test_a_session_that_ends_ends_the_backup(plain: Site, tmp_path: Path) -> None:
    config = plain.write(tmp_path / "x.yml", backup={**PARALLEL, "max_rate_kb": 3000})
    known = recorded(plain)
    process = subprocess.Popen(
        [plain.command, "--config", config, "--json", "backup"],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE %s AND state = 'idle'"
    until(lambda: plain.cluster.rows(ended, "SELECT pg_is_in_recovery(), pg_backup_start%"), "the start")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    error = json.loads(said.strip().splitlines()[-1])["error"]
    assert error["error_code"] == "postgres_error"
    assert "The base backup ended early" in error["message"]
    assert recorded(plain) == known
    assert plain.lifeboat("verify", plain.backup()["label"]).data["intact"]
