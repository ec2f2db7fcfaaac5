# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore over existing data: nobody's data is lost, and its owner is always clear."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from lifeboat.restore.marker import MARKER, identify
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Cluster, Site, Sites, restore_arguments

pytestmark = pytest.mark.integration


def a_site(installation: Installation, sites: Sites, **settings: str) -> Tuple[Site, Ledger]:
    """A running cluster with a tablespace, a full backup, and two archived entries after it."""
    site = sites(installation, segment_mb=1, track_commit_timestamp="on", **settings)
    (site.root / "space").mkdir()
    site.cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{site.root / 'space'}'",
        "CREATE TABLE far TABLESPACE spacious AS SELECT generate_series(1, 1000) AS n",
    )
    ledger = Ledger(site.cluster)
    site.backup()
    ledger.write(2)
    site.cluster.switch_wal()
    return site, ledger


def marker(data_dir: Path) -> Dict[str, Any]:
    return dict(json.loads((data_dir / MARKER).read_text()))


def refused(site: Site, *words: str, code: str = "data_directory_refused") -> Dict[str, Any]:
    error = site.lifeboat("restore", *words, status=1).error
    assert error["error_code"] == code, error
    assert error["hint"]
    return error


def old_mark(data_dir: Path, *spaces: Path) -> None:
    """The mark that earlier delta restores left before they touched anything."""
    (data_dir / MARKER).write_text(json.dumps({"finished": False, "places": identify(str(s) for s in spaces)}))


def test_files_untouched_by_a_delta_restore_keep_their_owner(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites)
    data, space = site.cluster.data_dir, site.root / "space"
    # Committed, and not archived any more.
    site.cluster.execute("ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()")
    ledger.write(1)
    site.cluster.stop()
    label = site.lifeboat("list").data["backups"][0]["label"]
    broken = site.repository_dir / "backups" / label / "backup_manifest"
    flip(broken)
    before = sorted(p for p in data.rglob("*"))
    refused(site, "--delta", code="backup_corrupt")
    flip(broken)
    assert sorted(p for p in data.rglob("*")) == before

    # Nor is a directory somebody else's because it bears a mark: stopped in order, or not, and without the tablespace.
    old_mark(data, space)
    site.cluster.start()
    site.cluster.kill9()
    for path in (str(data), "this cluster"):
        assert path in refused(site)["message"]
    site.cluster.start()
    site.cluster.stop()
    assert "this cluster" in refused(site)["message"]
    planned = site.lifeboat("restore", "--existing", "move_aside", "--plan").data
    assert [p["state"] for p in planned["places"]] == ["occupied", "occupied"]
    aside = [Path(p) for p in site.lifeboat("restore", "--existing", "move_aside").data["restore"]["moved_aside"]]
    assert rows(site.cluster) == expected(ledger.entries[:2])
    site.cluster.stop()

    # The way back: it has every commit, and its own tablespace; the new one's files it does not touch.
    (link,) = (aside[0] / "pg_tblspc").iterdir()
    assert os.readlink(link) == str(aside[1])
    old = Cluster(newest_postgres, aside[0])
    site.clones.append(old)
    old.configure({**old.network, "archive_mode": "off"})
    (link,) = (data / "pg_tblspc").iterdir()
    assert os.readlink(link) == str(space)
    files = {p: p.stat().st_mtime_ns for p in space.rglob("*")}
    old.start()
    assert rows(old) == expected(ledger.entries)
    old.execute("UPDATE far SET n = 0", "CREATE TABLE late TABLESPACE spacious AS SELECT 1 AS n", "CHECKPOINT")
    old.stop()
    assert {p: p.stat().st_mtime_ns for p in space.rglob("*")} == files
    site.cluster.start()
    assert site.cluster.value("SELECT sum(n) FROM far") == 500500


def test_the_old_cluster_loses_a_tablespace_rather_than_getting_the_new_one(
    newest_postgres: Installation, sites: Sites
) -> None:
    """Its directory was emptied, so nothing is moved aside."""
    site, ledger = a_site(newest_postgres, sites)
    site.cluster.stop()
    space = site.root / "space"
    (inside,) = space.iterdir()
    inside.rename(site.root / "gone")
    (aside,) = site.lifeboat("restore", "--existing", "move_aside").data["restore"]["moved_aside"]
    assert rows(site.cluster) == expected(ledger.entries)
    (link,) = (Path(aside) / "pg_tblspc").iterdir()
    assert os.readlink(link).startswith(f"{space}.before-")
    assert not link.exists()


def test_wal_on_a_volume_of_its_own_stays_there(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites)
    cluster, wal = site.cluster, site.root / "volume" / "main"
    cluster.stop()
    wal.parent.mkdir()
    (cluster.data_dir / "pg_wal").rename(wal)
    (cluster.data_dir / "pg_wal").symlink_to(wal)
    cluster.start()
    cluster.stop()
    segments = {p.name for p in wal.iterdir()}

    (warning,) = site.lifeboat("restore", "--existing", "move_aside", "--plan").data["warnings"]
    assert f"is a link to {wal}" in warning
    inside = str(cluster.data_dir / "wal")
    words = ("restore", "--existing", "move_aside", "--wal-dir")
    assert site.lifeboat(*words, inside, status=1).error["error_code"] == "config_invalid"
    done = site.lifeboat(*words, str(wal)).data
    assert not done["restore"]["warnings"]
    assert rows(cluster) == expected(ledger.entries)
    assert os.readlink(cluster.data_dir / "pg_wal") == str(wal)
    assert cluster.switch_wal() in {p.name for p in wal.iterdir()}
    # The old cluster keeps its own, and starts with it.
    data, old = (Path(p) for p in done["restore"]["moved_aside"] if "space" not in p)
    assert os.readlink(data / "pg_wal") == str(old)
    assert {p.name for p in old.iterdir()} == segments


def test_a_restore_that_failed_over_wal_elsewhere_is_cleared(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites)
    clone, wal = site.clone("clone"), site.root / "clone-wal"
    words = [*restore_arguments(clone, tablespaces=[(str(site.root / "space"), str(site.root / "other"))])]
    words += ["--wal-dir", str(wal)]
    broken = site.lifeboat(*words, "--set", f"log_directory={'x' * 300}", "--set", "logging_collector=on", status=1)
    assert broken.error["error_code"] == "recovery_failed"
    assert wal.is_dir() and (clone.data_dir / "pg_wal").is_symlink()
    plan = site.lifeboat(*words, "--plan").data
    assert {p["path"]: p["state"] for p in plan["places"]}[str(wal)] == "unfinished"
    site.lifeboat(*words)
    assert rows(clone) == expected(ledger.entries)


def test_the_same_request_is_one_with_the_same_id_and_no_other(newest_postgres: Installation, sites: Sites) -> None:
    site, ledger = a_site(newest_postgres, sites)
    clone = site.clone("clone")
    tablespaces = [(str(site.root / "space"), f"{clone.data_dir} space")]

    def restore(*words: str, status: int = 0) -> Any:
        return site.lifeboat(*restore_arguments(clone, *words, tablespaces=tablespaces), status=status)

    # Without an id nothing is the same: not to say so would be a restore that does nothing and succeeds.
    restore()
    assert restore("--set", "work_mem=8MB", status=1).error["error_code"] == "data_directory_refused"
    clone.stop()
    first = restore("--request-id", "INC-1", "--existing", "move_aside").data
    again = restore("--request-id", "INC-1").data
    assert not again["changed"]
    assert again["plan"]["satisfied"]
    assert again["restore"] == first["restore"]
    # Other settings, another target, archiving, an elsewhere: not what that id stands for.
    for words, named in (
        (("--set", "work_mem=8MB"), "settings"),
        (("--immediate",), "target"),
        (("--archiving", "on"), "archiving"),
        (("--without-pieces",), "pieces"),
    ):
        error = restore("--request-id", "INC-1", *words, status=1).error
        assert error["error_code"] == "config_invalid"
        assert error["details"]["differing"] == [named]
        assert "request_id" in error["hint"]
    # Another day's restore to the latest moment is another one, and so is one without an id.
    clone.stop()
    later = ledger.write(2)
    site.cluster.switch_wal()
    for request in ((), ("--request-id", "INC-2")):
        assert restore(*request, status=1).error["error_code"] == "data_directory_refused"
    for request in ((), ("--request-id", "INC-2")):
        done = restore(*request, "--existing", "move_aside").data
        assert done["changed"]
        assert len(done["restore"]["moved_aside"]) == 2
        assert rows(clone) == expected([*ledger.entries[:2], *later])
        clone.stop()
    assert marker(clone.data_dir)["request_id"] == "INC-2"


def test_a_running_servers_directories_are_refused_by_whatever_path(
    newest_postgres: Installation, sites: Sites
) -> None:
    site, ledger = a_site(newest_postgres, sites)
    data, space = site.cluster.data_dir, site.root / "space"
    other = site.root.parent / "elsewhere"
    mapped = ("--tablespace", f"{space}={other / 'space'}")
    link = site.root / "link"
    link.symlink_to(site.root)
    (data / "base" / "mine").mkdir()
    cases: List[Tuple[Path, Tuple[str, ...]]] = [
        (data / "below", mapped),
        (site.root, mapped),
        (link / "data", mapped),
        (data / "base" / "mine", mapped),
        (space, mapped),
        (other / "data", ()),
        (other / "data", ("--tablespace", f"{space}={data / 'pg_wal' / 'space'}")),
    ]
    before = sorted(p for p in site.root.iterdir())

    for place, words in cases:
        error = refused(site, "--data-dir", str(place), "--existing", "move_aside", *words)
        assert str(data) in error["message"] or "A server is running" in error["message"]
    assert sorted(p for p in site.root.iterdir()) == before
    # A pid file that somebody removed does not hide it. The server would notice, and end: it is halted meanwhile.
    pid_file, postmaster = data / "postmaster.pid", site.cluster.postmaster
    content = pid_file.read_bytes()
    assert postmaster is not None
    os.kill(postmaster, signal.SIGSTOP)
    try:
        pid_file.unlink()
        refused(site, "--existing", "move_aside")
        for place in (site.root, data / "below"):
            assert str(data) in refused(site, "--data-dir", str(place), "--existing", "move_aside", *mapped)["message"]
    finally:
        pid_file.write_bytes(content)
        os.kill(postmaster, signal.SIGCONT)
    assert rows(site.cluster) == expected(ledger.entries)
    assert site.cluster.value("SELECT count(*) FROM far") == 1000
