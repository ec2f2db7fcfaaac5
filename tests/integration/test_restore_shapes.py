# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unusual clusters are restored as they were: with group access, with tablespaces in the data directory."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Dict

import pytest
from support.choice import represented
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Cluster, Site, Sites, restore_arguments
from support.processes import until

pytestmark = pytest.mark.integration


def modes(*directories: Path) -> Dict[str, int]:
    """The modes of the server's files in these directories and of the directories themselves, except our own files."""
    found = {}
    for directory in directories:
        for path in (directory, *directory.rglob("*")):
            if not path.is_symlink() and not path.name.startswith(("lifeboat_", "backup_", "tablespace_map")):
                found[f"{directory.name}: {path.relative_to(directory)}"] = path.stat().st_mode & 0o777
    return found


@pytest.mark.parametrize("kind", ["full", "incremental", "delta"])
@represented(kind="incremental")
def test_group_access_is_restored(newest_postgres: Installation, sites: Sites, kind: str) -> None:
    """``initdb --allow-group-access``: the group can read all files, including new ones."""
    if kind == "incremental" and newest_postgres.major < 17:
        pytest.skip("incremental backups came with PostgreSQL 17")
    more = {"summarize_wal": "on"} if newest_postgres.major >= 17 else {}
    site = sites(newest_postgres, segment_mb=1, track_commit_timestamp="on", start=False, **more)
    data, space = site.cluster.data_dir, site.root / "space"
    subprocess.run(["chmod", "-R", "g+rX", data], check=True)
    assert data.stat().st_mode & 0o777 == 0o750
    site.cluster.start()
    space.mkdir()
    site.cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{space}'", "CREATE TABLE far (n int) TABLESPACE spacious"
    )
    ledger = Ledger(site.cluster)
    ledger.write(1)
    site.backup()
    if kind == "incremental":
        ledger.write(1)
        site.backup("--type", "incremental")
    site.cluster.execute("CHECKPOINT")
    site.cluster.switch_wal()
    site.cluster.stop()
    assert space.stat().st_mode & 0o777 == 0o750
    words = ["--delta"] if kind == "delta" else ["--existing", "move_aside"]
    before = modes(data, space)
    # A tight umask, as of a login of the system, is the restore's own affair.
    umask = os.umask(0o077)
    try:
        site.lifeboat("restore", *words)
    finally:
        os.umask(umask)
    assert rows(site.cluster) == expected(ledger.entries)
    site.cluster.execute("CREATE TABLE new TABLESPACE spacious AS SELECT 1 AS n", "CHECKPOINT")
    site.cluster.stop()
    after = modes(data, space)
    # WAL and the server's short-lived files have other names; what is new is like what was there.
    assert {name: mode for name, mode in after.items() if before.get(name, mode) != mode} == {}
    assert {mode for name, mode in after.items() if name not in before} <= {0o640, 0o750}


def in_place(site: Site) -> str:
    """A tablespace in the data directory, as tests and developers create it; return its OID."""
    site.cluster.execute(
        "SET allow_in_place_tablespaces = on",
        "CREATE TABLESPACE inside LOCATION ''",
        "CREATE TABLE within TABLESPACE inside AS SELECT generate_series(1, 1000) AS n",
    )
    return str(site.cluster.value("SELECT oid FROM pg_tablespace WHERE spcname = 'inside'"))


def test_a_tablespace_in_the_data_directory_comes_back_or_is_refused(postgres: Installation, sites: Sites) -> None:
    more = {"summarize_wal": "on"} if postgres.major >= 17 else {}
    site = sites(postgres, segment_mb=1, **more)
    oid = in_place(site)
    if postgres.major < 16:
        for words in (("backup",), ("backup", "--plan")):
            error = site.lifeboat(*words, status=1).error
            assert error["error_code"] == "server_not_ready"
            assert "inside" in error["message"]
            assert "ALTER TABLE ALL IN TABLESPACE" in error["hint"]
        return
    (site.root / "space").mkdir()
    site.cluster.execute(
        f"CREATE TABLESPACE outside LOCATION '{site.root / 'space'}'",
        "CREATE TABLE without TABLESPACE outside AS SELECT generate_series(1, 1000) AS n",
    )
    full = site.backup()["label"]
    site.cluster.execute("UPDATE within SET n = n + 1")
    link = site.backup("--type", "incremental" if more else "full")["label"]
    site.cluster.execute("UPDATE within SET n = n + 1", "UPDATE without SET n = n + 1")
    site.cluster.switch_wal()

    for label in (full, link):
        clone = site.clone(f"clone of {label}")
        spaces = [(str(site.root / "space"), f"{clone.data_dir} space")]
        site.lifeboat(*restore_arguments(clone, "--label", label, tablespaces=spaces))
        assert clone.value("SELECT sum(n) FROM within") == 502500
        assert clone.value("SELECT sum(n) FROM without") == 501500
        inside = clone.data_dir / "pg_tblspc" / oid
        assert inside.is_dir()
        assert not inside.is_symlink()
        clone.stop()
        # It starts again by itself: nothing of the restore's own is needed for it.
        clone.start()
        assert clone.value("SELECT count(*) FROM within") == 1000
        clone.stop()
    moved = ("--tablespace", f"pg_tblspc/{oid}={site.root / 'elsewhere'}")
    error = site.lifeboat(*restore_arguments(site.clone("moved"), *moved, tablespaces=spaces), status=1).error
    assert error["error_code"] == "config_invalid"
    assert f"pg_tblspc/{oid}" in error["message"]

    # In place, over what is there, and by hand.
    site.cluster.execute("DELETE FROM within")
    site.cluster.switch_wal()
    site.cluster.stop()
    site.lifeboat("restore", "--delta", "--label", full)
    assert site.cluster.value("SELECT count(*) FROM within") == 0
    assert site.cluster.value("SELECT sum(n) FROM without") == 501500
    site.cluster.stop()
    for label in (full, link):
        by_hand(site, label)


def by_hand(site: Site, label: str) -> None:
    """The printed script, into paths with equals signs; the server listens where the stopped one did."""
    script = site.lifeboat("show", label).data["by_hand"]
    (variable,) = re.findall(r"^(TABLESPACE_\d+)=", script, re.MULTILINE)
    hand = Cluster(site.cluster.installation, site.root / f"by=hand {label}")
    shutil.rmtree(hand.socket_dir)
    hand.port, hand.socket_dir = site.cluster.port, site.cluster.socket_dir
    site.clones.append(hand)
    path = f"{hand.installation.bin_dir}:{os.environ['PATH']}"
    names = {"PATH": path, "PGDATA": str(hand.data_dir), variable: f"{hand.data_dir} space"}
    log = site.root / "script.log"
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(["sh"], input=script, text=True, stdout=out, stderr=out, check=False, env=names, cwd="/")
    assert done.returncode == 0, log.read_text(encoding="utf-8")
    until(lambda: not hand.value("SELECT pg_is_in_recovery()"), "the end of recovery")
    assert hand.value("SELECT count(*) FROM without") == 1000
    assert hand.value("SELECT count(*) FROM within") == 0
    hand.stop()
