# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base backups of real servers into real stores: what they record, and which servers and repositories refuse."""

from __future__ import annotations

import contextlib
import os
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import zstandard
from lifeboat.base.wal_names import parse_lsn
from lifeboat.config.load import DirectoryOptions
from lifeboat.records.model import load_manifest, parse_time
from lifeboat.store import open_store
from seaweedfs import SeaweedFS
from support.backups import CANARY, labels, refused, s3
from support.installations import Installation
from support.postgres import Site, Sites, entry
from support.processes import free_port, run_program, until

pytestmark = pytest.mark.integration
MIB = 2**20
DATABASE = "we\"ird 'one"


def extract(source: Path, target: Path) -> int:
    """Unpack an archive without Lifeboat; return the contents of its files."""
    target.mkdir(parents=True, exist_ok=True)
    with (
        open(source, "rb") as stream,
        zstandard.ZstdDecompressor().stream_reader(stream, read_across_frames=True) as tar,
    ):
        with tarfile.open(fileobj=tar, mode="r|") as archive:
            archive.extractall(target, filter="fully_trusted")
    return sum(p.lstat().st_size for p in target.rglob("*") if p.is_file() and not p.is_symlink())


# --- what a backup is -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rich(postgres: Installation, module_sites: Sites, seaweedfs: SeaweedFS, bucket: str, tmp_path_factory: Any) -> Site:
    """A cluster with a tablespace, a strangely named database and an extension, and two required repositories."""
    directory = DirectoryOptions(str(tmp_path_factory.mktemp("kept")))
    site = module_sites(postgres, directory, s3(seaweedfs, bucket), name=f"rich {postgres.major}")
    space = site.root / "table space"
    space.mkdir()
    quoted = DATABASE.replace('"', '""')
    site.cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{space}'",
        f'CREATE DATABASE "{quoted}"',
        "CREATE TABLE spread TABLESPACE spacious AS SELECT generate_series(1, 20000) AS n",
    )
    available = site.cluster.rows("SELECT name FROM pg_available_extensions WHERE name <> 'plpgsql' ORDER BY name")
    if available:
        site.cluster.execute(f'CREATE EXTENSION "{available[0][0]}" CASCADE', dbname=DATABASE)
    return site


def test_a_backup_is_in_both_repositories_and_tells_what_it_is(rich: Site, tmp_path: Path) -> None:
    before = datetime.now(timezone.utc)
    made = rich.backup()
    stores = [open_store(r.store) for r in rich.config.repositories]
    prefix = f"main/backups/{made['label']}"
    names = {f["name"] for f in made["files"]}
    for store in stores:
        assert {o.key.rsplit("/", 1)[-1] for o in store.list(prefix)} == {*names, "manifest.json"}
    raws = [store.get(f"{prefix}/manifest.json") for store in stores]
    assert raws[0] == raws[1]
    manifest = load_manifest(raws[0], "manifest.json")

    assert manifest.as_dict() == made
    assert manifest.label == f"{parse_time(made['started_at']):%Y%m%dT%H%M%SZ}-full"
    assert before <= manifest.started_at < manifest.finished_at <= datetime.now(timezone.utc)
    assert manifest.start_lsn < manifest.stop_lsn
    assert (manifest.system_identifier, manifest.timeline) == (rich.cluster.system_identifier, 1)
    assert manifest.server_version_num // 10000 == rich.cluster.installation.major
    assert manifest.segment_size == 16 * MIB
    assert not manifest.from_standby
    for store in stores:
        for file in manifest.files:
            assert sum(len(c) for c in store.read(f"{prefix}/{file.name}", file.sha256, file.size)) == file.size

    files = rich.repository_dir / "backups" / made["label"]
    (space,) = manifest.tablespaces
    location = str(rich.root / "table space")
    assert (space.name, space.location) == ("spacious", location)
    inside = extract(files / f"{space.oid}.tar.zst", tmp_path / "space")
    assert space.size == inside > 20000 * 24
    assert manifest.data_size == extract(files / "base.tar.zst", tmp_path / "base") + inside


def test_a_backup_tells_what_its_host_must_have(rich: Site) -> None:
    made = rich.backup("--max-age", "3600")
    needs = made["requirements"]
    assert set(needs["databases"]) >= {"postgres", "template1", DATABASE}
    assert needs["databases"][DATABASE]["encoding"] == "UTF8"
    assert needs["settings"]["max_connections"] == "20"
    assert needs["config_files"]["data_directory"] == rich.data_dir
    installed = dict(
        rich.cluster.rows("SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql'", dbname=DATABASE)
    )
    assert needs["extensions"] == installed
    assert needs["machine"] == os.uname().machine


def test_a_fresh_backup_is_enough(rich: Site) -> None:
    first = rich.lifeboat("backup", "--max-age", "3600").data
    again = rich.lifeboat("backup", "--max-age", "3600").data
    assert (again["changed"], again["backup"]) == (False, first["backup"])
    known = labels(rich)
    newer = rich.lifeboat("backup", "--max-age", "0").data
    assert newer["changed"]
    assert labels(rich) == [*known, newer["backup"]["label"]]
    assert newer["backup"]["label"] > first["backup"]["label"]
    assert parse_lsn(newer["backup"]["start_lsn"]) > parse_lsn(first["backup"]["stop_lsn"])


def test_a_repository_without_the_backup_makes_it_due(rich: Site, tmp_path: Path) -> None:
    rich.backup("--max-age", "3600")
    (tmp_path / "new").mkdir()
    third = entry(2, DirectoryOptions(str(tmp_path / "new")))
    config = rich.write(tmp_path / "three.yml", repositories=[*rich.repositories, third])
    assert rich.lifeboat("backup", "--max-age", "3600", "--plan", config_file=config).data["fresh"] is None


def test_the_server_or_the_client_compresses_the_same_backup(rich: Site, tmp_path: Path) -> None:
    for place in ("client", "server"):
        config = rich.write(tmp_path / "x.yml", backup={"compress_at": place, "wal_timeout": 120})
        ran = rich.lifeboat("backup", config_file=config, status=None)
        if place == "server" and ran.status:
            assert ran.error["error_code"] == "server_not_ready"
            assert "compress_at to client" in ran.error["hint"]
            return
        made = ran.data["backup"]
        data = tmp_path / place
        files = rich.repository_dir / "backups" / made["label"]
        extract(files / "base.tar.zst", data)
        space = made["tablespaces"][0]["oid"]
        (data / "pg_tblspc").mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (data / "pg_tblspc" / space).unlink()
        extract(files / f"{space}.tar.zst", data / "pg_tblspc" / space)
        (data / "backup_manifest").write_bytes((files / "backup_manifest").read_bytes())
        run_program(rich.cluster.installation.program("pg_verifybackup"), "-n", "--ignore=tablespace_map", str(data))


# --- a server that is not ready ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain(newest_postgres: Installation, module_sites: Sites) -> Site:
    """A small cluster of the newest version with a directory; its tests revert their changes."""
    return module_sites(newest_postgres, name="plain", segment_mb=1)


def restarted(site: Site, **settings: str) -> None:
    site.cluster.configure(settings)
    site.cluster.stop()
    site.cluster.start()


def test_a_server_that_cannot_be_protected_says_which_setting(plain: Site) -> None:
    restarted(plain, archive_mode="off", wal_level="minimal", max_wal_senders="0")
    try:
        assert "'replica'" in refused(plain, "server_not_ready", "wal_level is minimal")["hint"]
        restarted(plain, wal_level="replica", archive_mode="on")
        assert "max_wal_senders" in refused(plain, "server_not_ready", "max_wal_senders")["hint"]
        restarted(plain, archive_mode="off", max_wal_senders="10")
        assert "wal-push %p" in refused(plain, "server_not_ready", "archive_mode is off")["hint"]
        restarted(plain, archive_mode="on", archive_command="")
        assert "pg_reload_conf" in refused(plain, "server_not_ready", "archive_command is empty")["hint"]
    finally:
        restarted(
            plain, archive_mode="on", wal_level="replica", max_wal_senders="10", archive_command=plain.archive_command
        )


def as_user(site: Site, path: Path, **connection: Any) -> Path:
    there = {"host": str(site.cluster.socket_dir), "port": site.cluster.port}
    return site.write(path, connection={**there, **connection})


def test_a_role_that_may_not_replicate_is_named(plain: Site, tmp_path: Path) -> None:
    plain.cluster.execute("CREATE ROLE bystander LOGIN")
    config = as_user(plain, tmp_path / "x.yml", user="bystander")
    assert 'ALTER ROLE "bystander" REPLICATION' in refused(
        plain, "server_not_ready", "The role bystander lacks REPLICATION", config_file=config
    )["hint"]  # fmt: skip


def test_a_role_with_no_more_than_replication_can_back_up(plain: Site, tmp_path: Path) -> None:
    plain.cluster.execute("CREATE ROLE keeper LOGIN REPLICATION", "GRANT pg_monitor TO keeper")
    config = as_user(plain, tmp_path / "x.yml", user="keeper")
    assert plain.lifeboat("backup", config_file=config).data["changed"]


def test_a_wrong_password_is_refused_and_not_shown(plain: Site, tmp_path: Path) -> None:
    plain.cluster.execute("CREATE ROLE guarded LOGIN REPLICATION PASSWORD 'right'")
    hba = plain.cluster.data_dir / "pg_hba.conf"
    text = hba.read_text()
    hba.write_text("local all guarded scram-sha-256\n" + text)
    plain.cluster.pg_ctl("reload")
    try:
        config = as_user(plain, tmp_path / "x.yml", user="guarded", password=CANARY)
        socket = f"{plain.cluster.socket_dir}:{plain.cluster.port}"
        refused(plain, "postgres_error", f"Cannot connect to PostgreSQL at {socket}", "guarded", config_file=config)
        # The right password opens a session; the copy needs a 'replication' line.
        hba.write_text("local all guarded scram-sha-256\nlocal replication guarded reject\n" + text)
        plain.cluster.pg_ctl("reload")
        config = as_user(plain, tmp_path / "x.yml", user="guarded", password="right")
        assert "pg_hba.conf" in refused(plain, "server_not_ready", "replication by guarded", config_file=config)["hint"]
    finally:
        hba.write_text(text)
        plain.cluster.pg_ctl("reload")


def test_an_unreachable_server_is_named(plain: Site, tmp_path: Path) -> None:
    port = free_port()
    config = as_user(plain, tmp_path / "x.yml", host="127.0.0.1", port=port)
    error = refused(plain, "postgres_error", f"127.0.0.1:{port}", config_file=config)
    assert "Check that it is running" in error["hint"]
    config = as_user(plain, tmp_path / "x.yml", user="postgres", dbname="no such database")
    refused(plain, "postgres_error", "no such database", config_file=config)


@pytest.mark.parametrize(("command", "why"), [("exit 1", "archive_command fails"), ("true", "did not fail")])
def test_a_backup_whose_wal_does_not_come_is_not_recorded(plain: Site, tmp_path: Path, command: str, why: str) -> None:
    plain.cluster.configure({"archive_command": command})
    plain.cluster.pg_ctl("reload")
    try:
        until(lambda: plain.cluster.value("SHOW archive_command") == command, "the reload")
        config = plain.write(tmp_path / "x.yml", backup={"wal_timeout": 1.5})
        unfinished = plain.lifeboat("list", status=None)
        before = set(unfinished.data["unfinished"]) if not unfinished.status else set()
        error = refused(plain, "wal_gap", "repo0", "nothing was archived for 1.5 s", why, config_file=config)
        assert error["details"]["missing"][0] in error["message"]
        (label,) = set(plain.lifeboat("list").data["unfinished"]) - before
        assert not (plain.repository_dir / "backups" / label / "manifest.json").exists()
    finally:
        plain.cluster.configure({"archive_command": plain.archive_command})
        plain.cluster.pg_ctl("reload")


# --- whose repository it is -------------------------------------------------------------------------------------


def test_a_repository_of_another_cluster_is_refused_until_it_is_accepted(
    plain: Site, sites: Sites, newest_postgres: Installation
) -> None:
    plain.backup()
    anew = sites(newest_postgres, fresh=True, segment_mb=1, name="anew", start=False)
    anew.repositories[:] = plain.repositories
    anew.write()
    anew.cluster.start()
    old, new = plain.cluster.system_identifier, anew.cluster.system_identifier
    known = labels(plain)
    assert anew.lifeboat("backup", "--plan", status=1).error["error_code"] == "repository_foreign"
    error = refused(anew, "repository_foreign", new, old, str(plain.repository_dir))
    assert "--accept-new-system" in error["hint"]
    assert not list(plain.repository_dir.glob(f"wal/{new}/**/*.zst"))

    accepted = anew.backup("--accept-new-system")
    assert accepted["system_identifier"] == new
    assert labels(anew) == labels(plain) == [*known, accepted["label"]]
    assert anew.backup()["system_identifier"] == new
    assert plain.backup()["system_identifier"] == old
