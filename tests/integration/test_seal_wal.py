# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed WAL: pushed again, with different content, sealed and unsealed together, damaged, and who can open it."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options, StoreOptions
from lifeboat.repository.layout import Layout
from support.age import INTRO, Key, make_key, needs_age
from support.installations import Installation
from support.lost import flip
from support.postgres import Ran, Site, Sites, entry

pytestmark = [pytest.mark.integration, needs_age]


@dataclass
class Yard:
    """A stopped cluster, one of its segments, different content for the same name, and a pair of keys."""

    site: Site
    name: str
    content: bytes
    other: bytes
    key: Key
    work: Path = Path()
    stores: tuple[StoreOptions, ...] = ()

    def config(self, seal: Optional[Dict[str, Any]]) -> Path:
        return self.site.write(
            self.work / "lifeboat.yml", seal=seal, repositories=[entry(i, s) for i, s in enumerate(self.stores)]
        )

    @property
    def seal(self) -> Dict[str, Any]:
        return {"recipients": [self.key.recipient]}

    @property
    def opened(self) -> Dict[str, Any]:
        return {**self.seal, "identity_file": str(self.key.file)}

    def push(
        self, seal: Optional[Dict[str, Any]], content: bytes, status: int = 0, env: Optional[Dict[str, str]] = None
    ) -> Ran:
        path = self.work / self.name
        path.write_bytes(content)
        return self.site.lifeboat(
            "wal-push", str(path), status=status, config_file=self.config(seal), cwd=self.site.cluster.data_dir, env=env
        )

    def fetch(self, seal: Optional[Dict[str, Any]], status: int = 0, env: Optional[Dict[str, str]] = None) -> Ran:
        target = self.work / "fetched"
        target.unlink(missing_ok=True)
        ran = self.site.lifeboat(
            "wal-fetch", self.name, str(target), status=status, config_file=self.config(seal),
            cwd=self.site.cluster.data_dir, env=env,
        )  # fmt: skip
        assert target.exists() == (status == 0)
        assert status or target.read_bytes() == self.content
        return ran

    @property
    def directory(self) -> Path:
        return Path(next(s.path for s in self.stores if isinstance(s, DirectoryOptions)))

    @property
    def system(self) -> str:
        return self.site.cluster.system_identifier

    @property
    def sealed(self) -> Path:
        return self.directory / (Layout("main").wal(self.system, self.name) + ".age")

    @property
    def wal_objects(self) -> List[str]:
        return sorted(p.name for p in (self.directory / "main" / "wal").rglob("*") if p.is_file())


@pytest.fixture(scope="module")
def whole_yard(module_sites: Sites, newest_postgres: Installation, tmp_path_factory: pytest.TempPathFactory) -> Yard:
    site = module_sites(newest_postgres, segment_mb=1, name="wal")
    name = site.cluster.switch_wal()
    # One that has the first one's name and header, and other content.
    content = (site.cluster.data_dir / "pg_wal" / name).read_bytes()
    other = content[:-4] + bytes(b ^ 1 for b in content[-4:])
    site.cluster.stop()
    return Yard(site, name, content, other, make_key(tmp_path_factory.mktemp("keys") / "key"))


@pytest.fixture
def yard(whole_yard: Yard, tmp_path: Path, s3_options: S3Options) -> Yard:
    (tmp_path / "disk").mkdir()
    return replace(whole_yard, work=tmp_path, stores=(DirectoryOptions(str(tmp_path / "disk")), s3_options))


def test_the_same_again_succeeds_and_other_content_fails_without_an_identity(yard: Yard) -> None:
    assert yard.push(yard.seal, yard.content).data["already"] == []
    before = yard.sealed.read_bytes()
    assert before.startswith(INTRO)
    assert yard.push(yard.seal, yard.content).data["already"] == ["repo0", "repo1"]
    refused = yard.push(yard.seal, yard.other, status=1)
    assert refused.error["error_code"] == "wal_conflict"
    assert yard.sealed.read_bytes() == before
    digest = (yard.directory / Layout("main").wal_digest(yard.system, yard.name)).read_text()
    assert digest == f"{hashlib.sha256(yard.content).hexdigest()}  {yard.name}\n"
    yard.fetch(yard.opened)
    # With the object gone the name still stands for its content.
    yard.sealed.unlink()
    assert yard.push(yard.seal, yard.other, status=1).error["error_code"] == "wal_conflict"
    assert yard.push(yard.seal, yard.content).data["already"] == ["repo1"]
    yard.fetch(yard.opened)


@pytest.mark.parametrize("sealed_first", [False, True])
def test_one_file_has_one_content_clear_or_sealed(yard: Yard, sealed_first: bool) -> None:
    first, second = (yard.seal, None) if sealed_first else (None, yard.seal)
    yard.push(first, yard.content)
    there = yard.wal_objects
    assert yard.push(second, yard.other, status=1).error["error_code"] == "wal_conflict"
    assert yard.push(second, yard.content).data["already"] == ["repo0", "repo1"]
    assert yard.wal_objects == there
    yard.fetch(yard.opened)
    yard.fetch({"identity_file": str(yard.key.file)})


def test_a_sealed_segment_that_cannot_be_opened_is_a_doubt_and_no_end_of_wal(yard: Yard, tmp_path: Path) -> None:
    yard.stores = yard.stores[:1]
    yard.push(yard.seal, yard.content)
    stranger = make_key(tmp_path / "stranger")
    for seal, code in (
        (yard.seal, "identity_missing"),
        (None, "identity_missing"),
        ({**yard.seal, "identity_file": str(tmp_path / "nowhere")}, "identity_missing"),
        ({**yard.seal, "identity_command": ["/nowhere", "canary"]}, "identity_missing"),
        ({**yard.seal, "identity_command": ["sh", "-c", "echo canary >&2; exit 9"]}, "identity_missing"),
        ({**yard.seal, "identity_command": ["echo", "canary"]}, "identity_refused"),
        ({**yard.seal, "identity_command": ["true"]}, "identity_refused"),
        ({**yard.seal, "identity_file": str(stranger.file)}, "identity_refused"),
    ):
        ran = yard.fetch(seal, status=254)
        assert ran.error["error_code"] == code
        assert "canary" not in ran.stderr and stranger.secret not in ran.stderr
    no_age = tmp_path / "bin"
    no_age.mkdir()
    for tool in ("sh", "dirname"):
        (no_age / tool).symlink_to(f"/bin/{tool}" if os.path.exists(f"/bin/{tool}") else f"/usr/bin/{tool}")
    for ran in (
        yard.fetch(yard.opened, status=254, env={"PATH": str(no_age)}),
        yard.push(yard.seal, yard.content, status=1, env={"PATH": str(no_age)}),
    ):
        assert ran.error["error_code"] == "dependency_missing"
        assert "package age" in ran.error["hint"]


@pytest.mark.parametrize("position", [0.0, 0.3, 0.9999])
def test_a_damaged_sealed_segment_is_reported_and_another_repository_has_it(yard: Yard, position: float) -> None:
    yard.push(yard.seal, yard.content)
    flip(yard.sealed, position)
    assert yard.fetch(yard.opened).data["repository"] == "repo1"
    yard.stores = yard.stores[:1]
    assert yard.fetch(yard.opened, status=254).error["error_code"] == "object_corrupt"
    os.truncate(yard.sealed, int(yard.sealed.stat().st_size * position))
    assert yard.fetch(yard.opened, status=254).error["error_code"] == "object_corrupt"


@pytest.mark.parametrize("recipient", ["age1" + "q" * 58, "ssh-ed25519 AAAA"])
def test_a_recipient_that_age_refuses_stores_nothing(yard: Yard, recipient: str) -> None:
    refused = yard.push({"recipients": [yard.key.recipient, recipient]}, yard.content, status=1)
    assert refused.error["error_code"] == "recipient_invalid"
    assert not (yard.directory / "main").exists()


def test_the_identity_is_nowhere_but_in_the_memory_of_age(yard: Yard, tmp_path: Path) -> None:
    """A spy in place of age records its arguments, its environment, and the files on disk while it runs."""
    yard.stores = yard.stores[:1]
    yard.push(yard.seal, yard.content)
    spied = tmp_path / "spied"
    (tmp_path / "bin").mkdir()
    spy = tmp_path / "bin" / "age"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    spy.write_text(
        f'#!/bin/sh\n{{ echo "$@"; env; cat "{scratch}"/* 2>/dev/null; }} >> "{spied}"\n'
        'PATH=${PATH#*:}\nexec age "$@"\n'
    )
    spy.chmod(0o755)
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "TMPDIR": str(scratch)}
    for how in ({"identity_file": str(yard.key.file)}, {"identity_command": ["cat", str(yard.key.file)]}):
        yard.fetch({**yard.seal, **how}, env=env)
    said = spied.read_text()
    assert said.count("--identity /dev/fd/") == 2
    assert yard.key.secret not in said and "AGE-SECRET" not in said
