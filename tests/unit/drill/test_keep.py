# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence of a drill is stored completely and once, and accepted only if plausible."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import ConfigError, ForeignRepository, ObjectExists, ObjectMissing, SigningFailed
from lifeboat.config.load import Config, parse
from lifeboat.drill.checklist import QUESTIONS, fill, read_answers
from lifeboat.drill.keep import fetch, keep
from lifeboat.records.model import format_time, open_record, seal_record
from lifeboat.repository.drills import Drill, read_drills
from lifeboat.repository.repository import Repositories, Repository
from support.drills import a_report, write_report
from support.records import SYSTEM
from support.signing import key_pair


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return adopted(tmp_path)


def made(tmp_path: Path, **more: Any) -> Config:
    stores = [
        {"name": n, "type": "directory", "path": str(tmp_path / n), "required": n == "near"} for n in ("near", "far")
    ]
    for entry in stores:
        Path(str(entry["path"])).mkdir(exist_ok=True)
    return parse({"cluster": "main", "repositories": stores, "audit": {"file": "", "syslog": ""}, **more})


def adopted(tmp_path: Path, **more: Any) -> Config:
    config = made(tmp_path, **more)
    for repository in Repositories.open(config).items:
        repository.adopt(SYSTEM)
    return config


def near(config: Config) -> Repository:
    return Repositories.open(config).items[0]


def test_all_of_it_is_kept_and_comes_back(config: Config, tmp_path: Path) -> None:
    report = write_report(tmp_path / "report")
    drill, lacking = keep(config, str(report), "server", {"participants": ["Ann", "Bob"]})
    assert not lacking and drill.passed and not drill.missed
    assert (drill.rto, drill.rpo, drill.lost_transactions, drill.host) == (40.0, 1.5, 7, "standby01")
    for repository in Repositories.open(config).items:
        assert read_drills(repository).items == (drill,)
    place = tmp_path / "near" / "main" / "drills" / drill.label
    names = {"report.json", "report.html", "evidence.tar.gz", "checklist.json"}
    assert set(os.listdir(place)) == {*names, "SHA256SUMS", "manifest.json"}
    told = dict(line.split("  ")[::-1] for line in (place / "SHA256SUMS").read_text().splitlines())
    assert told == {name: hashlib.sha256((place / name).read_bytes()).hexdigest() for name in names}
    out = tmp_path / "out"
    out.mkdir()
    assert fetch(Repositories.open(config).items, drill.label, str(out)) == (drill, "near")
    assert {name: (out / name).read_bytes() for name in os.listdir(out)} == {
        name: (place / name).read_bytes() for name in os.listdir(place)
    }
    again, _lacking = keep(config, str(report), "server", {})
    assert again.label != drill.label
    assert [d.label for d in read_drills(near(config)).items] == [drill.label, again.label]
    # The event says so, so that verification misses the drill if it is removed.
    events = [json.loads(p.read_bytes()) for p in sorted((tmp_path / "near/main/audit").rglob("*.json"))]
    assert [(e["what"], e["objects"], e["details"]["repositories"]) for e in events] == [
        ("drill", [d], ["near", "far"]) for d in (drill.label, again.label)
    ]


def test_a_repository_that_is_away_is_told_and_only_a_required_one_counts(config: Config, tmp_path: Path) -> None:
    report = str(write_report(tmp_path / "report"))
    os.rename(tmp_path / "far", tmp_path / "away")
    assert keep(config, report, "server", {})[1] == ("far",)
    os.rename(tmp_path / "near", tmp_path / "gone")
    with pytest.raises(Exception, match="near"):
        keep(config, report, "server", {})


def test_a_failed_drill_is_kept_as_one(config: Config, tmp_path: Path) -> None:
    failure = {"step": "Destroy the cluster", "message": "no space"}
    report = write_report(tmp_path / "report", passed=False, rto=None, failure=failure)
    (report / "evidence.tar.gz").unlink()
    drill, _lacking = keep(config, str(report), "server", {})
    assert (drill.passed, drill.rto, drill.lost_transactions) == (False, None, None)
    assert drill.failure == "Destroy the cluster: no space"
    found = read_drills(near(config))
    assert found.last == drill and found.last_passed is None
    assert "evidence.tar.gz" not in {file.name for file in drill.files}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"result": "maybe"}', '{"result": "passed", "checks": {"all": "x"}}']
)
def test_what_is_no_report_is_refused_and_leaves_nothing(config: Config, tmp_path: Path, text: str) -> None:
    report = write_report(tmp_path / "report")
    (report / "report.json").write_text(text)
    with pytest.raises(ConfigError, match="is not the report of a drill"):
        keep(config, str(report), "server", {})
    with pytest.raises(ConfigError, match="scenario"):
        keep(config, str(report), "../x", {})
    assert not (tmp_path / "near" / "main" / "drills").exists()


def test_a_repository_without_the_cluster_is_refused_unless_it_is_to_begin(tmp_path: Path) -> None:
    config, report = made(tmp_path), str(write_report(tmp_path / "report"))
    with pytest.raises(ForeignRepository):
        keep(config, report, "server", {})
    assert not (tmp_path / "near" / "main").exists()
    drill, lacking = keep(config, report, "server", {}, begin=True)
    assert lacking == ("far",) and read_drills(near(config)).items == (drill,)


FILE = {"size": 3, "sha256": "a" * 64}
FORGED: Dict[str, Dict[str, Any]] = {
    "another cluster": {"cluster": "other"},
    "another label": {"label": "20200101T000000Z-server"},
    "another scenario": {"scenario": "region"},
    "a time of the future": {"stored_at": "2299-01-01T00:00:00Z"},
    "it ended after it was stored": {"finished_at": "2299-01-01T00:00:00Z"},
    "passed with failed checks": {"checks_passed": 1},
    "no report": {"files": []},
    "a file of another size": {"files": [{**FILE, "name": name} for name in ("report.json", "SHA256SUMS")]},
    "a number that is none": {"rto": -1},
    "a host with a control character": {"host": "a\x1b[2J"},
    "a file elsewhere": {"files": [{**FILE, "name": "../../repository.json"}]},
}  # fmt: skip


@pytest.mark.parametrize("forged", FORGED)
def test_what_cannot_be_true_is_set_apart(config: Config, tmp_path: Path, forged: str) -> None:
    drill, _lacking = keep(config, str(write_report(tmp_path / "report")), "server", {})
    record = tmp_path / "near" / "main" / "drills" / drill.label / "manifest.json"
    data = open_record(record.read_bytes(), "x")
    record.write_bytes(seal_record({**data, **FORGED[forged]}))
    found = read_drills(near(config))
    assert found.items == () and [item.key for item in found.aside] == [f"main/drills/{drill.label}/manifest.json"]
    with pytest.raises(ObjectMissing):
        fetch(Repositories.open(config).items[:1], drill.label, None)


def test_a_label_of_the_future_is_never_the_newest(config: Config, tmp_path: Path) -> None:
    drill, _lacking = keep(config, str(write_report(tmp_path / "report")), "server", {})
    soon = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=20)
    label = f"{soon:%Y%m%dT%H%M%SZ}-server"
    repository = near(config)
    for file in drill.files:
        source = repository.store.get(f"main/drills/{drill.label}/{file.name}")
        repository.store.put(f"main/drills/{label}/{file.name}", source)
    forged = replace(drill, label=label, stored_at=soon)
    repository.put_record(f"main/drills/{label}/manifest.json", forged.as_dict())
    place = tmp_path / "near" / "main" / "drills" / label / "manifest.json"
    old = (datetime.now(timezone.utc) - timedelta(hours=1)).timestamp()
    os.utime(place, (old, old))
    newest: Drill | None = read_drills(repository).last
    assert newest == drill


def test_a_record_is_signed_and_another_signature_does_not_count(tmp_path: Path) -> None:
    own, other = key_pair(tmp_path, "own"), key_pair(tmp_path, "other")
    signing = {"key_file": str(own.key_file), "signers": [own.signer(kinds=["drill"])]}
    report = str(write_report(tmp_path / "report"))
    config = made(tmp_path, signing=signing)
    for repository in Repositories.open(made(tmp_path)).items:
        repository.adopt(SYSTEM)
    drill, _lacking = keep(config, report, "server", {})
    assert read_drills(near(config)).items == (drill,)
    strange = made(tmp_path, signing={"key_file": str(other.key_file)})
    forged, _lacking = keep(strange, report, "server", {})
    found = read_drills(near(config))
    assert found.items == (drill,) and forged.label in found.aside[0].key
    with pytest.raises(SigningFailed):
        keep(made(tmp_path, signing={**signing, "signers": [own.signer(kinds=["backup"])]}), report, "server", {})


def test_a_drill_is_written_once(config: Config, tmp_path: Path) -> None:
    drill, _lacking = keep(config, str(write_report(tmp_path / "report")), "server", {})
    for name in (*(file.name for file in drill.files), "manifest.json"):
        with pytest.raises(ObjectExists):
            near(config).store.put(f"main/drills/{drill.label}/{name}", b"other")


def test_the_checklist_has_every_question_and_tells_who_answered() -> None:
    items = fill(a_report(passed=False), "region", {"participants": ["Ann"], "problems": "the key was missing"})[
        "items"
    ]
    assert list(dict.fromkeys(item["id"] for item in items)) == [name for name, _question in QUESTIONS]
    by = {(item["id"], item["by"]): item["answer"] for item in items}
    assert by["participants", "people"] == ["Ann"] and by["scenario", "report"] == "region"
    assert by["problems", "report"] == ["2 checks failed"] and by["problems", "people"] == "the key was missing"
    assert by["data_intact", "report"] == "no: 28 of 30 checks passed"
    assert by["team_trained", None] is None


@pytest.mark.parametrize(
    "data", [[], {"who": "x"}, {"participants": {}}, {"participants": [1]}, {"problems": "x" * 4001}]
)
def test_answers_that_are_none_are_refused(data: Any) -> None:
    with pytest.raises(ConfigError):
        read_answers(data, "answers.yml")


def test_moments_are_kept_to_the_second(config: Config, tmp_path: Path) -> None:
    drill, _lacking = keep(config, str(write_report(tmp_path / "report")), "server", {})
    assert f"{drill.stored_at:%Y%m%dT%H%M%SZ}" == drill.label.split("-")[0]
    assert format_time(drill.started_at).startswith("2026-11-22T02:00:00")
