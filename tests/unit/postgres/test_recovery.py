# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery settings: PostgreSQL reads what was written."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.recovery import (
    RECOVERY,
    STANDBY,
    Ahead,
    quote,
    recovery_settings,
    restore_command,
    rewrite,
    set_signal,
    standby_settings,
    with_settings,
    without_recovery,
)
from lifeboat.records.model import Target

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
words = st.text(st.sampled_from("ab %'\"\\$`;&|<>*?~#=-/é"), min_size=1)


def as_postgresql_reads(quoted: str) -> str:
    """``guc-file.l``: a STRING token, then ``DeescapeQuotedString``."""
    assert re.fullmatch(r"'([^'\\\n]|\\.|'')*'", quoted), f"{quoted!r} is no string of postgresql.conf"
    escapes = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}

    def plain(match: re.Match[str]) -> str:
        token = match.group(0)
        return "'" if token == "''" else escapes.get(token[1], token[1])

    return re.sub(r"''|\\[^0-7]", plain, quoted[1:-1])


@given(texts)
def test_a_quoted_value_is_read_back(value: str) -> None:
    assert as_postgresql_reads(quote(value)) == value


def test_booleans_are_on_and_off() -> None:
    assert (quote(True), quote(False), quote(7)) == ("'on'", "'off'", "'7'")


def as_the_shell_gets_it(command: str, name: str, path: str) -> str:
    """PostgreSQL's ``BuildRestoreCommand``: %f, %p and %% are replaced, one pass from the left."""
    return re.sub(r"%(.)", lambda m: {"f": name, "p": path, "%": "%"}[m.group(1)], command)


@given(words, words)
def test_the_restore_command_calls_the_command_with_its_words(command: str, config: str) -> None:
    line = as_the_shell_gets_it(restore_command(command, config), "000000010000000000000002", "pg_wal/RECOVERYXLOG")
    call = line.rpartition("; case ")[0]
    assert shlex.split(call) == [
        command, "--config", config, "wal-fetch", "--not-found=100", "000000010000000000000002", "pg_wal/RECOVERYXLOG",
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "told"), [(0, 0), (100, 1), (1, 254), (2, 254), (126, 254), (127, 254), (137, 254)])
def test_only_a_confirmed_miss_is_an_end_of_wal(tmp_path: Path, status: int, told: int) -> None:
    stub = tmp_path / "life boat"
    stub.write_text(f"#!/bin/sh\nexit {status}\n")
    stub.chmod(0o755)
    line = as_the_shell_gets_it(restore_command(str(stub), "/etc/x.yml"), "000000010000000000000002", "p")
    assert subprocess.run(["sh", "-c", line], check=False).returncode == told


SEGMENT = "000000010000000000000002"


class Waiting:
    """A prefetcher's directory, a process in its place, and a host command with a given status."""

    def __init__(self, root: Path, command_status: int, status: int) -> None:
        self.status = status
        self.directory = root / "pre fetched 100%"
        self.directory.mkdir()
        self.target = root / "RECOVERYXLOG"
        self.called = root / "called"
        self._command = command = root / "lifeboat"
        command.write_text(f"#!/bin/sh\necho $* >'{self.called}'\nexit {command_status}\n")
        command.chmod(0o755)
        self.process = subprocess.Popen(["sleep", "600"], cwd=self.directory)
        self._line = restore_command(str(command), "/etc/x.yml", Ahead(str(self.directory), self.process.pid))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def replace(self) -> None:
        """Another process that happens to have the prefetcher's process ID."""
        self.end()
        self.process = subprocess.Popen(["sleep", "600"])
        self._line = restore_command(str(self._command), "/etc/x.yml", Ahead(str(self.directory), self.process.pid))

    def follow(self) -> None:
        """The command of a standby."""
        ahead = Ahead(str(self.directory), self.process.pid)
        self._line = restore_command(str(self._command), "/etc/x.yml", ahead, pieces=True, follow=True)

    def start(self) -> subprocess.Popen[bytes]:
        """As PostgreSQL does it, with ``system``."""
        return subprocess.Popen(["sh", "-c", as_the_shell_gets_it(self._line, SEGMENT, str(self.target))])

    def run(self) -> int:
        with self.start() as process:
            return process.wait()

    def question(self) -> Path:
        """The request left by the command, without its suffix, as the prefetcher sees it."""
        while True:
            for want in self.directory.glob("*.want"):
                want.rename(want.with_suffix(".seen"))
                return want.with_suffix("")


@pytest.fixture(params=[0, 100, 9], ids=["has it", "misses it", "fails"])
def waiting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Waiting]:
    made = Waiting(tmp_path, request.param, {0: 0, 100: 1, 9: 254}[request.param])
    yield made
    made.end()


def test_a_file_that_waits_is_taken(waiting: Waiting) -> None:
    (waiting.directory / SEGMENT).write_text("content")
    assert waiting.run() == 0
    assert waiting.target.read_text() == "content"
    assert list(waiting.directory.iterdir()) == []
    assert not waiting.called.exists()


def test_a_file_that_arrives_is_taken(waiting: Waiting) -> None:
    with waiting.start() as process:
        assert waiting.question().name.rpartition(".")[0] == SEGMENT
        (waiting.directory / SEGMENT).write_text("content")
    assert process.returncode == 0
    assert waiting.target.read_text() == "content"
    assert list(waiting.directory.iterdir()) == []
    assert not waiting.called.exists()


def test_a_file_that_arrives_before_the_question_is_seen_is_taken_and_the_question_goes(waiting: Waiting) -> None:
    with waiting.start() as process:
        while not list(waiting.directory.glob("*.want")):
            pass
        (waiting.directory / SEGMENT).write_text("content")
    assert process.returncode == 0
    assert list(waiting.directory.iterdir()) == []


def test_a_confirmed_miss_is_reported(waiting: Waiting) -> None:
    with waiting.start() as process:
        question = waiting.question()
        question.with_name(question.name + ".missing").touch()
    assert process.returncode == 1
    assert list(waiting.directory.iterdir()) == []
    assert not waiting.called.exists()


def test_for_a_standby_the_host_command_decides_about_a_miss(waiting: Waiting) -> None:
    waiting.follow()
    with waiting.start() as process:
        question = waiting.question()
        question.with_name(question.name + ".missing").touch()
    assert process.returncode == waiting.status
    assert list(waiting.directory.iterdir()) == []
    assert waiting.called.read_text().split()[2:4] == ["wal-fetch", "--not-found=100"]
    assert "--follow --pieces" in waiting.called.read_text()


@pytest.mark.parametrize("event", ["doubt", "death", "silence", "stale"])
def test_whatever_happens_to_the_prefetcher_the_host_command_decides(waiting: Waiting, event: str) -> None:
    if event == "stale":
        # Of an earlier command, which was killed while it waited.
        (waiting.directory / f"{SEGMENT}.1.missing").touch()
    with waiting.start() as process:
        if event != "silence":
            question = waiting.question()
        if event == "doubt":
            question.with_name(question.name + ".ask").touch()
        if event in ("death", "stale"):
            waiting.end()
    assert process.returncode == waiting.status
    assert waiting.called.exists()


@pytest.mark.parametrize("broken", ["dead", "zombie", "another", "gone", "closed", "a directory", "no target"])
def test_nothing_that_is_broken_looks_like_the_end_of_wal(waiting: Waiting, broken: str) -> None:
    if broken == "dead":
        # What it left may be older than a crash of the machine.
        (waiting.directory / SEGMENT).write_text("content")
        waiting.end()
    elif broken == "zombie":
        (waiting.directory / SEGMENT).write_text("content")
        waiting.process.kill()
        os.waitid(os.P_PID, waiting.process.pid, os.WEXITED | os.WNOWAIT)
    elif broken == "another":
        (waiting.directory / SEGMENT).write_text("content")
        waiting.replace()
    elif broken == "gone":
        waiting.directory.rmdir()
    elif broken == "closed":
        waiting.directory.chmod(0o500)
    elif broken == "a directory":
        (waiting.directory / SEGMENT).mkdir()
    elif broken == "no target":
        (waiting.directory / SEGMENT).write_text("content")
        waiting.target = waiting.target.parent / "not there" / "RECOVERYXLOG"
    assert waiting.run() == waiting.status
    assert waiting.called.exists()
    assert not waiting.target.exists()


OLD = """\
# recovery_target_time = 'a comment stays'
shared_buffers = '1GB'
restore_command = 'old'
  Recovery_Target_Time = '2020-01-01'
recovery_target_action=promote
primary_conninfo = 'host=x'
primary_slot_name = 's'
archive_mode 'on'
"""


def test_everything_that_steers_a_recovery_goes() -> None:
    assert without_recovery(OLD) == (
        "# recovery_target_time = 'a comment stays'\nshared_buffers = '1GB'\narchive_mode 'on'\n"
    )


def test_a_setting_takes_the_place_of_its_namesakes() -> None:
    text = with_settings("Port = 1\nport 2\nshared_buffers = '1GB'\nport=3", {"port": 4})
    assert text == "shared_buffers = '1GB'\nport = '4'\n"


@given(st.dictionaries(st.sampled_from(["port", "archive_mode", "a.b", "work_mem"]), texts))
def test_settings_added_twice_are_there_once(settings: dict[str, str]) -> None:
    once = with_settings("listen_addresses = ''\n", settings)
    assert with_settings(once, settings) == once


def test_rewrite_replaces_the_settings_of_an_earlier_recovery(tmp_path: Path) -> None:
    auto = tmp_path / "postgresql.auto.conf"
    auto.write_text(OLD)
    rewrite(str(tmp_path), {"restore_command": "new"})
    assert "old" not in auto.read_text()
    assert auto.read_text().endswith("restore_command = 'new'\n")
    assert auto.stat().st_mode & 0o777 == 0o600
    rewrite(str(tmp_path), {})
    assert "restore_command" not in auto.read_text()


def test_a_standby_has_no_target_and_asks_often(tmp_path: Path) -> None:
    rewrite(str(tmp_path), standby_settings("c"))
    text = (tmp_path / "postgresql.auto.conf").read_text()
    assert "recovery_target_timeline = 'latest'" in text and "hot_standby = 'on'" in text
    assert "wal_retrieve_retry_interval = '1s'" in text and "recovery_target_action" not in text
    set_signal(str(tmp_path), STANDBY)
    assert (tmp_path / "standby.signal").exists() and not (tmp_path / "recovery.signal").exists()


def test_only_one_signal_file_stays(tmp_path: Path) -> None:
    (tmp_path / "standby.signal").touch()
    set_signal(str(tmp_path), RECOVERY)
    assert [p.name for p in tmp_path.iterdir()] == ["recovery.signal"]
    set_signal(str(tmp_path), None)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        # A target that is left in postgresql.conf does not count.
        (
            Target(),
            {"recovery_target": "", "recovery_target_lsn": "", "recovery_target_name": "", "recovery_target_time": "",
             "recovery_target_xid": ""},
        ),
        (Target("immediate"), {"recovery_target": "immediate", "recovery_target_action": "pause"}),
        (
            Target("time", "2026-11-22 14:02:00.5+02", inclusive=False),
            {"recovery_target_time": "2026-11-22 12:02:00.500000+00", "recovery_target_inclusive": "off",
             "recovery_target_action": "pause"},
        ),
        (
            Target("lsn", "0/3000028"),
            {"recovery_target_lsn": "0/3000028", "recovery_target_inclusive": "on", "recovery_target_action": "pause"},
        ),
        (
            Target("xid", "742", inclusive=False),
            {"recovery_target_xid": "742", "recovery_target_inclusive": "off", "recovery_target_action": "pause"},
        ),
        (Target("name", "it's"), {"recovery_target_name": "it's", "recovery_target_action": "pause"}),
    ],
    ids=lambda value: value.kind if isinstance(value, Target) else "",
)  # fmt: skip
def test_the_settings_of_each_kind_of_target(target: Target, expected: dict[str, str]) -> None:
    common = {"restore_command": "c", "recovery_target_timeline": "3"}
    assert recovery_settings(target, 3, "pause", "c") == {**common, **expected}
