# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore with fewer repositories than the cluster had, or with one that it may only read."""

from __future__ import annotations

from pathlib import Path
from typing import Dict

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import DirectoryOptions, load
from support.choice import represented
from support.installations import Installation
from support.postgres import Sites, entry, restore_arguments

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(("lost", "used"), [("near", "repo1"), ("far", "repo0")])
@represented(lost="near")
def test_a_restore_to_the_latest_moment_needs_one_repository(
    sites: Sites, newest_postgres: Installation, tmp_path: Path, lost: str, used: str
) -> None:
    stores = [DirectoryOptions(str(tmp_path / name)) for name in ("near", "far")]
    for store in stores:
        Path(store.path).mkdir()
    site = sites(newest_postgres, *stores, fresh=True)
    site.lifeboat("backup")
    site.cluster.execute("CREATE TABLE kept AS SELECT 42 AS id")
    site.cluster.wait_archived(site.cluster.switch_wal())
    site.cluster.kill9()
    (tmp_path / lost).rename(tmp_path / "away")

    clone = site.clone(f"without-{lost}")
    done = site.lifeboat(*restore_arguments(clone)).data
    assert str(done["restore"]["repository"]).startswith(used)
    assert clone.value("SELECT id FROM kept") == 42


def test_a_rehearsal_reads_the_repository_of_production_and_writes_to_its_own(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    production, own = (DirectoryOptions(str(tmp_path / name)) for name in ("production", "own"))
    for store in (production, own):
        Path(store.path).mkdir()
    site = sites(newest_postgres, production, fresh=True)
    site.lifeboat("backup")
    site.cluster.execute("CREATE TABLE kept AS SELECT 42 AS id")
    site.cluster.wait_archived(site.cluster.switch_wal())

    def stored() -> Dict[Path, int]:
        # A directory tells its time by a nameless file, in .tmp.
        return {p: p.stat().st_mtime_ns for p in Path(production.path).rglob("*") if p.name != ".tmp"}

    before = stored()
    repositories = [
        {**entry(0, own), "name": "rehearsal"},
        {**entry(1, production), "name": "production", "required": False, "read_only": True},
    ]
    site.repositories = repositories
    site.write()
    clone = site.clone("clone")
    done = site.lifeboat(*restore_arguments(clone, "--archiving", "on")).data
    assert str(done["restore"]["repository"]).startswith("production")
    assert clone.value("SELECT id FROM kept") == 42
    assert clone.value("SELECT pg_is_in_recovery()") is False
    # What would write there writes nowhere else either, or says so.
    for words in (("sync",), ("verify",), ("prune",), ("check",), ("backup", "--always")):
        site.lifeboat(*words, status=None)
        assert stored() == before, words
    site.repositories = [*repositories[:1], {**repositories[1], "required": True}]
    with pytest.raises(ConfigError, match="read_only, but required"):
        load(str(site.write(tmp_path / "wrong.yml")))
