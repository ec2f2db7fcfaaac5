# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository into which newer hosts write: unknown records are reported, and kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.records.model import seal_record
from support.lost import Copy
from support.processes import run_program

pytestmark = pytest.mark.integration

# What would go without the newer record.
NOTHING = {"full_days": 0, "differential_days": 0, "incremental_days": 0, "wal_days": 0, "keep_last": 1,
           "settle_hours": 0, "max_share": 100, "max_backup_age_days": 10000}  # fmt: skip


def rewrite(path: Path, **changes: Any) -> None:
    """A record as written by another release."""
    record: Dict[str, Any] = json.loads(path.read_bytes())
    path.unlink()
    path.write_bytes(seal_record({**record, **changes}))


def test_fields_that_a_newer_release_added_are_left_to_it(copy: Copy, tmp_path: Path) -> None:
    label = copy.lost.second["label"]
    record = copy.file(label, "manifest.json")
    known = json.loads(record.read_bytes())
    files = [{**file, "crc64": "0" * 16} for file in known["files"]]
    rewrite(record, files=files, placement={"shard": 7}, requirements={**known["requirements"], "kernel": ["6.12"]})
    before = record.read_bytes()
    listed = copy.lost.site.lifeboat("list", config_file=copy.config_file).data
    assert label in [b["label"] for b in listed["backups"]]
    assert copy.plan(tmp_path / "clone").backup.label == label
    # It is the whole record that its checksum covers, and that stays.
    assert copy.lost.site.lifeboat("verify", label, config_file=copy.config_file).data["intact"]
    assert record.read_bytes() == before
    record.chmod(0o600)
    record.write_bytes(before.replace(b'"shard": 7', b'"shard": 8'))
    error = copy.lost.site.lifeboat("verify", label, config_file=copy.config_file, status=1).error
    assert error["error_code"] == "object_corrupt" and "checksum" in error["message"]


def test_a_format_that_is_too_new_is_reported_and_kept_with_all_that_it_may_need(copy: Copy) -> None:
    first, second = copy.lost.first["label"], copy.lost.second["label"]
    site, config_file = copy.lost.site, copy.configure(copy.config_file, retention=NOTHING)
    without = site.lifeboat("prune", "--plan", config_file=config_file).data["repositories"][0]
    assert {r["key"].split("/")[2] for r in without["removals"] if "/backups/" in r["key"]} == {first}

    # The second one becomes the newest that is understood; the newer host's is based on the first.
    home = copy.root / "backups" / "20991231T000000Z-diff"
    run_program("cp", "-a", str(copy.file(second, "")), str(home))
    rewrite(
        home / "manifest.json", format=3, label=home.name, parent=first, lifeboat_version="9.1.0", files={"by": "shard"}
    )
    listed = site.lifeboat("list", "--label", home.name, config_file=config_file, status=None)
    error = site.lifeboat("verify", home.name, config_file=config_file, status=1).error
    assert error["error_code"] == "record_too_new", listed
    assert "was written by Lifeboat 9.1.0, in format 3" in error["message"]
    assert error["hint"].startswith("Upgrade Lifeboat here.") and error["details"]["written_by"] == "9.1.0"
    words = json.dumps(site.lifeboat("check", config_file=config_file, status=None).data)
    assert "Lifeboat 9.1.0" in words

    planned = site.lifeboat("prune", "--plan", config_file=config_file).data["repositories"][0]
    assert [r for r in planned["removals"] if r["kind"] in ("backup", "wal")] == []
    assert "newer Lifeboat: upgrade Lifeboat on this host" in " ".join(planned["kept"][first])
    assert "Lifeboat 9.1.0" in planned["foreign"][home.name]


def test_a_dump_of_a_newer_release_keeps_the_others_of_its_database(copy: Copy) -> None:
    config_file = copy.configure(copy.config_file, retention={**NOTHING, "dump_days": 0})
    old, new = (copy.root / "dumps" / "shop" / f"{day}T000000Z-dump" for day in ("20260101", "20260102"))
    for home in (old, new):
        home.mkdir(parents=True)
        for name in ("data.pgdump.zst", "globals.sql.zst"):
            (home / name).write_bytes(b"x")
        (home / "manifest.json").write_bytes(seal_record({"format": 2, "lifeboat_version": "9.1.0"}))
    planned = copy.lost.site.lifeboat("prune", "--plan", config_file=config_file).data["repositories"][0]
    assert not [r for r in planned["removals"] if "/dumps/" in r["key"]]
    assert "Lifeboat 9.1.0" in planned["foreign"][f"dump/shop/{new.name}"]
