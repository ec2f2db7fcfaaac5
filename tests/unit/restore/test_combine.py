# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How pg_combinebackup copies: depending on its version and the file system, by trial."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lifeboat.restore import combine

OLD = "      --clone   clone\n      --copy    copy files (default)\n      --copy-file-range   copy\n"
NEW = OLD + "  -k, --link    link files\n"


def refuse(source: int, target: int) -> None:
    raise OSError(95, "Operation not supported")


def test_hard_links_are_taken_wherever_they_are_offered(tmp_path: Path) -> None:
    assert combine.copy_method(NEW, [str(tmp_path)]) == "link"


def test_what_one_of_the_directories_cannot_do_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(combine, "_clones", refuse)
    assert combine.copy_method(OLD, [str(tmp_path)]) == "copy-file-range"
    # A directory that cannot hold a file without a name, as no directory that is not there can.
    assert combine.copy_method(OLD, [str(tmp_path), str(tmp_path / "none")]) == "copy"
    monkeypatch.setattr(combine, "_copies_ranges", refuse)
    assert combine.copy_method(OLD, [str(tmp_path)]) == "copy"


def test_what_the_program_does_not_offer_is_not_taken(tmp_path: Path) -> None:
    assert combine.copy_method("--copy   copy files", [str(tmp_path)]) == "copy"


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    combine.copy_method(OLD, [str(tmp_path)])
    assert os.listdir(tmp_path) == []
    assert not combine._try(lambda source, target: None, str(tmp_path)), "a copy that copies nothing is no copy"
