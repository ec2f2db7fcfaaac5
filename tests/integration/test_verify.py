# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verification reads nothing twice, finds damaged and missing objects, and repairs them from another repository."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any, Dict, List, Set, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.identities import read_credentials, with_credentials
from lifeboat.repository.repository import Repositories
from lifeboat.store import open_store
from support.identities import identities
from support.installations import Installation
from support.lost import flip
from support.postgres import Site, Sites
from support.processes import run_program
from support.stores import SeaweedFS, s3_options_for

pytestmark = pytest.mark.integration


@pytest.fixture
def site(oldest_postgres: Installation, sites: Sites, tmp_path: Path) -> Site:
    """Two repositories with the same content: two backups, WAL between and after them; the server is stopped."""
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
    made = sites(
        oldest_postgres, *(DirectoryOptions(str(tmp_path / name)) for name in ("near", "far")), segment_mb=1
    )  # fmt: skip
    made.backup()
    for _ in range(3):
        made.cluster.switch_wal()
    made.backup()
    for _ in range(3):
        made.cluster.switch_wal()
    made.cluster.stop()
    return made


@pytest.fixture
def more(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> Site:
    """The same, running, with a dump and a copy of a file set."""
    for name in ("near", "far", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "notes" / "a").write_bytes(os.urandom(50000))
    made = sites(
        newest_postgres, *(DirectoryOptions(str(tmp_path / name)) for name in ("near", "far")), segment_mb=1,
        options={"file_sets": [{"name": "notes", "paths": [str(tmp_path / "notes")]}]},
    )  # fmt: skip
    made.backup()
    made.lifeboat("dump", "create", "postgres")
    made.lifeboat("files", "backup", "notes")
    return made


def content(root: Path) -> Dict[str, bytes]:
    """The contents of a repository, except records of verifications, repairs, events and writers."""
    kept = ("verifications", "damaged", "audit", "writes")
    files = [p for p in root.rglob("*") if p.is_file() and p.relative_to(root).parts[1] not in kept]
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


def segments(root: Path) -> List[Path]:
    """The stored segments from the first one that a backup needs."""
    first = min(p.name[:24] for p in root.glob("main/wal/*/0*/*/*.backup.zst"))
    return [p for p in sorted(root.glob("main/wal/*/0*/*/*.zst")) if len(p.name) == 28 and p.stem >= first]


def found(data: Any) -> Set[Tuple[str, str, str]]:
    return {(f["repository"], f["key"], f["error_code"]) for f in data["findings"]}


def test_nothing_is_read_twice_and_missing_files_are_still_found(site: Site, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    first = site.lifeboat("verify").data
    assert first["intact"] and first["segments_read"] == len(segments(near)) + len(segments(far))
    # The record is small however many segments it tells of: they are one span.
    (record,) = (json.loads(p.read_text()) for p in near.glob("main/verifications/*.json"))
    ((span,),) = record["wal"].values()
    assert (span["first"], span["last"]) == (segments(near)[0].stem, segments(near)[-1].stem)
    assert record["labels"] == first["labels"]

    again = site.lifeboat("verify").data
    assert (again["bytes_read"], again["segments_read"], again["labels"]) == (0, 0, [])
    assert again["skipped"] == first["labels"] and again["segments_skipped"] == first["segments_read"]
    assert site.lifeboat("verify", "--max-age", "0").data["bytes_read"] == first["bytes_read"]

    # A byte that flips later is found when it is read again; what vanishes is seen at once.
    flip(segments(near)[-1])
    assert site.lifeboat("verify").data["intact"]
    lost = segments(far)[-3]
    lost.unlink()
    key = str(lost.relative_to(far))
    assert found(site.lifeboat("verify", status=1).data) == {("repo1", key, "wal_gap")}
    bad = str(segments(near)[-1].relative_to(near))
    both = {("repo1", key, "wal_gap"), ("repo0", bad, "object_corrupt")}
    assert found(site.lifeboat("verify", "--all", status=1).data) == both
    # What was found damaged is read again, although it was intact once.
    assert found(site.lifeboat("verify", status=1).data) == both


def test_damaged_objects_are_healed_from_the_other_repository(site: Site, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    before, other = content(near), content(far)
    labels = [b["label"] for b in site.lifeboat("list").data["backups"]]
    base = near / "main" / "backups" / labels[0] / "base.tar.zst"
    record = near / "main" / "backups" / labels[1] / "manifest.json"
    segment = segments(near)[2]
    for path in (base, record, segment):
        flip(path)
    damaged = content(near)
    segments(near)[4].unlink()

    out = run_program(str(site.command), "--config", str(site.config_file), "--quiet", "verify", "--repair")
    assert "it was damaged, and was restored from repo1; the damaged bytes are kept as main/damaged/" in out
    assert "it was missing, and was restored from repo1" in out and "intact" in out
    assert content(near) == before and content(far) == other
    # The damaged bytes are kept, with a record of why.
    kept = {p.read_bytes() for p in near.glob("main/damaged/*/object")}
    assert kept == {damaged[str(p.relative_to(near))] for p in (base, record, segment)}
    assert not (far / "main" / "damaged").exists()
    assert site.lifeboat("verify", "--all").data["intact"]


def test_dumps_and_copies_of_files_are_read_and_healed(more: Site, tmp_path: Path) -> None:
    near = tmp_path / "near"
    first = more.lifeboat("verify").data
    assert first["intact"] and [name.split("/")[:2] for name in first["copies"]] == [
        ["dumps", "postgres"], ["files", "notes"],
    ]  # fmt: skip
    again = more.lifeboat("verify").data
    assert (again["bytes_read"], again["copies"], again["copies_skipped"]) == (0, [], first["copies"])
    before = content(near)
    (dump,), (copy,) = near.glob("main/dumps/*/*/data.pgdump.zst"), near.glob("main/files/*/*/data.tar.zst")
    (globals_,) = near.glob("main/dumps/*/*/globals.sql.zst")
    (record,) = near.glob("main/files/*/*/manifest.json")
    for path in (dump, copy, record):
        flip(path)
    globals_.unlink()
    # Of what was verified lately the record and what is missing are seen.
    keys = {path: ("repo0", str(path.relative_to(near))) for path in (dump, copy, record, globals_)}
    seen = {(r, k) for r, k, _code in found(more.lifeboat("verify", status=1).data)}
    assert seen >= {keys[globals_], keys[record]}
    seen = {(r, k) for r, k, _code in found(more.lifeboat("verify", "--all", status=1).data)}
    assert seen == {keys[dump], keys[record], keys[globals_]}
    # What a damaged record hides is found when that is healed, in the same run.
    data = more.lifeboat("verify", "--all", "--repair").data
    assert data["intact"] and {(r["repository"], r["key"]) for r in data["repaired"]} == set(keys.values())
    assert content(near) == before


def test_one_repair_brings_a_gap_of_any_length(more: Site, tmp_path: Path) -> None:
    near = tmp_path / "near"
    for number in range(70):
        more.cluster.execute(f"SELECT pg_logical_emit_message(false, 'lifeboat', '{number}')")
        more.cluster.switch_wal()
    more.cluster.stop()
    lost = segments(near)[5:65]
    before = content(near)
    for path in lost:
        path.unlink()
    data = more.lifeboat("verify", "--repair").data
    assert data["intact"] and len(data["repaired"]) == len(lost) == 60
    assert content(near) == before


def test_faults_that_only_another_repository_reveals(more: Site, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    more.backup()
    for _ in range(3):
        more.cluster.switch_wal()
    more.cluster.stop()
    records = sorted(near.glob("main/backups/*/manifest.json"))[:1]
    records += [*near.glob("main/dumps/*/*/manifest.json"), *near.glob("main/files/*/*/manifest.json")]
    for path in near.rglob("*.acknowledged"):
        path.unlink()
    before = content(near)
    for path in records:
        path.unlink()
    tail = segments(near)[-2:]
    for path in tail:
        path.unlink()
    keys = {str(path.relative_to(near)) for path in records}
    # What the other one has for a moment only may still be on its way.
    assert {key for _r, key, _code in found(more.lifeboat("verify", status=1).data)} == keys
    hour = time.time() - 3600
    for path in segments(far)[-2:]:
        os.utime(path, (hour, hour))
    keys |= {str(path.relative_to(near)) for path in tail}
    assert {(r, key) for r, key, _code in found(more.lifeboat("verify", status=1).data)} == {("repo0", k) for k in keys}
    data = more.lifeboat("verify", "--repair").data
    assert data["intact"] and {r["key"] for r in data["repaired"]} == keys
    assert content(near) == before


def test_the_only_copy_is_never_removed(site: Site, tmp_path: Path) -> None:
    near, far = tmp_path / "near", tmp_path / "far"
    for root in (near, far):
        flip(segments(root)[1])
    first = site.lifeboat("list").data["backups"][0]["label"]
    base = near / "main" / "backups" / first / "base.tar.zst"
    flip(base)
    base.parent.chmod(0o500)
    before = content(near), content(far)
    try:
        data = site.lifeboat("verify", "--repair", status=1).data
    finally:
        base.parent.chmod(0o700)
    key = str(segments(near)[1].relative_to(near))
    told = {(r["repository"], r["key"]): r["error"] for r in data["repaired"]}
    assert {where: error["error_code"] for where, error in told.items()} == {
        ("repo0", key): "repair_refused",
        ("repo1", key): "repair_refused",
        ("repo0", str(base.relative_to(near))): "repair_refused",
    }
    assert "Cannot remove" in told["repo0", str(base.relative_to(near))]["message"]
    assert "No other repository has" in told["repo0", key]["message"]
    assert (content(near), content(far)) == before
    # An attempt that is refused leaves nothing behind.
    assert not [*near.glob("main/damaged/*/*"), *far.glob("main/damaged/*/*"), *near.glob(".lifeboat-trial/*")]


def test_a_bucket_is_healed_from_a_directory(
    newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    site = sites(newest_postgres, s3_options, DirectoryOptions(str(tmp_path / "far")), segment_mb=1)
    label = site.backup()["label"]
    site.cluster.stop()
    repositories = Repositories.open(site.config)
    store = repositories.items[0].store
    segment = str(segments(tmp_path / "far")[0].relative_to(tmp_path / "far"))
    good = {key: store.get(key) for key in (f"main/backups/{label}/base.tar.zst", segment)}
    for key, content_ in good.items():
        store.delete([key])
        store.put(key, content_[:-9] + b"?" + content_[-8:])
    data = site.lifeboat("verify", "--repair").data
    assert data["intact"] and {r["key"] for r in data["repaired"]} == set(good)
    assert {key: store.get(key) for key in good} == good
    assert all(store.get(r["aside"])[-9:-8] == b"?" for r in data["repaired"])
    repositories.close()


def test_the_repairer_repairs_and_the_janitor_leaves_nothing(
    newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    (tmp_path / "far").mkdir()
    admin = s3_options_for(seaweedfs, f"repair-{secrets.token_hex(4)}", "team")
    keys = str(tmp_path / "keys.json")
    bucket.apply(BucketRequest(admin, identities=identities(admin), credentials_file=keys))
    by = {name: with_credentials(admin, found) for name, found in read_credentials(keys).items()}
    assert by["writer"] and by["janitor"] and by["repairer"]
    site = sites(newest_postgres, by["writer"], DirectoryOptions(str(tmp_path / "far")), segment_mb=1)
    site.backup()
    site.cluster.stop()
    store = open_store(admin)
    segment = str(segments(tmp_path / "far")[0].relative_to(tmp_path / "far"))
    good = store.get(segment)
    store.delete([segment])
    store.put(segment, good[:-9] + b"?" + good[-8:])

    def repair(identity: str, status: int) -> Any:
        options = by[identity]
        assert options is not None
        site.repositories[0].update(
            access_key_id=options.access_key_id, secret_access_key=options.secret_access_key
        )  # fmt: skip
        site.write()
        return site.lifeboat("verify", "--repair", status=status).data

    for identity in ("writer", "janitor"):
        (refused,) = repair(identity, 1)["repaired"]
        assert refused["error"]["error_code"] == "repair_refused" and "repairer" in refused["error"]["hint"]
        assert store.get(segment) != good
        assert not [*store.list("main/damaged/")]
    data = repair("repairer", 0)
    assert data["intact"] and [r["key"] for r in data["repaired"]] == [segment]
    assert store.get(segment) == good and not [*store.list(".lifeboat-trial/")]
    store.close()
