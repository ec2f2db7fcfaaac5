# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed file sets, beside unsealed ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import IdentityMissing, IdentityRefused, ObjectCorrupt, RecipientInvalid
from lifeboat.config import load as config
from lifeboat.fileset import backup as files
from lifeboat.fileset import restore as file_restore
from lifeboat.fileset.restore import FilesRequest
from support.age import INTRO, make_key, needs_age
from support.lost import flip

pytestmark = [pytest.mark.integration, needs_age]


def settings(root: Path, **seal: Any) -> config.Config:
    data: Dict[str, Any] = {
        "cluster": "main",
        "repositories": [{"name": "disk", "type": "directory", "path": str(root / "store")}],
        "file_sets": [{"name": "app", "paths": [str(root / "source")]}],
        "seal": seal,
    }
    return config.parse(data)


def test_sealed_and_clear_copies_of_a_file_set_come_back(tmp_path: Path) -> None:
    for name in ("source", "store", "target"):
        (tmp_path / name).mkdir()
    key, stranger = make_key(tmp_path / "key"), make_key(tmp_path / "stranger")
    (tmp_path / "store" / "main" / "systems").mkdir(parents=True)
    (tmp_path / "store" / "main" / "systems" / "7000000000000000001.json").write_text("{}")
    source, back = tmp_path / "source" / "x", tmp_path / "target" / str(tmp_path / "source" / "x").strip("/")
    source.write_text("clear words")
    clear = files.backup_files(settings(tmp_path), "app")
    # Another second, another label.
    while (label := files.make_label(files.clock.now(), "files")) == clear.label:
        files.clock.sleep(0.1)
    source.write_text("sealed words " * 100000)
    copy = files.backup_files(settings(tmp_path, recipients=[key.recipient]), "app")
    assert copy.label >= label and copy.recipients == (key.recipient,)
    stored = tmp_path / "store" / "main" / "files" / "app" / copy.label / "data.tar.zst.age"
    assert stored.read_bytes().startswith(INTRO)

    opened = settings(tmp_path, recipients=[key.recipient], identity_file=str(key.file))
    for lacking, error in (
        (settings(tmp_path, recipients=[key.recipient]), IdentityMissing),
        (settings(tmp_path, identity_file=str(stranger.file)), IdentityRefused),
    ):
        with pytest.raises(error):
            file_restore.apply(lacking, FilesRequest("app", target=str(tmp_path / "target")))
    assert not back.exists()
    assert file_restore.apply(opened, FilesRequest("app", target=str(tmp_path / "target"))).changed
    assert back.read_text() == source.read_text()
    assert not file_restore.apply(opened, FilesRequest("app", target=str(tmp_path / "target"))).changed
    assert file_restore.apply(opened, FilesRequest("app", clear.label, target=str(tmp_path / "target"))).changed
    assert back.read_text() == "clear words"

    flip(stored, 0.9)
    with pytest.raises(ObjectCorrupt):
        file_restore.apply(opened, FilesRequest("app", target=str(tmp_path / "target")))
    assert back.read_text() == "clear words"


def test_a_bad_recipient_stores_no_copy(tmp_path: Path) -> None:
    for name in ("source", "store"):
        (tmp_path / name).mkdir()
    with pytest.raises(RecipientInvalid, match="age1qqq"):
        files.backup_files(settings(tmp_path, recipients=["age1qqq"]), "app")
    assert not any((tmp_path / "store").iterdir())
