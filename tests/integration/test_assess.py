# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment of real clusters: the ways back, what each loses, and that the marked one works as it is printed."""

from __future__ import annotations

import shlex
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List, Mapping

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shop(newest_postgres: Installation, module_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A running cluster with a backup, a dump, and orders that were deleted after ``MOMENT``."""
    made = module_sites(
        newest_postgres, DirectoryOptions(str(tmp_path_factory.mktemp("store"))), segment_mb=1,
        track_commit_timestamp="on",
    )  # fmt: skip
    sql = made.cluster.execute
    sql("CREATE DATABASE shop")
    sql("CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 100) n", dbname="shop")
    made.backup()
    made.lifeboat("dump", "create", "shop")
    sql("INSERT INTO orders SELECT n FROM generate_series(101, 120) n", dbname="shop")
    time.sleep(1.1)
    MOMENT.append(made.cluster.value("SELECT clock_timestamp()").astimezone(timezone.utc))
    time.sleep(1.1)
    sql("DELETE FROM orders", dbname="shop")
    for number in range(3):
        sql(f"INSERT INTO orders VALUES ({1000 + number})", dbname="shop")
    made.cluster.switch_wal()
    return made


MOMENT: List[datetime] = []


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def assessed(site: Site, *words: str) -> Dict[str, Any]:
    return dict(site.lifeboat("assess", *words).data)


def way(found: Mapping[str, Any], name: str) -> Dict[str, Any]:
    (one,) = [each for each in found["ways"] if each["name"] == name]
    return dict(one)


def states(found: Mapping[str, Any], name: str) -> Dict[str, str]:
    return {c["name"]: c["state"] for c in way(found, name)["conditions"]}


DELETED = ("--disaster", "deletion", "--database", "shop", "--table", "orders")


def test_a_deletion_is_searched_for_first_and_nothing_is_marked_before(shop: Site) -> None:
    found = assessed(shop, *DELETED)
    assert found["best"] is None and states(found, "table_beside")["moment"] == "unmet"
    (step,) = [words for words in found["first"] if "table search" in words]
    command = step.split(": ", 1)[1]
    # The command of the page finds the deletion, without the user that it is run as.
    words = shlex.split(command)
    assert words[:4] == ["sudo", "-u", "postgres", "lifeboat"] and words[5] == str(shop.config_file)
    (event,) = shop.lifeboat(*words[6:]).data["events"]
    assert (event["what"], event["rows"]) == ("deleted", 120)


def test_the_marked_way_back_from_a_deletion_loses_nothing_and_works_as_printed(shop: Site) -> None:
    found = assessed(shop, *DELETED, "--target-time", stamp(MOMENT[0]))
    best = way(found, "table_beside")
    assert found["best"] == "table_beside" and best["loses"] == {
        "seconds": 0.0, "transactions": 0, "words": "the live table stays as it is",
    }  # fmt: skip
    assert best["lasts"]["seconds"] > 0 and "MB/s" in best["lasts"]["source"]
    place = way(found, "in_place")
    # What is lost in place is counted from the moment on, and in transactions by the rate of the archived WAL.
    since = (datetime.fromisoformat(found["at"].replace("Z", "+00:00")) - MOMENT[0]).total_seconds()
    assert place["loses"]["seconds"] == pytest.approx(since, abs=0.01) and place["loses"]["transactions"] >= 4
    assert way(found, "database_dump")["loses"]["seconds"] > since
    words = shlex.split(found["command"])
    done = shop.lifeboat(*words[6:]).data["restored"]
    assert list(done["rows"].values()) == [120]


@pytest.mark.parametrize("side", ["before", "after", "future"])
def test_a_wrong_target_is_refused_with_the_nearest_one_which_then_is_reached(shop: Site, side: str) -> None:
    now = datetime.now(timezone.utc)
    wrong = {"before": now - timedelta(days=300), "after": now, "future": now + timedelta(days=1)}[side]
    error = shop.lifeboat("assess", *DELETED, "--target-time", stamp(wrong), status=1).error
    assert error["error_code"] == "target_unreachable"
    nearest = error["details"]["nearest"]
    assert nearest in error["hint"]
    assert assessed(shop, *DELETED, "--target-time", nearest)["best"] == "table_beside"
    plan = shop.lifeboat("table", "restore", "shop", "orders", "--time", nearest, "--plan").data["plan"]
    assert plan["target"] == f"time {nearest}"


def test_an_unknown_label_is_refused_with_the_nearest_one(shop: Site) -> None:
    label = shop.lifeboat("list").data["backups"][-1]["label"]
    wrong = label.replace("-full", "-incr")
    error = shop.lifeboat("assess", "--disaster", "server", "--label", wrong, status=1).error
    assert error["error_code"] == "backup_missing" and error["details"]["nearest"] == label


def test_a_server_that_answers_is_not_to_be_rebuilt_beside(shop: Site) -> None:
    found = assessed(shop, "--disaster", "server")
    assert found["best"] is None and states(found, "rebuild")["fenced"] == "unmet"
    # Without a disaster nothing is known to be wrong, and every way is shown.
    found = assessed(shop)
    assert (found["disaster"], found["best"]) == ("", None)
    assert {"in_place", "rebuild", "table_beside", "database_dump"} <= {each["name"] for each in found["ways"]}


def test_a_lost_server_is_rebuilt_with_what_was_archived(shop: Site, tmp_path: Path) -> None:
    last = shop.cluster.value("SELECT clock_timestamp()")
    shop.cluster.stop("immediate")
    try:
        page = tmp_path / "page.html"
        words = ("--disaster-at", stamp(last.astimezone(timezone.utc)), "--old-host", "192.0.2.9", "--new-host", "db2")
        found = assessed(shop, *words, "--html", str(page))
        assert (found["disaster"], found["named"], found["best"]) == ("server", False, "rebuild")
        best = way(found, "rebuild")
        assert best["command"] == (
            "ansible-playbook -i INVENTORY lifeboat.postgres.dr_rebuild -e lifeboat_hosts=db2 -e dr_old_host=192.0.2.9"
            f" -e dr_disaster_at={last.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        )
        (repository,) = found["repositories"]
        commit = datetime.fromisoformat(repository["last_commit"].replace("Z", "+00:00"))
        assert best["loses"]["seconds"] == pytest.approx((last - commit).total_seconds(), abs=0.01)
        assert states(found, "rebuild") == {"backup": "met", "fenced": "unknown", "empty host": "unknown"}
        assert states(assessed(shop, "--fenced"), "rebuild")["fenced"] == "met"
        html = page.read_text(encoding="utf-8")
        assert best["command"] in html and "BEST" in html and "http" not in html.replace("http-equiv", "")
        words = [str(shop.quick), "--config", str(shop.config_file), "assess"]
        text = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
        assert "=> Rebuild on an empty host" in text
    finally:
        shop.cluster.start()
