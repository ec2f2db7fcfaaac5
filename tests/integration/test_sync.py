# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that was added, away or emptied is brought to what another one holds, and restores as well as it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.config import DirectoryOptions, S3Options
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Installation, Site, Sites, entry, restore_arguments, run_program
from support.stores import keys

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """A cluster in one S3 repository, with a directory beside it that the configuration does not name yet."""
    (tmp_path / "far").mkdir()
    made = sites(
        newest_postgres, s3_options, segment_mb=1, summarize_wal="on", track_commit_timestamp="on",
        options={"file_sets": [{"name": "notes", "paths": [str(tmp_path / "notes")]}]},
    )  # fmt: skip
    (tmp_path / "notes").write_text("kept")
    return made


def both(site: Site, tmp_path: Path, **more: Any) -> None:
    far = {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False}
    site.repositories = [site.repositories[0], far]
    site.write(**more)


def only(ran: Any) -> Dict[str, Any]:
    (found,) = ran.data["repositories"]
    return dict(found)


def test_a_new_repository_gets_everything_and_restores_alone(site: Site, tmp_path: Path) -> None:
    ledger = Ledger(site.cluster)
    full = site.backup()["label"]
    ledger.write(3)
    last = site.backup("--type", "incremental")["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    site.lifeboat("files", "backup", "notes")
    site.lifeboat("hold", full, "--reason", "a trial")
    both(site, tmp_path)
    far = tmp_path / "far"

    told = only(site.lifeboat("sync", "--plan"))
    assert told["copied"] == 0 and told["lacking"] > 0 and not list(far.glob("main/**/*"))
    assert told["lacking_of"][f"backup {last}"] == 3 and told["lacking_of"]["hold"] == 1
    done = only(site.lifeboat("sync"))
    assert (done["copied"], done["bytes"]) == (told["lacking"], told["lacking_bytes"])
    assert sorted(keys(site.config)["repo1"]) == sorted(keys(site.config)["repo0"])
    again = site.lifeboat("sync")
    assert not again.data["changed"] and only(again)["copied"] == 0
    assert site.lifeboat("verify").data["intact"]

    # The far one alone: to the latest moment, and a file set.
    alone = site.write(site.root / "alone.yml", repositories=[{**site.repositories[1], "required": True}])
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone), config_file=alone)
    assert rows(clone) == expected(ledger.entries)
    (tmp_path / "notes").unlink()
    site.lifeboat("files", "restore", "notes", config_file=alone)
    assert (tmp_path / "notes").read_text() == "kept"

    # What the near one lacks comes back from there, here the restores' events: names are compared, both ways work.
    words = run_program(str(site.command), "--config", str(site.config_file), "sync", "--from", "repo1", "--plan")
    assert "from repo1" in words and "2 objects lack" in words and "2 of audit" in words


def test_what_is_damaged_is_not_spread_and_what_differs_is_left(site: Site, tmp_path: Path) -> None:
    site.repositories = [entry(0, DirectoryOptions(str(tmp_path / "near")))]
    (tmp_path / "near").mkdir()
    site.write()
    labels = [site.backup()["label"] for _ in range(2)]
    both(site, tmp_path)
    near, far = tmp_path / "near" / "main", tmp_path / "far" / "main"
    flip(near / "backups" / labels[0] / "base.tar.zst")
    segment = sorted(near.glob("wal/*/00000001/*/*.zst"))[0]
    flip(segment)

    done = only(site.lifeboat("sync", status=1))
    failed = {f["key"]: f["error_code"] for f in done["failed"]}
    assert failed == {
        f"main/backups/{labels[0]}/base.tar.zst": "object_corrupt",
        str(segment.relative_to(tmp_path / "near")): "object_corrupt",
    }
    # No record, so no backup; the other one is whole.
    assert not (far / "backups" / labels[0] / "manifest.json").exists()
    assert (far / "backups" / labels[1] / "manifest.json").exists()

    # The damaged one is mended by hand; the next run goes on.
    flip(near / "backups" / labels[0] / "base.tar.zst")
    flip(segment)
    assert only(site.lifeboat("sync"))["failed"] == []
    (far / "backups" / labels[1] / "base.tar.zst").chmod(0o600)
    (far / "backups" / labels[1] / "base.tar.zst").write_bytes(b"something else")
    done = only(site.lifeboat("sync", status=1))
    assert done["conflicts"] == [f"main/backups/{labels[1]}/base.tar.zst"] and done["copied"] == 0


def test_a_copy_may_lag_as_far_as_was_said(site: Site, tmp_path: Path) -> None:
    site.backup()
    both(site, tmp_path, objectives={"rpo": 60})
    site.lifeboat("sync")
    Ledger(site.cluster).write(1)
    site.cluster.switch_wal()

    def window() -> Dict[str, Any]:
        found = {c["name"]: c for c in site.lifeboat("check", status=None).data["checks"]}
        return dict(found["repository repo1: window"])

    # Not the RPO: the near one keeps that.
    assert window()["status"] == "ok"
    site.repositories[1]["max_lag"] = 0.001
    site.write(objectives={"rpo": 60})
    told = window()
    assert told["status"] == "warning" and "more than its max_lag of 0.001 s" in told["message"]
    assert "lifeboat sync" in told["hint"]


def test_repositories_that_do_not_belong_together(
    site: Site, newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    site.backup()
    other = sites(newest_postgres, DirectoryOptions(str(tmp_path / "far")), fresh=True, segment_mb=1)
    other.backup()
    both(site, tmp_path)
    done = only(site.lifeboat("sync", status=1))
    assert done["error"]["error_code"] == "repository_foreign" and done["copied"] == 0
    assert site.lifeboat("sync", "--from", "nowhere", status=1).error["error_code"] == "config_invalid"
    shutil.rmtree(tmp_path / "far")
    assert only(site.lifeboat("sync", status=1))["error"]["error_code"] == "bucket_missing"
