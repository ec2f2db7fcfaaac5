# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page and the metrics of a fleet of repositories in directories."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base import clock
from lifeboat.base.errors import ConfigError
from lifeboat.base.wal_names import DEFAULT_SEGMENT_SIZE as SIZE
from lifeboat.base.wal_names import Segment
from lifeboat.config.load import DirectoryOptions, RepositoryConfig, load
from lifeboat.drill.keep import keep
from lifeboat.exporter.fleet import Fleet, configurations
from lifeboat.exporter.serve import page_of
from lifeboat.exporter.status import BAD, GOOD, WARNED, Verdict, judge
from lifeboat.incident import actions
from lifeboat.repository.repository import Repository
from support.drills import write_report
from support.records import EPOCH, SYSTEM, a_backup, put_backup


class Fleets:
    """Configurations in a directory, and their repositories."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.directory = root / "etc"
        self.directory.mkdir()
        self.fleet = Fleet(str(self.directory))

    def cluster(self, name: str, *wal: int, objectives: Any = None, backup: bool = True, places: int = 1) -> List[Path]:
        """A cluster with a backup that starts in segment 1, and these segments, in this many repositories."""
        paths = [self.root / f"{name}-{number}" for number in range(places)]
        entries = [{"name": f"repo{n}", "type": "directory", "path": str(p)} for n, p in enumerate(paths)]
        config: Dict[str, Any] = {"cluster": name, "repositories": entries, "objectives": objectives or {}}
        (self.directory / f"{name}.yml").write_text(json.dumps(config))
        for path in paths:
            path.mkdir()
            repository = Repository.open(RepositoryConfig("repo0", DirectoryOptions(str(path))), name)
            repository.adopt(SYSTEM)
            if backup:
                put_backup(repository, a_backup(1, 1.5, SIZE + 40, SIZE + 400, cluster=name))
            for number in wal:
                repository.store.put(repository.layout.wal(SYSTEM, Segment(1, number).name), b"x")
        return paths

    def verdicts(self) -> Dict[str, Verdict]:
        self.fleet.refresh()
        return {c.config.cluster: judge(c, clock.now()) for c in self.fleet.snapshot()[0]}

    def page(self) -> str:
        return page_of(self.fleet).decode()


@pytest.fixture
def fleets(tmp_path: Path) -> Fleets:
    return Fleets(tmp_path)


def test_a_whole_cluster_is_protected(fleets: Fleets) -> None:
    fleets.cluster("shop", 1, 2, 3, places=2)
    found = fleets.verdicts()["shop"]
    assert (found.state, found.answer) == (GOOD, "Yes, from repo0 and repo1.")
    assert "PROTECTED" in fleets.page() and "Clusters: 1 protected." in fleets.page()


def test_a_gap_behind_the_newest_backup_and_no_backup_at_all_put_it_at_risk(fleets: Fleets) -> None:
    fleets.cluster("gap", 1, 2, 4)
    fleets.cluster("none", backup=False)
    found = fleets.verdicts()
    assert found["gap"].state == found["none"].state == BAD
    assert found["gap"].answer == f"No: WAL segment {Segment(1, 3).name} is missing after the newest backup."
    assert found["none"].answer == "No: There is no restorable backup."


def test_objectives_that_are_missed_are_reported(fleets: Fleets) -> None:
    age = (clock.now() - EPOCH).total_seconds()
    fleets.cluster("late", 1, 2, objectives={"max_backup_age": age / 2})
    fleets.cluster("fresh", 1, 2, objectives={"max_backup_age": age * 2})
    fleets.cluster("unread", 1, 2, objectives={"max_verify_age": 35})
    found = fleets.verdicts()
    assert {name: verdict.state for name, verdict in found.items()} == {"late": BAD, "fresh": GOOD, "unread": WARNED}


def test_one_repository_that_is_lost_leaves_the_other(fleets: Fleets) -> None:
    _near, far = fleets.cluster("shop", 1, 2, places=2)
    fleets.verdicts()
    far.rename(far.with_name("away"))
    found = fleets.verdicts()["shop"]
    assert (found.state, found.answer) == (BAD, "Yes, from repo0; not from repo1.")
    # What was known of it before is still told.
    assert any(fact.name == "Newest backup" for fact in found.places[1].facts)
    samples = {
        (metric.name, labels["repository"]): value
        for each in fleets.fleet.samples()
        for metric, labels, value in each
        if "repository" in labels and len(labels) == 2
    }
    assert (samples["repository_up", "repo0"], samples["repository_up", "repo1"]) == (1, 0)
    assert samples["window_end_timestamp_seconds", "repo1"] > 0


def test_configurations_that_cannot_be_used_are_reported_and_stop_nothing(fleets: Fleets) -> None:
    fleets.cluster("shop", 1, 2)
    (fleets.directory / "typo.yml").write_text("cluster: shop2\nrepositores: []\n")
    (fleets.directory / "twin.yml").write_text((fleets.directory / "shop.yml").read_text())
    (fleets.directory / "shop.files.yml").write_text("no configuration at all")
    assert set(fleets.verdicts()) == {"shop"}
    page = fleets.page()
    assert "typo.yml" in page and "twin.yml" in page and "files.yml" not in page
    (unusable,) = [
        value for each in fleets.fleet.samples() for m, _labels, value in each if m.name.startswith("exporter_unus")
    ]
    assert unusable == 2


def test_an_open_incident_is_shown_once_with_who_has_it(fleets: Fleets) -> None:
    fleets.cluster("shop", 1, 2, places=2)
    config = load(str(fleets.directory / "shop.yml"))
    opened = actions.open_incident(config, "the <b>database</b> is wrong", "P2").incident
    verdict = fleets.verdicts()["shop"]
    (found,) = verdict.emergencies
    assert (found.id, found.priority, found.by) == (opened.id, "P2", None)
    # Whether data can be restored is another question.
    assert verdict.state == GOOD
    page = fleets.page()
    assert (
        page.count(f"lifeboat --config /etc/lifeboat/shop.yml incident show --incident {opened.id}") == 1
        and "INCIDENT P2" in page
    )
    assert "the &lt;b&gt;database" in page and "by nobody" in page and "Open incidents: 1." in page
    actions.acknowledge(config, opened.id, "")
    (found,) = fleets.verdicts()["shop"].emergencies
    assert found.by and f"by {found.by}" in fleets.page()
    actions.close(config, "over", opened.id)
    assert fleets.verdicts()["shop"].emergencies == () and "INCIDENT" not in fleets.page()


def test_an_incident_that_is_closed_while_a_repository_is_lost_is_over(fleets: Fleets) -> None:
    """The last reading of the lost one must not inhibit the alerts of the cluster's hosts forever."""
    _near, far = fleets.cluster("shop", 1, 2, places=2)
    config = load(str(fleets.directory / "shop.yml"))
    opened = actions.open_incident(config, "the region is lost", "P1").incident
    assert len(fleets.verdicts()["shop"].emergencies) == 1
    far.rename(far.with_name("away"))
    assert len(fleets.verdicts()["shop"].emergencies) == 1
    actions.close(config, "over", opened.id)
    assert fleets.verdicts()["shop"].emergencies == ()
    assert not any("incident" in labels for each in fleets.fleet.samples() for _metric, labels, _value in each)


def test_a_cluster_that_is_removed_is_forgotten(fleets: Fleets) -> None:
    fleets.cluster("shop", 1, 2)
    fleets.cluster("gone", 1, 2)
    assert set(fleets.verdicts()) == {"shop", "gone"}
    (fleets.directory / "gone.yml").unlink()
    assert set(fleets.verdicts()) == {"shop"}


def test_what_a_store_says_is_no_markup(fleets: Fleets) -> None:
    (fleets.directory / "<script>alert(1)<.yml").write_text("cluster: [")
    fleets.verdicts()
    assert not re.search("<script", fleets.page())


def test_a_directory_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Cannot read"):
        configurations(str(tmp_path / "none"))


def test_a_moment_of_the_page_that_nobody_reads_yet(fleets: Fleets) -> None:
    fleets.cluster("shop", 1, 2)
    assert "No cluster is configured." in fleets.page()
    assert fleets.fleet.snapshot()[2] is None
    fleets.fleet.refresh()
    refreshed = fleets.fleet.snapshot()[2]
    assert refreshed is not None and clock.now() - refreshed < timedelta(minutes=1)


def test_the_last_drill_is_told_and_only_a_failed_one_is_a_risk(fleets: Fleets, tmp_path: Path) -> None:
    for name in ("none", "good", "bad"):
        fleets.cluster(name, 1, 2, objectives={"max_drill_age": 100})
    report = tmp_path / "report"
    for name in ("good", "bad"):
        write_report(report, passed=name == "good", lost=12)
        keep(load(str(fleets.directory / f"{name}.yml")), str(report), "server_deletion", {})
    found = fleets.verdicts()
    assert {name: verdict.state for name, verdict in found.items()} == {"none": WARNED, "good": GOOD, "bad": BAD}
    told = {n: next(f.value for f in v.places[0].facts if f.name == "Last drill") for n, v in found.items()}
    assert told["none"] == "never"
    assert "passed, server and deletion, 40 s to recover, 12 commits lost" in told["good"]
    assert "failed, server and deletion" in told["bad"]
