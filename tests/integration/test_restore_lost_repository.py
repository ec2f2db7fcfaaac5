# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One of two repositories is lost with its region: the other one suffices, to the last acknowledged segment."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions
from support.choice import represented
from support.installations import Installation
from support.postgres import Sites, restore_arguments

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
