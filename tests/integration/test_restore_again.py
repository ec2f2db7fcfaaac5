# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cluster restored to a fork inside a segment works like any other: summaries, trimming, backups."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import until

pytestmark = pytest.mark.integration


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> Site:
    if newest_postgres.major < 17:
        pytest.skip("WAL summaries are PostgreSQL 17's")
    (tmp_path / "repository").mkdir()
    store = DirectoryOptions(str(tmp_path / "repository"))
    return sites(newest_postgres, store, segment_mb=1, summarize_wal="on", min_wal_size="2MB", archive_timeout=0)


def write(site: Site) -> None:
    site.cluster.execute("INSERT INTO t SELECT coalesce(max(i), 0) + 1 FROM t")
    site.cluster.switch_wal()


def segments(site: Site) -> List[str]:
    return sorted(p.name for p in (site.cluster.data_dir / "pg_wal").iterdir() if len(p.name) == 24)


def restore(site: Site, *words: str) -> List[str]:
    site.cluster.stop()
    done = site.lifeboat("restore", "--existing", "move_aside", "--timeout", "180", *words).data
    return list(done["plan"]["notes"])


def test_a_second_restore_leaves_a_server_that_summarizes_and_trims(site: Site) -> None:
    cluster = site.cluster
    cluster.execute("CREATE TABLE t (i int)")
    site.backup()
    write(site)
    write(site)
    cluster.execute("INSERT INTO t VALUES (3)")
    target = str(cluster.value("SELECT pg_create_restore_point('here')"))
    write(site)
    assert any("as at the backup" in note for note in restore(site, "--name", "here"))
    assert cluster.value("SELECT pg_walfile_name(pg_current_wal_lsn())")[:8] == "00000002"
    write(site)
    write(site)
    assert any("as in the restore of" in note for note in restore(site))
    assert cluster.value("SELECT array_agg(i ORDER BY i) FROM t") == [1, 2, 3, 4, 5], target

    left = segments(site)
    for _ in range(4):
        write(site)
    cluster.execute("CHECKPOINT")
    here = cluster.value("SELECT pg_current_wal_lsn()")
    cluster.execute("CHECKPOINT")
    until(
        lambda: cluster.value("SELECT summarized_lsn >= %s FROM pg_get_wal_summarizer_state()", here),
        "the WAL to be summarized",
        lambda: cluster.log.read_text()[-2000:],
    )
    cluster.execute("CHECKPOINT")
    until(lambda: not set(left[:-1]) & set(segments(site)), "old segments to be removed", lambda: str(segments(site)))
    site.backup()
    write(site)
    assert site.backup("--type", "incremental")["type"] == "incremental"
