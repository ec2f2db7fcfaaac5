# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every line of a log is read at least once, whatever happens to the file; lost lines are counted."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import List, Optional

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifeboat.logs import tail
from lifeboat.logs.tail import Position, follow, matching

LATER = 2**62


class Reader:
    """Follows one log, and records what it reads."""

    def __init__(self, path: Path, budget: int = 1000) -> None:
        self.path, self.budget = path, budget
        self.known: Optional[Position] = None
        self.lines: List[str] = []
        self.lost = 0

    def read(self, now: int = LATER) -> List[str]:
        new: List[str] = []
        for _ in range(1000):
            found = follow(str(self.path), self.known, self.budget, now)
            assert not found.trouble
            new += [line.decode() for line in found.lines]
            self.known, self.lost = found.position, self.lost + found.lost
            if not found.more:
                self.lines += new
                return new
        raise AssertionError("it never comes to an end")


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "app.log"


def append(path: Path, *lines: str) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def test_a_line_comes_once_it_has_an_end(log: Path) -> None:
    reader = Reader(log)
    log.write_text("one\n\ntw")
    assert reader.read() == ["one", ""]
    append(log, "o")
    assert reader.read() == ["two"] and reader.read() == []


def test_a_renamed_file_is_read_to_its_end_and_then_the_new_one(log: Path) -> None:
    reader = Reader(log)
    append(log, "one")
    reader.read()
    append(log, "two")
    log.rename(f"{log}.1")
    with open(f"{log}.1", "a", encoding="utf-8") as stream:
        stream.write("three, without an end")
    append(log, "four")
    # Whoever writes may still have the old one open: the new one waits for that.
    assert reader.read(os.stat(f"{log}.1").st_mtime_ns) == ["two"]
    assert reader.read() == ["three, without an end", "four"] and reader.lost == 0


def test_a_file_that_was_copied_and_truncated_loses_nothing(log: Path) -> None:
    reader = Reader(log)
    append(log, "one", "two")
    reader.read()
    append(log, "three")
    shutil.copy(log, f"{log}.1")
    os.truncate(log, 0)
    append(log, "a longer line than all the ones before it were together")
    assert reader.read() == ["three", "a longer line than all the ones before it were together"]


def test_rotations_that_nobody_saw_are_caught_up_with(log: Path) -> None:
    reader = Reader(log)
    append(log, "one")
    reader.read()
    for number in range(3):
        append(log, f"line {number}")
        for old in (2, 1):
            if os.path.exists(f"{log}.{old}"):
                os.rename(f"{log}.{old}", f"{log}.{old + 1}")
        log.rename(f"{log}.1")
        os.utime(f"{log}.1", ns=(number * 10**9 + 10**18, number * 10**9 + 10**18))
    append(log, "now")
    assert reader.read() == ["line 0", "line 1", "line 2", "now"] and reader.lost == 0


def test_unread_lines_are_counted_once(log: Path) -> None:
    reader = Reader(log, budget=6)
    append(log, "one")
    reader.read()
    append(log, "two", "three")
    reader.known = follow(str(log), reader.known, 6, LATER).position
    log.unlink()
    assert reader.read() == [] and reader.lost == len("three\n")
    assert reader.known is None
    append(log, "four")
    assert reader.read() == ["four"] and reader.lost == len("three\n")


def test_a_file_with_the_old_name_and_another_beginning_is_another_file(log: Path) -> None:
    reader = Reader(log)
    append(log, "one")
    reader.read()
    descriptor = os.open(log, os.O_WRONLY)
    os.write(descriptor, b"ONE\ntwo\n")
    os.close(descriptor)
    assert reader.read() == ["ONE", "two"]


def test_a_line_without_an_end_does_not_take_all_memory(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail, "LONGEST", 64)
    log.write_text("x" * 1000 + "\nafter\n")
    found = Reader(log, budget=200).read()
    assert max(map(len, found)) == 64 and "".join(found) == "x" * 1000 + "after" and found[-1] == "after"


def test_rotated_files_are_no_logs_of_their_own(tmp_path: Path) -> None:
    for name in ("a.log", "a.log.1", "a.log-20261123", "b.log.1", "c-2.log"):
        (tmp_path / name).write_text("x")
    (tmp_path / "d.log").mkdir()
    found = [os.path.basename(p) for p in matching([f"{tmp_path}/*.log*", f"{tmp_path}/a*"])]
    assert found == ["a.log", "b.log.1", "c-2.log"]


def test_a_log_that_cannot_be_read_is_reported(log: Path) -> None:
    log.mkdir()
    assert "Is a directory" in follow(str(log), None, 100, LATER).trouble


STEPS = st.lists(st.sampled_from(["write", "write", "rename", "truncate", "read"]), max_size=20)


@given(STEPS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_happens_every_line_is_read_in_order(tmp_path: Path, steps: List[str]) -> None:
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    log, reader, written, clock = tmp_path / "app.log", Reader(tmp_path / "app.log", 16), [], 10**18
    log.touch()
    for number, step in enumerate([*steps, "read"]):
        clock += 10**9
        if step == "write":
            append(log, f"line {number}")
            written.append(f"line {number}")
        elif step == "read":
            reader.read()
        elif log.stat().st_size:
            for old in range(30, 0, -1):
                if os.path.exists(f"{log}.{old}"):
                    os.rename(f"{log}.{old}", f"{log}.{old + 1}")
            if step == "rename":
                log.rename(f"{log}.1")
            else:
                shutil.copy2(log, f"{log}.1")
                os.truncate(log, 0)
            os.utime(f"{log}.1", ns=(clock, clock))
        if log.exists():
            os.utime(log, ns=(clock + 1, clock + 1))
        else:
            log.touch()
            os.utime(log, ns=(clock + 1, clock + 1))
    # Before it was read for the first time nothing is known of it: what was rotated away then is not its own.
    begun = reader.lines[0] if reader.lines else None
    expected = written[written.index(begun) :] if begun else []
    assert reader.lines == expected and reader.lost == 0
