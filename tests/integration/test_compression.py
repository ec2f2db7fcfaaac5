# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups with lz4 and without compression: intact, damaged, and mixed in one chain."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions
from support.choice import represented
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Site, Sites, restore_arguments
from support.processes import until

pytestmark = pytest.mark.integration

FILES = {"zstd": "base.tar.zst", "lz4": "base.tar.lz4", "none": "base.tar"}


def backup(site: Site, method: str, kind: str = "full", **more: object) -> Path:
    """A backup with this compression; its directory in the repository."""
    config = site.write(site.root / f"{method}.yml", backup={"wal_timeout": 120, "compression": method, **more})
    label = site.lifeboat("backup", "--type", kind, config_file=config).data["backup"]["label"]
    directory = site.repository_dir / "backups" / label
    assert [p.name for p in directory.glob("base.*")] == [FILES[method]]
    return directory


def restored(site: Site, ledger: Ledger, name: str, *words: str) -> None:
    clone = site.clone(name)
    site.lifeboat(*restore_arguments(clone, *words))
    until(lambda: not clone.value("SELECT pg_is_in_recovery()"), "the end of recovery")
    assert rows(clone) == expected(ledger.entries)
    clone.stop()


METHODS = [("lz4", "client"), ("lz4", "auto"), ("none", "auto"), ("none", "server")]


@pytest.mark.parametrize(("method", "place"), METHODS)
@represented(place=["client", "server"])
def test_a_backup_comes_back_however_it_is_compressed(
    sites: Sites, a_postgres: Installation, tmp_path: Path, method: str, place: str
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    site = sites(a_postgres, DirectoryOptions(str(store)), track_commit_timestamp="on")
    ledger = Ledger(site.cluster)
    ledger.write(5)
    directory = backup(site, method, compress_at=place, compression_level=0 if method == "lz4" else 1)
    ledger.write(5)
    site.cluster.switch_wal()
    site.lifeboat("wal-prove")
    assert site.lifeboat("verify").data["findings"] == []
    restored(site, ledger, "whole")

    flip(directory / FILES[method])
    error = site.lifeboat(*restore_arguments(site.clone("damaged")), status=1).error
    assert error["error_code"] == "backup_corrupt" and FILES[method] in error["message"]


def test_a_chain_may_mix_them(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    site = sites(newest_postgres, DirectoryOptions(str(store)), track_commit_timestamp="on", summarize_wal="on")
    ledger = Ledger(site.cluster)
    for method, kind in (("lz4", "full"), ("none", "incremental"), ("zstd", "incremental")):
        ledger.write(3)
        backup(site, method, kind)
    ledger.write(1)
    site.cluster.switch_wal()
    site.lifeboat("wal-prove")
    label = site.lifeboat("list").data["backups"][-1]["label"]
    shown = site.lifeboat("show", label).data
    assert len(shown["chain"]) == 3
    by_hand = shown["by_hand"].replace("'", "")
    assert all(f"{name} | tar" in by_hand for name in ("base.tar.lz4 | lz4 -d", "base.tar", "base.tar.zst | zstd -d"))
    restored(site, ledger, "mixed")
