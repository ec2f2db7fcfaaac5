# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a server whose WAL is not what the repository has under the names of its segments."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.backups import recorded, refused
from support.installations import Installation
from support.postgres import Sites

pytestmark = pytest.mark.integration


def test_a_backup_of_a_reverted_server_counts_for_nothing(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    """The repository has every segment that it needs, by name, from before the machine's snapshot was restored."""
    site = sites(newest_postgres, segment_mb=1)
    cluster = site.cluster
    site.backup()
    site.options["backup"] = {"wal_timeout": 3}
    site.write()
    cluster.stop()
    shutil.copytree(cluster.data_dir, tmp_path / "snapshot", symlinks=True)
    cluster.start()
    for _ in range(6):
        cluster.switch_wal()
    cluster.stop()
    shutil.rmtree(cluster.data_dir)
    shutil.copytree(tmp_path / "snapshot", cluster.data_dir, symlinks=True)
    cluster.start()
    known = recorded(site)
    error = refused(site, "wal_conflict", "this server did not archive its own")
    assert "reverted to a snapshot" in error["hint"] and recorded(site) == known
