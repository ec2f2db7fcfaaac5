# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``wal-prove``: a segment in every required repository proves that archiving works; otherwise it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration


def two_repositories(sites: Sites, postgres: Installation, root: Path, **settings: str) -> Site:
    stores = [DirectoryOptions(str(root / name)) for name in ("near", "far")]
    for store in stores:
        Path(store.path).mkdir()
    return sites(postgres, *stores, fresh=True, **settings)


def stored(site: Site, name: str) -> int:
    return sum(len([*Path(r["path"]).rglob(f"{name}*.zst")]) for r in site.repositories)


def test_a_segment_is_found_everywhere_and_proves_it_once(sites: Sites, postgres: Installation, tmp_path: Path) -> None:
    site = two_repositories(sites, postgres, tmp_path)

    first = site.lifeboat("wal-prove").data
    assert first["switched"] and first["repositories"] == ["repo0", "repo1"]
    assert stored(site, first["segment"]) == 2

    position = site.cluster.value("SELECT pg_current_wal_insert_lsn()::text")
    again = site.lifeboat("wal-prove").data
    assert (again["switched"], again["segment"]) == (False, first["segment"])
    assert site.cluster.value("SELECT pg_current_wal_insert_lsn()::text") == position

    # Settings were read again, and the current segment is empty: a proof needs a record, and ends it.
    site.cluster.execute("SELECT pg_reload_conf()", "SELECT pg_sleep(0.2)")
    renewed = site.lifeboat("wal-prove").data
    assert renewed["switched"] and renewed["segment"] > first["segment"] and stored(site, renewed["segment"]) == 2


def test_a_repository_that_lost_the_proof_gets_a_new_one(sites: Sites, postgres: Installation, tmp_path: Path) -> None:
    site = two_repositories(sites, postgres, tmp_path)
    first = site.lifeboat("wal-prove").data
    for path in Path(site.repositories[1]["path"]).rglob(f"{first['segment']}*"):
        path.unlink()

    assert site.lifeboat("wal-prove").data["switched"]


def test_an_archive_command_that_only_returns_success_is_detected(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    site = two_repositories(sites, newest_postgres, tmp_path, archive_command="/bin/true")

    error = site.lifeboat("wal-prove", status=1).error
    assert error["error_code"] == "wal_gap" and "repo0" in error["message"] and "repo1" in error["message"]


def test_a_command_that_fails_is_reported_before_the_time_is_over(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    site = two_repositories(sites, newest_postgres, tmp_path, archive_command="/bin/false")

    error = site.lifeboat("wal-prove", "--timeout", "3000", status=1).error
    assert error["error_code"] == "wal_gap" and error["details"]["failed_count"] >= 3


def test_a_repository_that_is_unreachable_is_reported(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    site = two_repositories(sites, newest_postgres, tmp_path)
    site.lifeboat("wal-prove")
    (tmp_path / "far").rename(tmp_path / "away")

    error = site.lifeboat("wal-prove", status=1).error
    assert str(tmp_path / "far") in error["message"]


def test_a_cluster_that_was_created_anew_is_accepted_before_it_has_a_backup(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    """As the role wal_archive does it: otherwise a backup would need archiving, and archiving a backup."""
    site = two_repositories(sites, newest_postgres, tmp_path)
    site.lifeboat("wal-prove")
    anew = sites(newest_postgres, fresh=True, start=False)
    anew.repositories[:] = site.repositories
    anew.write()
    anew.cluster.start()

    for words in (("--plan",), ("--timeout", "3000")):
        refused = anew.lifeboat("wal-prove", *words, status=1).error
        assert refused["error_code"] == ("repository_foreign" if words == ("--plan",) else "wal_gap")
    assert "wal_archive_accept_new_system" in anew.lifeboat("wal-prove", "--plan", status=1).error["hint"]
    anew.lifeboat("wal-prove", "--plan", "--accept-new-system")
    assert anew.lifeboat("wal-prove", "--plan", status=1).error["error_code"] == "repository_foreign"
    assert anew.lifeboat("wal-prove", "--accept-new-system").data["repositories"] == ["repo0", "repo1"]
    anew.lifeboat("wal-prove")
    assert anew.backup()["system_identifier"] == anew.cluster.system_identifier


def test_a_server_that_cannot_archive_is_reported(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> None:
    site = two_repositories(sites, newest_postgres, tmp_path, archive_mode="off")

    error = site.lifeboat("wal-prove", status=1).error
    assert error["error_code"] == "server_not_ready" and "archive_mode" in error["message"]


def test_a_standby_is_recognized(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> None:
    site = two_repositories(sites, newest_postgres, tmp_path)
    site.cluster.stop()
    (site.cluster.data_dir / "standby.signal").touch()
    site.cluster.start()

    error = site.lifeboat("wal-prove", status=1).error
    assert error["error_code"] == "server_not_ready" and "standby" in error["message"]


def test_a_repository_of_another_cluster_is_reported_beforehand(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    site = two_repositories(sites, newest_postgres, tmp_path)
    assert site.lifeboat("wal-prove", "--plan").data == {"repositories": ["repo0", "repo1"]}
    assert not any(tmp_path.rglob("systems"))

    site.lifeboat("wal-prove")
    assert site.lifeboat("wal-prove", "--plan").data == {"repositories": ["repo0", "repo1"]}

    (known,) = (tmp_path / "far").rglob("systems/*.json")
    known.rename(known.with_name("7000000000000000001.json"))
    error = site.lifeboat("wal-prove", "--plan", status=1).error
    assert error["error_code"] == "repository_foreign" and "repo1" in error["message"]
    assert "7000000000000000001" in error["message"] and str(known.stem) in error["message"]
