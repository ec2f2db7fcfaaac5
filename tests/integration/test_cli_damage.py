# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host command on a repository with gaps and damage."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Tuple

import pytest
from lifeboat.config.load import DirectoryOptions
from lifeboat.records.model import load_manifest
from support.choice import represented
from support.installations import Installation
from support.listed import copy_of, labels, segments, statuses, two_backups, words
from support.postgres import Site, Sites, entry

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def site(module_sites: Sites, newest_postgres: Installation) -> Site:
    return two_backups(module_sites, newest_postgres)


@pytest.fixture
def copy(site: Site, tmp_path: Path) -> Tuple[Path, Path]:
    return copy_of(site, tmp_path)


# --- gaps and damage --------------------------------------------------------------------------------------------


def test_a_gap_is_shown_by_list_and_check(site: Site, copy: Tuple[Path, Path]) -> None:
    repository, config = copy
    lost = segments(repository)[-2]
    lost.unlink()
    data = site.lifeboat("list", config_file=config).data
    assert {g["label"] for g in data["gaps"]} == set(labels(site))
    assert all(g["missing"] == [lost.stem] for g in data["gaps"])
    assert data["windows"][0]["missing"] == [lost.stem]
    assert f"1 segments are missing, the first is {lost.stem}" in words(site, "list", config_file=config)[0]
    found = [
        c
        for c in site.lifeboat("check", config_file=config, status=2).data["checks"]
        if c["name"] == "repository repo0: gap"
    ]
    assert found
    assert all(lost.stem in c["message"] and c["status"] == "critical" for c in found)


def test_a_gap_that_a_newer_backup_left_behind_is_a_warning(site: Site, copy: Tuple[Path, Path]) -> None:
    repository, config = copy
    first, second = labels(site)
    starts = {
        label: load_manifest((repository / "backups" / label / "manifest.json").read_bytes(), label).start_lsn
        for label in (first, second)
    }
    between = [p for p in segments(repository) if starts[first] >> 24 < int(p.stem[16:], 16) < starts[second] >> 24]
    assert between, "the second backup begins too soon after the first"
    between[0].unlink()
    (repository / "wal" / "not-ours").write_text("a foreign object is passed over")
    told = site.lifeboat("check", config_file=config, status=1).data["checks"]
    gap = next(c for c in told if c["name"] == "repository repo0: gap")
    assert (gap["status"], between[0].stem in gap["message"], second in gap["hint"]) == ("warning", True, True)


def test_verify_continues_when_one_repository_is_down(site: Site, tmp_path: Path) -> None:
    down = {**entry(0, DirectoryOptions(str(tmp_path / "unmounted"))), "required": False}
    config = site.write(tmp_path / "x.yml", repositories=[down, {**site.repositories[0], "name": "repo1"}])
    data = site.lifeboat("verify", "--all", config_file=config, status=1).data
    assert [(f["repository"], f["error_code"]) for f in data["findings"]] == [("repo0", "bucket_missing")]
    assert data["labels"] == labels(site)


def test_a_backup_whose_own_wal_is_gone_is_not_restorable(site: Site, copy: Tuple[Path, Path]) -> None:
    repository, config = copy
    first = labels(site)[0]
    manifest = load_manifest((repository / "backups" / first / "manifest.json").read_bytes(), first)
    start = next(
        p
        for p in segments(repository)
        if int(p.stem[8:16], 16) * 256 + int(p.stem[16:], 16) == manifest.start_lsn >> 24
    )
    start.unlink()
    data = site.lifeboat("list", config_file=config).data
    assert [b["restorable"] for b in data["backups"]] == [False, True]
    assert f"{first} (WAL missing)" in words(site, "list", config_file=config)[0]
    done = site.lifeboat("verify", first, config_file=config, status=1).data
    assert [(f["label"], f["error_code"]) for f in done["findings"]] == [(first, "wal_gap")]
    assert start.stem in done["findings"][0]["message"]


def test_a_damaged_manifest_is_shown_and_the_others_stay_usable(site: Site, copy: Tuple[Path, Path]) -> None:
    repository, config = copy
    first, second = labels(site)
    path = repository / "backups" / second / "manifest.json"
    raw = bytearray(path.read_bytes())
    raw[200] ^= 1
    path.write_bytes(raw)
    (repository / "backups" / "20000101T000000Z-full").mkdir()
    (repository / "backups" / "20000101T000000Z-full" / "base.tar.zst").write_bytes(b"")
    data = site.lifeboat("list", config_file=config).data
    assert [b["label"] for b in data["backups"]] == [first]
    assert [(d["label"], d["error_code"]) for d in data["damaged"]] == [(second, "object_corrupt")]
    assert data["unfinished"] == ["20000101T000000Z-full"]
    text, _ = words(site, "list", config_file=config)
    assert f"DAMAGED {second}: main/backups/{second}/manifest.json" in text
    assert "unfinished, ignored: 20000101T000000Z-full" in text
    assert site.lifeboat("show", second, config_file=config, status=1).error["error_code"] == "object_corrupt"
    assert f"repository repo0: backup {second}" in statuses(site.lifeboat("check", config_file=config, status=2).data)


def test_verify_reads_everything_back(site: Site) -> None:
    data = site.lifeboat("verify", "--all").data
    listed = site.lifeboat("list").data["backups"]
    assert (data["intact"], data["findings"], data["labels"]) == (True, [], labels(site))
    assert data["bytes_read"] == sum(b["stored_size"] for b in listed)
    assert data["segments_read"] >= 2
    told = words(site, "verify", "--all")[0]
    assert re.match(r"2 backups, 0 dumps .*, \d+ WAL segments, .* read in .*: intact\n", told)


@pytest.mark.parametrize("what", ["base.tar.zst", "backup_manifest", "a segment"])
@represented(what="base.tar.zst")
def test_verify_finds_one_flipped_bit(site: Site, copy: Tuple[Path, Path], what: str) -> None:
    repository, config = copy
    first, second = labels(site)
    path = repository / "backups" / first / what
    if what == "a segment":
        start = load_manifest((repository / "backups" / first / "manifest.json").read_bytes(), first).start_lsn >> 24
        path = next(p for p in segments(repository) if int(p.stem[16:], 16) == start)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)
    data = site.lifeboat("verify", "--all", config_file=config, status=1).data
    assert not data["intact"]
    assert {(f["repository"], f["label"], f["error_code"]) for f in data["findings"]} == {
        ("repo0", first, "object_corrupt")
    }
    assert path.name.split(".")[0] in data["findings"][0]["message"]
    text, _ = words(site, "verify", "--all", config_file=config, status=1)
    assert "DAMAGED" in text
    assert f"repo0: {first}: " in text
    assert site.lifeboat("verify", second, config_file=config).data["intact"]
