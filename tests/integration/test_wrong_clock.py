# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server or a host with a wrong clock: backups are refused, and earlier ones are not the newest forever."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from lifeboat.config.load import DirectoryOptions
from support.choice import represented
from support.clocks import wrong_clock
from support.installations import Installation
from support.lost import flip
from support.postgres import Site, Sites, restore_arguments

pytestmark = pytest.mark.integration
DAY = 86400
# So little that a backup is made, and more than clocks are apart that are looked after.
AHEAD = 3000


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> Site:
    """A stopped server, and a directory to store in."""
    (tmp_path / "repository").mkdir()
    store = DirectoryOptions(str(tmp_path / "repository"))
    summaries = {"summarize_wal": "on"} if newest_postgres.major >= 17 else {}
    return sites(newest_postgres, store, segment_mb=1, start=False, **summaries)


class Wrong:
    """Starts a server with a wrong clock."""

    def __init__(self, patch: pytest.MonkeyPatch, root: Path) -> None:
        self._patch, self._root = patch, root

    def start(self, site: Site, seconds: int) -> None:
        with self._patch.context() as patch:
            for name, value in wrong_clock(self._root, seconds).items():
                patch.setenv(name, value)
            site.cluster.start()


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Wrong]:
    yield Wrong(monkeypatch, tmp_path)


def checks(site: Site) -> Dict[str, Any]:
    return {c["name"].split(": ")[-1]: c for c in site.lifeboat("check", status=None).data["checks"]}


@pytest.mark.parametrize("seconds", [400 * DAY, -400 * DAY], ids=["ahead", "behind"])
@represented(seconds=400 * DAY)
def test_a_backup_is_refused_while_a_clock_is_wrong(site: Site, wrong: Wrong, tmp_path: Path, seconds: int) -> None:
    wrong.start(site, seconds)
    error = site.lifeboat("backup", status=1).error
    assert (error["error_code"], error["details"]["whose"]) == ("clock_wrong", "server's")
    assert error["details"]["seconds"] == pytest.approx(seconds, abs=60)
    site.cluster.stop()
    site.cluster.start()
    error = site.lifeboat("backup", status=1, env=wrong_clock(tmp_path, seconds)).error
    assert (error["error_code"], error["details"]["whose"]) == ("clock_wrong", "host's")
    assert not list(site.repository_dir.glob("backups/*"))
    site.backup()


def test_a_release_from_the_past_does_not_count_until_the_clock_is_right(site: Site, tmp_path: Path) -> None:
    site.cluster.start()
    label = site.backup()["label"]
    site.lifeboat("hold", label, "--reason", "a trial")
    behind = wrong_clock(tmp_path, -AHEAD)
    error = site.lifeboat("hold", label, "--release", status=1, env=behind).error
    assert error["error_code"] == "release_refused" and error["hint"].startswith("Correct this host's clock")
    # A record that cannot be read is not in the way.
    (hold,) = site.repository_dir.glob(f"holds/{label}/*")
    flip(hold)
    assert site.lifeboat("hold", label, "--release").data["changed"]
    assert site.lifeboat("hold").data["holds"] == {"repo0": []}


def test_an_erasure_gets_no_wrong_time(site: Site, tmp_path: Path) -> None:
    """A restore to half an hour before it would not apply it."""
    site.cluster.start()
    site.backup()
    words = ["erasure", "add", "--table", "people", "--column", "id"]
    argv = [str(site.command), "--config", str(site.config_file), "--json", *words]
    done = subprocess.run(
        argv, input="7", capture_output=True, text=True, check=False,
        env={**os.environ, **wrong_clock(tmp_path, -3 * 3600)},
    )  # fmt: skip
    assert done.returncode == 1 and '"error_code": "clock_wrong"' in done.stderr, done
    assert not list(site.repository_dir.glob("erasures/*"))


def test_a_hold_that_does_not_count_is_no_success(site: Site, tmp_path: Path) -> None:
    site.cluster.start()
    label = site.backup()["label"]
    site.lifeboat("hold", label, "--reason", "a trial")
    # Not so far ahead that the release would not count.
    site.lifeboat("hold", label, "--release", env=wrong_clock(tmp_path, 50 * 60))
    error = site.lifeboat("hold", label, "--reason", "another trial", status=1).error
    assert error["error_code"] == "clock_wrong" and "is not held" in error["message"]
    assert site.lifeboat("hold").data["holds"] == {"repo0": []}


@pytest.fixture
def first(site: Site, wrong: Wrong) -> Dict[str, Any]:
    """A backup made while the server's clock was ahead; the clock is correct now."""
    wrong.start(site, AHEAD)
    made = site.backup()
    site.cluster.stop()
    site.cluster.start()
    return made


def test_a_backup_that_is_ahead_is_flagged_and_is_not_young(site: Site, first: Dict[str, Any]) -> None:

    told = checks(site)
    assert told["clock"]["status"] == "critical"
    assert first["label"] in told["clock"]["message"]
    assert "backups" not in told
    assert [a["label"] for a in site.lifeboat("list").data["ahead"]] == [first["label"]]
    assert first["label"] in site.lifeboat("verify").data["ahead"][0]["message"]
    assert site.lifeboat("backup", "--max-age", "3600").data["changed"]
    told = checks(site)
    assert (told["clock"]["status"], told["backups"]["status"]) == ("warning", "ok")


def test_a_backup_that_is_ahead_is_no_parent(site: Site, first: Dict[str, Any], newest_postgres: Installation) -> None:
    """A backup based on it would have an earlier time than its parent, and not count."""
    if newest_postgres.major < 17:
        pytest.skip("incremental backups are PostgreSQL 17's")
    error = site.lifeboat("backup", "--type", "differential", status=1).error
    assert (error["error_code"], first["label"] in error["message"]) == ("incremental_impossible", True)


def test_a_backup_that_is_ahead_is_not_the_newest_forever(site: Site, first: Dict[str, Any]) -> None:
    second = site.backup()
    site.cluster.execute("CREATE TABLE t AS SELECT 1 AS i")
    site.cluster.switch_wal()
    clone = site.clone("clone")
    ran = site.lifeboat(*restore_arguments(clone))
    assert ran.data["restore"]["label"] == second["label"] != first["label"]
    assert clone.value("SELECT i FROM t") == 1
