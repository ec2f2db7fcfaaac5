# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The credentials file of file sets: who may have written it, and what it may contain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import S3Options, load
from lifeboat.fileset.credentials import load_for_files

NEAR = {"name": "near", "access_key_id": "FILES", "secret_access_key": "files-secret"}


def write(root: Path, entries: List[Any], mode: int = 0o600, **more: Any) -> str:
    repository = {"name": "near", "type": "s3", "bucket": "b", "access_key_id": "W", "secret_access_key": "w-secret"}
    repository["session_token"] = "w-token"
    found: Dict[str, Any] = {"cluster": "main", "repositories": [repository], **more}
    (root / "main.yml").write_text(yaml.safe_dump(found))
    beside = root / "main.files.yml"
    beside.write_text(yaml.safe_dump({"repositories": entries}))
    beside.chmod(mode)
    return str(root / "main.yml")


def test_its_credentials_replace_all_of_the_writers(tmp_path: Path) -> None:
    path = write(tmp_path, [NEAR])
    (plain,), (own,) = load(path).repositories, load_for_files(path).repositories
    assert isinstance(plain.store, S3Options) and isinstance(own.store, S3Options)
    assert plain.store.access_key_id == "W" and load(path).files_apart
    assert (own.store.access_key_id, own.store.secret_access_key) == ("FILES", "files-secret")
    assert own.store.session_token is None
    assert own.store.bucket == "b" and "files-secret" not in repr(own)
    os.unlink(tmp_path / "main.files.yml")
    assert load_for_files(path) == load(path) and not load(path).files_apart


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_what_others_could_read_or_write_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError, match="is accessible to others"):
        load_for_files(write(tmp_path, [NEAR], mode))


def test_a_link_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, [NEAR])
    os.rename(tmp_path / "main.files.yml", tmp_path / "theirs")
    os.symlink("theirs", tmp_path / "main.files.yml")
    with pytest.raises(ConfigError, match="is a symbolic link"):
        load_for_files(path)
    os.unlink(tmp_path / "main.files.yml")
    os.mkfifo(tmp_path / "main.files.yml", 0o600)
    with pytest.raises(ConfigError, match="is not a regular file"):
        load_for_files(path)


@pytest.mark.parametrize("entries,words", [
    ([{**NEAR, "name": "far"}], "unknown keys: far"),
    ([{**NEAR, "bucket": "theirs"}], r"has bucket"),
    ([{**NEAR, "endpoint_url": "http://theirs"}], r"has endpoint_url"),
    ([{"name": "near"}], "has no credentials"),
    ([{**NEAR, "secret_access_key": ["files-secret"]}], "secret_access_key is a value"),
    (["near"], "must be a list of mappings"),
])  # fmt: skip
def test_it_holds_credentials_and_nothing_else(tmp_path: Path, entries: List[Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        load_for_files(write(tmp_path, entries))
    assert "files-secret" not in refused.value.message + refused.value.hint


def test_a_set_with_the_name_of_another_part_is_refused(tmp_path: Path) -> None:
    sets = [{"name": "wal", "paths": ["/srv"]}]
    with pytest.raises(ConfigError, match="the name of a part"):
        load_for_files(write(tmp_path, [NEAR], file_sets=sets))
    assert load(write(tmp_path, [NEAR], file_sets=sets)).file_sets
