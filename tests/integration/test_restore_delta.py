# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore over existing files: matching ones stay, the rest is overwritten, foreign ones are not touched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration


def a_site(installation: Installation, sites: Sites, **settings: str) -> Tuple[Site, Ledger]:
    """A stopped cluster with a tablespace, a backup, and later changes."""
    site = sites(installation, segment_mb=1, track_commit_timestamp="on", **settings)
    cluster = site.cluster
    for name in ("space", "empty"):
        (site.root / name).mkdir()
    cluster.execute(
        f"CREATE TABLESPACE empty LOCATION '{site.root / 'empty'}'",
        f"CREATE TABLESPACE spacious LOCATION '{site.root / 'space'}'",
        "CREATE TABLE still AS SELECT n, repeat('x', 100) AS filler FROM generate_series(1, 20000) n",
        "CREATE TABLE far TABLESPACE spacious AS SELECT generate_series(1, 20000) AS n",
        "CREATE TABLE other TABLESPACE spacious AS SELECT generate_series(1, 20000) AS n",
        "CREATE DATABASE dropped",
        "CHECKPOINT",
    )
    ledger = Ledger(cluster)
    ledger.write(2)
    site.backup()
    ledger.write(2)
    cluster.switch_wal()
    return site, ledger


def delta(site: Site, *words: str, status: int = 0) -> Any:
    return site.lifeboat("restore", "--delta", *words, status=status)


def inodes(directory: Path) -> Dict[str, int]:
    return {str(p.relative_to(directory)): p.stat().st_ino for p in directory.rglob("*") if p.is_file()}


def test_only_what_differs_is_written(a_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(a_postgres, sites)
    cluster = site.cluster
    oid, still, far, other = (
        str(cluster.value(sql))
        for sql in (
            "SELECT oid FROM pg_tablespace WHERE spcname = 'spacious'",
            "SELECT pg_relation_filepath('still')",
            "SELECT pg_relation_filepath('far')",
            "SELECT pg_relation_filepath('other')",
        )
    )
    cluster.execute("CREATE TABLE later TABLESPACE empty AS SELECT 1 AS n")
    later = site.root / "empty" / str(cluster.value("SELECT pg_relation_filepath('later')")).split("/", 2)[2]
    cluster.execute("DROP TABLE ledger", "UPDATE other SET n = 0", "CREATE DATABASE new", "DROP DATABASE dropped")
    cluster.stop()
    data = cluster.data_dir
    (data / "stranger").write_text("not of the backup")
    (site.root / "space" / "PG_99_beside").mkdir()
    (site.root / "space" / "PG_99_beside" / "file").write_text("another cluster's")
    # One byte in the middle of a file of the same size and time.
    before = (data / still).stat()
    content = bytearray((data / still).read_bytes())
    content[len(content) // 2] ^= 1
    (data / still).write_bytes(bytes(content))
    os.utime(data / still, ns=(before.st_atime_ns, before.st_mtime_ns))
    old = {path: (data / path).stat().st_ino for path in (still, far, other)}
    # A link keeps the number of an old file from being given to a new one.
    for path in old:
        os.link(data / path, site.root / f"old {Path(path).name}")
    catalog = inodes(data / "base" / "1")
    wal = {p.name: p.read_bytes() for p in (data / "pg_wal").iterdir() if p.is_file()}

    planned = delta(site, "--plan").data
    assert [p["state"] for p in planned["places"]] == ["kept", "kept", "kept"]
    assert later.exists()
    assert (data / "stranger").exists()
    done = delta(site, "--lsn", ledger.entries[-1].lsn).data["restore"]
    assert rows(cluster) == expected(ledger.entries)
    assert cluster.value("SELECT count(*) FROM still WHERE filler = repeat('x', 100)") == 20000
    assert cluster.value("SELECT sum(n) FROM other") == cluster.value("SELECT sum(n) FROM far") == 200010000
    assert {n for (n,) in cluster.rows("SELECT datname FROM pg_database")} >= {"dropped", "postgres"}
    assert not cluster.value("SELECT count(*) FROM pg_database WHERE datname = 'new'")
    cluster.stop()
    now = {path: (data / path).stat().st_ino for path in (still, far, other)}
    assert now[far] == old[far], "an unchanged file of a tablespace stays"
    assert now[still] != old[still], "a changed byte makes a file new"
    assert now[other] != old[other]
    assert sum(inodes(data / "base" / "1").get(name) == inode for name, inode in catalog.items()) > 200
    assert done["files_kept"] > 200
    assert done["bytes_restored"] < 0.8 * site.lifeboat("list").data["backups"][0]["data_size"], "less what stayed"
    assert not (data / "stranger").exists()
    assert not later.exists()
    assert (site.root / "space" / "PG_99_beside" / "file").read_text() == "another cluster's"
    assert os.readlink(data / "pg_tblspc" / oid) == str(site.root / "space")
    # The WAL that was there may be the only copy of something: it is kept beside.
    (aside,) = done["moved_aside"]
    assert {p.name: p.read_bytes() for p in Path(aside).iterdir() if p.is_file()} == wal


def test_when_it_failed_and_is_run_again_others_keep_their_files(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites)
    site.cluster.stop()
    beside = site.root / "space" / "PG_99_beside" / "file"
    beside.parent.mkdir()
    beside.write_text("another cluster's")
    archive = next(site.repository_dir.glob("backups/*/base.tar.*"))
    good = archive.read_bytes()
    archive.chmod(0o600)
    archive.write_bytes(good[: len(good) // 2] + bytes([good[len(good) // 2] ^ 1]) + good[len(good) // 2 + 1 :])
    assert delta(site, status=1).error["error_code"] == "backup_corrupt" and beside.exists()
    archive.write_bytes(good)
    assert "unfinished" in [p["state"] for p in delta(site, "--plan").data["places"]]
    delta(site)
    assert rows(site.cluster) == expected(ledger.entries)
    assert beside.read_text() == "another cluster's"


def refused(site: Site, code: str, *says: str, words: Tuple[str, ...] = ()) -> None:
    before = inodes(site.cluster.data_dir)
    error = delta(site, *words, status=1).error
    assert error["error_code"] == code, error
    for part in says:
        assert part in error["message"], error
    assert error["hint"]
    assert inodes(site.cluster.data_dir) == before


def test_the_file_for_which_nothing_stays_is_named(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites)
    closed = str(site.cluster.value("SELECT pg_relation_filepath('still')"))
    site.cluster.stop()
    (site.cluster.data_dir / closed).chmod(0)

    done = delta(site).data["restore"]
    assert done["files_kept"] == 0
    (warning,) = done["warnings"]
    assert closed in warning and "every file was fetched" in warning
    assert rows(site.cluster) == expected(ledger.entries)


def test_refusals_of_a_delta_restore(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites, summarize_wal="on")
    data = site.cluster.data_dir
    error = delta(site, status=1).error
    assert (error["error_code"], "is running" in error["message"]) == ("data_directory_refused", True)
    incremental = site.backup("--type", "incremental")["label"]
    ledger.write(1)
    site.cluster.switch_wal()
    site.cluster.stop()
    refused(site, "config_invalid", "needs a full backup", incremental)
    full = ("--label", site.lifeboat("list").data["backups"][0]["label"])
    refused(site, "config_invalid", "delta", words=(*full, "--existing", "move_aside"))

    (link,) = (p for p in (data / "pg_tblspc").iterdir() if os.readlink(p).endswith("space"))
    (site.root / "elsewhere").mkdir()
    link.unlink()
    link.symlink_to(site.root / "elsewhere")
    refused(site, "data_directory_refused", "is not the tablespace", words=full)
    link.unlink()
    link.symlink_to(site.root / "space")

    (data / "pg_wal").rename(site.root / "wal")
    (data / "pg_wal").symlink_to(site.root / "wal")
    refused(site, "data_directory_refused", "pg_wal is a symbolic link", words=full)
    (data / "pg_wal").unlink()
    (site.root / "wal").rename(data / "pg_wal")

    control = data / "global" / "pg_control"
    original = control.read_bytes()
    control.write_bytes(bytes(8) + original[8:])
    refused(site, "data_directory_refused", "another cluster", words=full)
    control.unlink()
    refused(site, "data_directory_refused", "pg_control", words=full)
    control.write_bytes(original)

    # And then it works, into the very same directory; an empty one it fills as any restore does.
    delta(site, *full)
    assert rows(site.cluster) == expected(ledger.entries)
    site.cluster.stop()
    for place in (data, site.root / "space", site.root / "empty"):
        shutil.rmtree(place)
    done = delta(site, *full).data["restore"]
    assert (done["files_kept"], done["moved_aside"]) == (0, [])
    assert rows(site.cluster) == expected(ledger.entries)
