# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files are flushed to disk while others are unpacked, and errors are not lost."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from lifeboat.base.errors import ProcessFailed
from lifeboat.restore.flush import flushing
from support.processes import until


@pytest.fixture(autouse=True)
def sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ``sync`` that records its arguments, and fails on request."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "sync"
    program.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/asked\n[ ! -e {tmp_path}/fail ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return program


def asked(tmp_path: Path, times: int = 1) -> list[str]:
    told = tmp_path / "asked"
    until(lambda: told.exists() and len(told.read_text().splitlines()) >= times, "sync to be asked", seconds=30)
    return told.read_text().splitlines()


def test_what_is_there_is_flushed_again_and_again(tmp_path: Path) -> None:
    there = tmp_path / "data"
    with flushing([str(there), str(tmp_path / "none")]):
        time.sleep(0.5)
        assert not (tmp_path / "asked").exists()
        there.mkdir()
        assert set(asked(tmp_path, 2)) == {f"--file-system {there}"}


def test_an_error_in_writing_is_reported_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    with pytest.raises(ProcessFailed), flushing([str(tmp_path)]):
        asked(tmp_path)


def test_it_hides_no_other_error(tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    with pytest.raises(KeyboardInterrupt), flushing([str(tmp_path)]):
        asked(tmp_path)
        raise KeyboardInterrupt


def test_without_the_program_nothing_is_lost_but_time(
    tmp_path: Path, sync: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync.unlink()
    monkeypatch.setenv("PATH", str(sync.parent))
    with flushing([str(tmp_path)]):
        time.sleep(0.5)
