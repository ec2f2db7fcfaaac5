# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository written by an earlier release (tests/fixtures): listed, verified and restored by current code."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Callable, List

import pytest
from support.installations import Installation, installations
from support.postgres import Cluster, Site, restore_arguments

pytestmark = pytest.mark.integration

FIXTURE = Path(__file__).parents[1] / "fixtures" / "repository_before_rooms.tgz"
FULL, DUMP, FILES = "20261127T222123Z-full", "20261127T222139Z-dump", "20261127T222141Z-files"
# What the fixture was made with: a data directory belongs to one major version.
MAJOR = 15


@pytest.fixture(scope="module")
def postgres15() -> Installation:
    found: List[Installation] = [one for one in installations() if one.major == MAJOR]
    if not found:
        pytest.skip(f"the fixture's data directory needs PostgreSQL {MAJOR}, which was not found")
    return found[0]


@pytest.fixture
def older(postgres15: Installation, sites: Callable[..., Site], tmp_path: Path) -> Site:
    """A running cluster of another system, whose configuration has the older repository."""
    site = sites(postgres15, archive_mode="off")
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path / "older", filter="data")
    site.repositories[:] = [{"name": "older", "type": "directory", "path": str(tmp_path / "older")}]
    site.write(file_sets=[{"name": "app", "paths": ["/tmp/house-fixture/app"]}])
    return site


def orders(cluster: Cluster, database: str = "shop") -> List[int]:
    return list(cluster.rows("SELECT count(*), max(id) FROM orders", dbname=database)[0])


def test_it_is_listed_and_verified(older: Site) -> None:
    listed = older.lifeboat("list").data
    assert [b["label"] for b in listed["backups"]] == [FULL]
    assert not listed["damaged"] and not listed["foreign"]
    assert [d["label"] for d in older.lifeboat("dump", "list").data["dumps"]] == [DUMP]
    # What the fixture's own verification read is not read again unless asked.
    assert older.lifeboat("verify").data["skipped"] == [FULL]
    verified = older.lifeboat("verify", "--all").data
    assert verified["intact"] and verified["findings"] == []
    assert verified["labels"] == [FULL] and verified["segments_read"] >= 2
    assert sorted(verified["copies"]) == [f"dumps/shop/{DUMP}", f"files/app/{FILES}"]


def test_its_hold_still_counts(older: Site) -> None:
    nothing = {"full_days": 0, "wal_days": 0, "keep_last": 1, "settle_hours": 0, "max_share": 100}
    planned = older.lifeboat("prune", "--plan", config_file=older.write(retention=nothing)).data["repositories"][0]
    assert "fixture" in " ".join(planned["kept"][FULL])
    assert not [r for r in planned["removals"] if "/backups/" in r["key"]]


def test_a_restore_reaches_its_restore_point_and_its_end(older: Site) -> None:
    point = older.clone("point")
    done = older.lifeboat(*restore_arguments(point, "--name", "before_the_loss")).data
    assert done["restore"]["label"] == FULL
    assert orders(point) == [151, 151]
    point.stop()
    end = older.clone("end")
    older.lifeboat(*restore_arguments(end))
    assert orders(end) == [152, 152]


def test_its_dump_and_its_files_come_back(older: Site, tmp_path: Path) -> None:
    restored = older.lifeboat("dump", "restore", "shop").data
    assert restored["label"] == DUMP and restored["rows"] == 150
    assert orders(older.cluster) == [150, 150]
    older.lifeboat("files", "restore", "app", "--target", str(tmp_path / "target"))
    found = tmp_path / "target" / "tmp" / "house-fixture" / "app"
    assert (found / "current").readlink() == Path("app.conf")
    assert (found / "current").read_text() == "listen = 8080\n"
    assert (found / "conf.d" / "shop.conf").read_text() == "workers = 4\n"
