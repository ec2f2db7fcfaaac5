# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Retention on real servers and stores: kept backups restore, removals are reported, guards stop mistakes."""

from __future__ import annotations

import json
import os
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base import clock
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.fileset.backup import make_label
from lifeboat.records.model import format_time, seal_record
from lifeboat.repository.leases import reading
from lifeboat.repository.repository import Repositories
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import run_program, until
from support.stores import keys

pytestmark = pytest.mark.integration

# Nothing stays for its age.
NOTHING = {"full_days": 0, "differential_days": 0, "incremental_days": 0, "wal_days": 0, "keep_last": 1,
           "settle_hours": 0}  # fmt: skip


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """An archiving cluster with two repositories: S3 and a directory."""
    (tmp_path / "cold").mkdir()
    return sites(
        newest_postgres, s3_options, DirectoryOptions(str(tmp_path / "cold")), segment_mb=1, summarize_wal="on",
        track_commit_timestamp="on", options={"retention": NOTHING},
    )  # fmt: skip


def policy(site: Site, **changes: Any) -> None:
    site.write(retention={**NOTHING, **changes})


def removals(ran: Any) -> Dict[str, List[str]]:
    return {p["repository"]: [r["key"] for r in p["removals"]] for p in ran.data["repositories"]}


def kept(ran: Any) -> List[Dict[str, List[str]]]:
    return [p["kept"] for p in ran.data["repositories"]]


def test_kept_backups_can_be_restored_and_the_rest_is_removed(site: Site) -> None:
    ledger = Ledger(site.cluster)
    first = site.backup()["label"]
    ledger.write(3)
    child = site.backup("--type", "incremental")["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    second = site.backup()["label"]
    ledger.write(3)
    last = site.backup("--type", "incremental")["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    before = keys(site.config)
    foreign = Path(site.repositories[1]["path"]) / "main" / "backups" / first / "notes.txt"
    foreign.write_text("somebody else's")

    # A plan changes nothing, and tells every object; the newest backup is where recovery to now begins.
    planned = site.lifeboat("prune", "--plan", "--allow", "share")
    assert {k: sorted(v) for k, v in keys(site.config).items()}["repo0"] == sorted(before["repo0"])
    for stays in kept(planned):
        assert set(stays) == {second, last}
        assert stays[second] == ["one of the newest 1 full backups", f"{last} needs it"]
        assert stays[last][0] == "the newest" and "starts from it" in stays[last][1]
    going = removals(planned)
    for gone in going.values():
        assert {k.split("/")[2] for k in gone if "/backups/" in k} == {first, child}
        assert gone.index(f"main/backups/{child}/manifest.json") < gone.index(f"main/backups/{first}/manifest.json")
        assert any("/wal/" in k for k in gone)

    # The same goes, nothing else, and after it nothing.
    done = site.lifeboat("prune", "--allow", "share")
    assert removals(done) == going and [p["removed"] for p in done.data["repositories"]] == [
        len(k) for k in going.values()
    ]
    left = keys(site.config)
    assert {k: sorted(v) for k, v in left.items()} == {
        k: sorted({*v, *([f"main/backups/{first}/notes.txt"] if k == "repo1" else [])} - set(going[k]))
        for k, v in before.items()
    }
    assert not site.lifeboat("prune").data["changed"]

    # From either repository, to the end and to the end of the full backup.
    assert [b["label"] for b in site.lifeboat("list").data["backups"]] == [second, last]
    assert site.lifeboat("list").data["gaps"] == []
    assert site.lifeboat("verify").data["intact"]
    for number, words in enumerate(((), ("--label", second, "--immediate"))):
        for repository in site.repositories:
            alone = site.write(site.root / "alone.yml", repositories=[repository], retention=None)
            clone = site.clone(f"clone{number}{repository['name']}")
            site.lifeboat(*restore_arguments(clone, *words), config_file=alone)
            assert rows(clone) == expected(ledger.entries if not words else ledger.entries[:6])
            clone.stop()
            shutil.rmtree(clone.data_dir)
    foreign.unlink()


def test_holds_verified_backups_and_guards(site: Site) -> None:
    first, second, third = (site.backup()["label"] for _ in range(3))
    assert site.lifeboat("verify", first).data["unrecorded"] == []
    site.lifeboat("hold", second, status=1, config_file=None)
    held = site.lifeboat("hold", second, "--reason", "legal hold 7").data
    assert held["changed"] and not site.lifeboat("hold", second, "--reason", "legal hold 7").data["changed"]
    assert [e["reason"] for e in site.lifeboat("hold").data["holds"]["repo1"]] == ["legal hold 7"]
    listed = {b["label"]: (b["verified_at"] is not None, b["held"]) for b in site.lifeboat("list").data["backups"]}
    assert listed == {first: (True, None), second: (False, "legal hold 7"), third: (False, None)}
    for stays in kept(site.lifeboat("prune", "--plan")):
        assert stays[first] == ["the newest that was verified"] and stays[second] == ["held: legal hold 7"]
    assert site.lifeboat("hold", "20200101T000000Z-full", "--release", status=1).error["error_code"] == "backup_missing"
    site.lifeboat("verify", third)
    site.lifeboat("hold", second, "--release")
    assert site.lifeboat("hold").data["holds"] == {"repo0": [], "repo1": []}

    # Each guard refuses by its name, and only that name lifts it; nothing is removed before.
    before = keys(site.config)
    policy(site, max_share=1, max_backup_age_days=0)
    repositories = Repositories.open(site.config)
    with reading(repositories.items[1], second):
        error = site.lifeboat("prune", status=1).error
        assert error["error_code"] == "prune_refused"
        said = sorted((o["repository"], o["guard"]) for o in error["details"]["objections"])
        assert said == [*(("repo0", g) for g in ("age", "share")), *(("repo1", g) for g in ("age", "restore", "share"))]
        assert "--allow share --allow age --allow restore" in error["hint"]
        # First what ends each objection without lifting it.
        for words in ("lifeboat prune --plan", "lifeboat backup", "Wait until the restore has ended"):
            assert words in error["hint"].split("To remove the objects anyway")[0]
        planned = site.lifeboat("prune", "--plan", status=1)
        assert [o["guard"] for o in planned.data["repositories"][1]["objections"]] == ["share", "age", "restore"]
        error = site.lifeboat("prune", "--allow", "share", "--allow", "age", status=1).error
        assert f"a restore is under way: {second} on " in error["message"]
    repositories.close()
    assert {k: [x for x in v if "/restores/" not in x] for k, v in keys(site.config).items()} == before
    site.lifeboat("prune", "--allow", "share", "--allow", "age")
    assert [b["label"] for b in site.lifeboat("list").data["backups"]] == [third]


def test_a_restore_announces_itself(site: Site) -> None:
    label = site.backup()["label"]
    site.cluster.switch_wal()
    clone = site.clone("told")
    site.lifeboat(*restore_arguments(clone))
    told = [k for k in keys(site.config)["repo0"] if "/restores/" in k]
    assert [k.rsplit("/", 1)[1] for k in told] == ["begun", "ended"]
    assert not [k for k in keys(site.config)["repo1"] if "/restores/" in k]
    repositories = Repositories.open(site.config)
    assert repositories.items[0].store.get(told[0]).decode().startswith(f"{label} on ")
    # Both stores' clocks are this machine's.
    for repository in repositories.items:
        assert abs(clock.now() - repository.store.clock()) < timedelta(seconds=60)
    repositories.close()


def test_an_optional_repository_that_does_not_exist_is_reported(site: Site) -> None:
    labels = [site.backup()["label"] for _ in range(2)]
    gone = {**entry(2, DirectoryOptions(str(site.root / "unmounted"))), "required": False}
    three = site.write(site.root / "three.yml", repositories=[*site.repositories, gone])
    done = site.lifeboat("prune", "--allow", "share", status=1, config_file=three).data["repositories"]
    assert [p["error"] and p["error"]["error_code"] for p in done] == [None, None, "bucket_missing"]
    assert [list(p["kept"]) for p in done] == [labels[1:], labels[1:], []]
    assert not any(p["removals"] for p in done[2:]) and done[0]["removed"] > 0


def test_the_output_lists_what_is_removed_and_kept_with_reasons(site: Site) -> None:
    labels = [site.backup()["label"] for _ in range(2)]
    planned = [str(site.command), "--config", str(site.config_file), "prune", "--plan", "--allow", "share"]
    words = run_program(*planned)
    assert f"{site.lifeboat('list').data['repository']}" in words
    assert f"- {labels[0]}, 3 objects," in words and "nothing keeps it" in words and "- WAL " in words
    assert f"{labels[1]}: the newest; one of the newest 1 full backups; recovery to any time since" in words
    assert f"main/backups/{labels[0]}/manifest.json" not in words
    assert f"main/backups/{labels[0]}/manifest.json" in run_program(*planned, "--keys")


def test_objects_removed_by_a_repair_are_deleted_after_damaged_days(site: Site) -> None:
    """With its reason in the plan; in S3, where nobody can change an object's time, with another policy."""
    label = site.backup()["label"]
    near = Path(site.repositories[1]["path"]) / "main"
    flip(near / "backups" / label / "base.tar.zst")
    assert site.lifeboat("verify", "--all", "--repair").data["intact"]
    repositories = Repositories.open(site.config)
    store, key = repositories.items[0].store, f"main/backups/{label}/base.tar.zst"
    whole = store.get(key)
    store.delete([key])
    store.put(key, whole[:-1])
    repositories.close()
    assert site.lifeboat("verify", "--all", "--repair").data["intact"]
    aside = {name: sorted(k for k in found if "/damaged/" in k) for name, found in keys(site.config).items()}
    assert [len(found) for found in aside.values()] == [2, 2]

    policy(site)
    assert not any("/damaged/" in k for found in removals(site.lifeboat("prune")).values() for k in found)
    old = (clock.now() - timedelta(days=91)).timestamp()
    for path in near.glob("damaged/*/*"):
        os.utime(path, (old, old))
    planned = site.lifeboat("prune", "--plan").data["repositories"]
    assert [[(r["key"], r["kind"], r["reason"]) for r in p["removals"]] for p in planned] == [
        [], [(k, "damaged", "removed by a repair, 90 days ago or longer") for k in aside["repo1"]],
    ]  # fmt: skip
    site.lifeboat("prune")
    assert not [*near.glob("damaged/*")]
    policy(site, damaged_days=0)
    assert removals(site.lifeboat("prune"))["repo0"] == aside["repo0"]
    assert not [k for found in keys(site.config).values() for k in found if "/damaged/" in k]
    assert site.lifeboat("verify", "--all").data["intact"]


def test_a_run_that_the_store_stops_is_completed_by_the_next(site: Site) -> None:
    labels = [site.backup()["label"] for _ in range(2)]
    closed = Path(site.repositories[1]["path"]) / "main" / "backups" / labels[0]
    closed.chmod(0o500)
    error = site.lifeboat("prune", "--allow", "share", status=1).error
    assert error["error_code"] == "prune_incomplete" and f"{labels[0]}/manifest.json" in error["message"]
    assert "s3:DeleteObject" in error["hint"] and error["details"]["removed"] == 0
    # Without its record it is no backup any more, and its data are garbage, which has its grace.
    closed.chmod(0o700)
    (closed / "manifest.json").unlink()
    assert site.lifeboat("prune", "--allow", "share").data["repositories"][0]["removed"] == 0
    assert [p.name for p in closed.iterdir()] != []
    old = (clock.now() - timedelta(hours=25)).timestamp()
    for path in closed.iterdir():
        os.utime(path, (old, old))
    gone = site.lifeboat("prune", "--allow", "share").data["repositories"][1]["removals"]
    assert {(r["kind"], r["reason"]) for r in gone} == {("garbage", "of a backup without a record")}
    assert not closed.exists()


def test_the_applications_data_have_days_of_their_own(site: Site, tmp_path: Path) -> None:
    """Both sets have the same age; the one marked as data is removed first, without being named in the policy."""
    site.backup()
    for name in ("etc", "shop"):
        (tmp_path / name).mkdir()
    sets = [
        {"name": "etc", "paths": [str(tmp_path / "etc")]},
        {"name": "shop", "paths": [str(tmp_path / "shop")], "kind": "data"},
    ]
    site.write(retention={"settle_hours": 0}, file_sets=sets)
    label = ""
    for text in ("first", "second"):
        until(lambda then=label: make_label(clock.now(), "files") > then, "the next second")
        for name in ("etc", "shop"):
            (tmp_path / name / "file").write_text(text)
            label = site.lifeboat("files", "backup", name).data["file_sets"][0]["label"]
    near = Path(site.repositories[1]["path"]) / "main" / "files"

    def going(days: int) -> Dict[str, str]:
        """What is removed if all copies were made that long ago, by their labels and by the store."""
        first = clock.now().replace(microsecond=0) - timedelta(days=days)
        for name in ("etc", "shop"):
            for number, home in enumerate(sorted((near / name).iterdir())):
                began = first + timedelta(seconds=number)
                record = {**json.loads((home / "manifest.json").read_bytes()), "created_at": format_time(began)}
                (home / "manifest.json").unlink()
                (home / "manifest.json").write_bytes(seal_record({**record, "label": make_label(began, "files")}))
                home = home.rename(home.parent / make_label(began, "files"))
                for path in home.iterdir():
                    os.utime(path, (began.timestamp(), began.timestamp()))
        planned = site.lifeboat("prune", "--plan").data["repositories"][1]["removals"]
        return {r["key"].split("/")[2]: r["reason"] for r in planned if r["kind"] == "files"}

    assert going(29) == {}
    assert going(31) == {"shop": "copy of shop, 30 days old or older"}
    assert set(going(91)) == {"shop", "etc"}
    site.lifeboat("prune")
    assert [len([*near.glob(f"{name}/*/manifest.json")]) for name in ("etc", "shop")] == [1, 1]
