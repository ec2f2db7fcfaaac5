# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Differential and incremental backups of real servers, and restores of their chains."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Dict, List

import pytest
from lifeboat.config import DirectoryOptions
from seaweedfs import SeaweedFS
from support.ledger import Entry, Ledger, expected, rows
from support.postgres import Cluster, Installation, Site, Sites, restore_arguments
from support.stores import s3_options_for

pytestmark = pytest.mark.integration


@dataclass
class Story:
    """A cluster that is gone, with a full backup, a differential, and two incremental ones on that, all in two stores.

    Between any two backups something is written into the tablespace ``spacious`` and into the data directory.
    ``dropped`` held a tablespace that only the full backup has, ``late`` one that came after it.
    """

    site: Site
    backups: Dict[str, Dict[str, Any]]
    entries: List[Entry]

    def spaces(self, clone: Cluster) -> List[tuple[str, str]]:
        return [(str(self.site.root / name), f"{clone.data_dir} = {name}") for name in ("spaces", "late")]

    def restore(self, clone: Cluster, *words: str) -> Dict[str, Any]:
        return dict(self.site.lifeboat(*restore_arguments(clone, *words, tablespaces=self.spaces(clone))).data)


@pytest.fixture(scope="module")
def story(
    newest_postgres: Installation,
    module_sites: Sites,
    seaweedfs: SeaweedFS,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    near = DirectoryOptions(str(tmp_path_factory.mktemp("near")))
    site = module_sites(
        newest_postgres, s3_options_for(seaweedfs, bucket, f"chain {secrets.token_hex(4)}"), near,
        summarize_wal="on", track_commit_timestamp="on",
    )  # fmt: skip
    cluster = site.cluster
    for name in ("spaces", "gone", "late"):
        (site.root / name).mkdir()
    cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{site.root / 'spaces'}'",
        f"CREATE TABLESPACE gone LOCATION '{site.root / 'gone'}'",
        "CREATE TABLE dropped TABLESPACE gone AS SELECT generate_series(1, 5000) AS n",
        "CREATE TABLE still (n int, filler text)",
        "INSERT INTO still SELECT n, repeat('x', 200) FROM generate_series(1, 20000) n",
    )
    ledger = Ledger(cluster)
    far = Ledger(cluster, "far", tablespace="spacious")
    made: Dict[str, Dict[str, Any]] = {}
    for name, kind in (("full", "full"), ("diff", "differential"), ("incr", "incremental"), ("last", "auto")):
        ledger.write(3)
        far.write(1)
        made[name] = site.backup("--type", kind)
        if name == "full":
            cluster.execute(
                "DROP TABLE dropped",
                "DROP TABLESPACE gone",
                f"CREATE TABLESPACE late LOCATION '{site.root / 'late'}'",
                "CREATE TABLE came TABLESPACE late AS SELECT generate_series(1, 3000) AS n",
            )
        if name == "incr":
            cluster.execute("UPDATE still SET filler = 'short' WHERE n <= 2000", "DELETE FROM came WHERE n > 1000")
            cluster.execute("VACUUM FULL came")
    ledger.write(3)
    cluster.switch_wal()
    cluster.stop()
    return Story(site, made, ledger.entries)


def test_each_backup_names_its_parent_and_holds_what_changed(story: Story) -> None:
    made = story.backups
    assert [made[n]["type"] for n in made] == ["full", "differential", "incremental", "incremental"]
    assert [made[n]["label"].rsplit("-", 1)[1] for n in made] == ["full", "diff", "incr", "incr"]
    assert made["full"]["parent"] is None
    assert made["diff"]["parent"] == made["full"]["label"]
    assert made["incr"]["parent"] == made["diff"]["label"]
    assert made["last"]["parent"] == made["incr"]["label"]
    for name in ("diff", "incr", "last"):
        assert made[name]["data_size"] < made["full"]["data_size"] / 2
        assert made[name]["restored_size"] > made["full"]["data_size"] / 2


def test_a_chain_is_restored_to_the_latest_moment(story: Story) -> None:
    clone = story.site.clone("latest")
    done = story.restore(clone)
    labels = [b["label"] for b in story.backups.values()]
    assert done["plan"]["chain"] == done["restore"]["chain"] == labels
    assert rows(clone) == expected(story.entries)
    assert rows(clone, "far") == [(i, f"entry {i}") for i in (1, 2, 3, 4)]
    assert clone.value("SELECT count(*) FROM came") == 1000
    assert clone.value("SELECT count(*) FROM still WHERE filler = 'short'") == 2000
    places = {p["path"]: p for p in done["plan"]["places"]}
    assert sum(p["size"] + p["staged"] for p in places.values()) <= done["plan"]["bytes_to_write"]
    assert not (clone.data_dir / "lifeboat_chain").exists()
    clone.stop()
