# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps by several processes, of several databases (one is dropped meanwhile), and by configuration."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base.errors import ConfigError, DiskFull
from lifeboat.config.load import parse
from lifeboat.dump import directory
from lifeboat.repository.kinds import kind_of
from support.age import make_key, needs_age
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import until
from support.stores import keys

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> Site:
    """Two databases with a table each, and a staging directory."""
    (tmp_path / "staging").mkdir()
    made = sites(newest_postgres, segment_mb=1, options={"audit": {"file": "", "syslog": ""}})
    for name in ("shop", "wiki"):
        made.cluster.execute(f"CREATE DATABASE {name}")
        made.cluster.execute(
            "CREATE TABLE pages AS SELECT n, repeat(md5(n::text), 10) AS words FROM generate_series(1, 20000) n",
            "CREATE TABLE more AS SELECT n FROM generate_series(1, 1000) n",
            dbname=name,
        )
    return made


def stored(site: Site) -> List[str]:
    return [key for key in keys(site.config)["repo0"] if "/dumps/" in key]


def directory_format(tmp_path: Path) -> List[str]:
    return ["--format", "directory", "--jobs", "2", "--staging-dir", str(tmp_path / "staging")]


def test_several_processes_write_and_read_a_dump(site: Site, tmp_path: Path) -> None:
    (made,) = site.lifeboat("dump", "create", "shop", *directory_format(tmp_path)).data["dumps"]
    assert made["data"]["name"] == "data.pgdump.tar.zst" and 20000 in made["rows"].values()
    assert sum(kind_of("main", key).name == "dump" for key in stored(site)) == 3
    assert list((tmp_path / "staging").iterdir()) == []
    words = ("--staging-dir", str(tmp_path / "staging"))
    site.lifeboat("dump", "restore", "shop", "--into", "beside", "--jobs", "2", *words)
    site.lifeboat("dump", "restore", "shop", "--replace", *words)
    for name in ("beside", "shop"):
        assert site.cluster.value("SELECT count(*) FROM pages", dbname=name) == 20000
    assert list((tmp_path / "staging").iterdir()) == [] and site.lifeboat("verify").data["intact"]


@needs_age
def test_what_is_sealed_is_not_staged_on_its_way_back_without_an_identity(site: Site, tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    site.write(seal={"recipients": [key.recipient]})
    site.lifeboat("dump", "create", "shop", *directory_format(tmp_path))
    assert next(key.rsplit("/", 1)[1] for key in stored(site)) == "data.pgdump.tar.zst.age"
    words = ("dump", "restore", "shop", "--into", "beside", "--staging-dir", str(tmp_path / "staging"))
    assert site.lifeboat(*words, status=1).error["error_code"] == "identity_missing"
    site.write(seal={"recipients": [key.recipient], "identity_file": str(key.file)})
    site.lifeboat(*words)
    assert site.cluster.value("SELECT count(*) FROM pages", dbname="beside") == 20000


def test_a_place_without_room_is_refused_and_removed(tmp_path: Path) -> None:
    with pytest.raises(DiskFull) as refused, directory.place(str(tmp_path), 2**62):
        pass
    assert str(tmp_path) in refused.value.message and "staging_dir" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["custom", "directory"])
def test_a_database_that_is_dropped_midway_is_named_and_the_others_are_dumped(
    site: Site, tmp_path: Path, how: str
) -> None:
    site.write(dumps={"databases": ["shop", "wiki"], "format": how, "staging_dir": str(tmp_path / "staging")})
    holder = site.cluster.connect("shop")
    holder.autocommit = False
    holder.cursor().execute("LOCK TABLE pages IN ACCESS EXCLUSIVE MODE")
    ended: Dict[str, Any] = {}
    thread = threading.Thread(target=lambda: ended.update(ran=site.lifeboat("dump", "create", status=1)))
    thread.start()
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND wait_event_type = 'Lock'"
    until(lambda: site.cluster.value(waits), "pg_dump waits for the table")
    site.cluster.execute("DROP DATABASE shop WITH (FORCE)")
    thread.join()
    error = ended["ran"].error
    assert error["error_code"] == "dumps_incomplete" and "shop: " in error["message"] and "wiki" in error["hint"]
    assert {key.split("/")[2] for key in stored(site)} == {"wiki"}
    assert [d["database"] for d in site.lifeboat("dump", "list").data["dumps"]] == ["wiki"]
    assert list((tmp_path / "staging").iterdir()) == []
    # One alone fails with its own error, before anything is made.
    assert site.lifeboat("dump", "create", "shop", status=1).error["error_code"] == "config_invalid"


@pytest.mark.parametrize(
    ("dumps", "words"),
    [({"jobs": 0}, "dumps.jobs is 0"), ({"format": "plain"}, "dumps.format is 'plain'"), ({"databases": "x"}, "list")],
)
def test_impossible_options_are_refused(dumps: Dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse({"cluster": "main", "repositories": [{"type": "directory", "path": "/x"}], "dumps": dumps})
