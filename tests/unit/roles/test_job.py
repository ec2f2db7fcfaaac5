# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat-job`` as root of a user namespace, its directories elsewhere: locks, statuses, and who is notified.

The command that it runs is a shell script, because no real one ends with every status; ``lifeboat notify`` is real.
Units, other users and dropped privileges are tested on the hosts of molecule/default.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Callable, List

import pytest
import yaml
from lifeboat.notify import read_deliveries
from support.jobs import Job
from support.sinks import WebSink


def test_the_lock_lies_where_nobody_else_can_take_it(job: Job, running: Callable[[], int]) -> None:
    try:
        locks = [path for path in job.state.iterdir() if path.suffix == ".lock"]
        assert [path.name for path in locks] == ["lifeboat-main-check.lock"]
        assert not list(Path("/run/lock").glob("lifeboat-main-*"))
        taken = subprocess.run(["flock", "--nonblock", str(locks[0]), "true"], capture_output=True, check=False)
        assert taken.returncode == 1
    finally:
        assert running() == 0


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711, 0o777])
def test_a_directory_that_others_can_enter_holds_no_locks(job: Job, mode: int) -> None:
    job.state.chmod(mode)
    assert job("main", "check") == 64
    assert str(job.state) in job.errors and not job.begun.exists()


def test_two_starts_in_a_row_while_it_runs_are_notified(job: Job, running: Callable[[], int]) -> None:
    try:
        assert job("main", "check") == 75
        assert job.notified() == []
        assert job("main", "check") == 75
        assert job.notified() == ["75"]
        assert job("main", "check") == 75
        assert job.notified() == ["75"]
    finally:
        assert running() == 0
    assert job.notified() == ["75", "0"]


def test_one_start_while_it_runs_is_forgotten_with_the_next_run(job: Job, running: Callable[[], int]) -> None:
    assert job("main", "check") == 75
    assert running() == 0
    job.does("exit 0")
    assert job("main", "check") == 0
    assert not (job.state / "lifeboat-main-check.busy").exists() and job.notified() == []


@pytest.mark.parametrize(("name", "status"), [("check", 10), ("drill_reminder", 10), ("full", 1), ("retention", 1)])
def test_only_a_job_that_warns_ends_with_10(job: Job, name: str, status: int) -> None:
    job.does("echo not so well; exit 1")
    assert job("main", name) == status
    assert job.notified() == [str(status)]
    assert "ended with status 1" in (job.log / f"main-{name}.log").read_text()


@pytest.mark.parametrize("status", [2, 3, 10, 75, 137])
def test_every_other_status_is_a_failure(job: Job, status: int) -> None:
    job.does(f"exit {status}")
    assert job("main", "check") == (1 if status in (10, 75) else status)
    assert job("main", "check") != 0
    assert len(job.notified()) == 1


@pytest.mark.parametrize("words", ["echo $nothing_of_this_name", "if", ". /nowhere"])
def test_a_mistake_of_the_shell_is_no_warning(job: Job, words: str) -> None:
    job.contacts(f"{words}\n")
    assert job("main", "check") not in (0, 10)
    assert not job.begun.exists()


def test_contacts_that_others_can_write_are_not_read(job: Job, tmp_path: Path) -> None:
    job.contacts(f": >{shlex.quote(str(tmp_path / 'read'))}\n")
    (job.etc / "main.job").chmod(0o620)
    assert job("main", "check") == 64
    assert "main.job" in job.errors and not (tmp_path / "read").exists()


def test_contacts_by_way_of_a_link_are_not_read(job: Job, tmp_path: Path) -> None:
    (job.etc / "main.job").rename(tmp_path / "elsewhere")
    (job.etc / "main.job").symlink_to(tmp_path / "elsewhere")
    assert job("main", "check") == 64


@pytest.mark.parametrize("place", ["etc", "log"])
def test_a_directory_that_others_can_write_is_refused(job: Job, place: str) -> None:
    getattr(job, place).chmod(0o777)
    assert job("main", "check") == 64
    assert not job.begun.exists()


def test_what_root_executes_for_file_sets_nobody_else_configures(job: Job) -> None:
    assert job("main", "files") == 0
    (job.etc / "main.yml").chmod(0o660)
    assert job("main", "files") == 64
    assert job("main", "check") == 0


def test_logs_and_output_are_closed(job: Job) -> None:
    job.does("echo words")
    assert job("main", "check") == 0
    made = [*job.log.iterdir(), *job.state.iterdir()]
    assert {path.stat().st_mode & 0o007 for path in made} == {0}
    assert "words" in (job.log / "main-check.log").read_text()


@pytest.mark.parametrize(
    ("ended", "told"),
    [("1", ["1"]), ("KILL", ["KILL"]), ("226", ["226"]), ("0", []), ("TERM", []), ("143", []), ("75", [])],
)
def test_the_end_of_the_unit_is_notified(job: Job, ended: str, told: List[str]) -> None:
    (job.state / "lifeboat-main-check.output").write_text("last words\n")
    assert job("--tell", "main:check", environment={"EXIT_STATUS": ended}) == 0
    assert job.notified() == told
    assert not told or "last words" in job.told.read_text()


def test_in_the_unit_the_job_itself_notifies_nobody(job: Job) -> None:
    job.does("exit 3")
    assert job("--run", "main:check") == 3
    assert job.notified() == []


# --- a notice counts as told once it was delivered ----------------------------------------------------------------


def test_a_command_of_the_contacts_that_failed_is_run_again_until_it_succeeds(job: Job) -> None:
    job.does("exit 3")
    job.broken.touch()
    for _run in range(3):
        assert job("main", "check") == 3
    assert job.notified() == ["3", "3", "3"]
    job.broken.unlink()
    for _run in range(3):
        assert job("main", "check") == 3
    assert job.notified() == ["3"] * 4
    job.broken.touch()
    job.does("exit 0")
    assert job("main", "check") == 0
    job.broken.unlink()
    for _run in range(2):
        assert job("main", "check") == 0
    assert job.notified() == ["3"] * 4 + ["0", "0"]


def test_the_status_is_noted_before_anybody_is_notified(job: Job) -> None:
    noted = job.etc.parent / "noted"
    job.contacts(f"notify='cat {job.state}/lifeboat-main-check >{noted}'\n")
    job.does("exit 3")
    assert job("main", "check") == 3
    assert noted.read_text().split()[0] == "3"


def sendmail(job: Job, status: int) -> None:
    """A mailer that exits with this status and records its mails."""
    program = job.etc.parent / "bin" / "sendmail"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ncat >>{shlex.quote(str(job.etc.parent / 'mails'))}\nexit {status}\n")
    program.chmod(0o755)
    job.contacts(f"mail=dba@example.com\nPATH={shlex.quote(str(program.parent))}:$PATH\n")


def mails(job: Job) -> List[str]:
    """The subjects."""
    path = job.etc.parent / "mails"
    return re.findall(r"(?m)^Subject: (.*)$", path.read_text()) if path.exists() else []


@pytest.mark.parametrize("status", [1, 75])
def test_a_mail_that_sendmail_did_not_take_is_sent_again(job: Job, status: int) -> None:
    sendmail(job, status)
    job.does("echo words; exit 3")
    assert job("main", "check") == 3
    assert job("main", "check") == 3
    assert len(mails(job)) == 2
    sendmail(job, 0)
    for _run in range(3):
        assert job("main", "check") == 3
    assert len(mails(job)) == 3 and mails(job)[-1].endswith("check of cluster main ended with status 3")
    # The other means were not held up by it.
    assert job.notified() == ["3"]
    job.does("exit 0")
    for _run in range(2):
        assert job("main", "check") == 0
    assert len(mails(job)) == 4 and mails(job)[-1].endswith("works again")


def test_a_mail_without_sendmail_was_not_sent(job: Job) -> None:
    job.contacts("mail=dba@example.com\nPATH=/nowhere:$PATH\nsendmail() { return 127; }\n")
    job.does("exit 3")
    assert job("main", "check") == 3
    sendmail(job, 0)
    assert job("main", "check") == 3
    assert len(mails(job)) == 1


def test_what_an_earlier_release_told_is_not_told_again(job: Job) -> None:
    (job.state / "lifeboat-main-check").write_text(f"3 {int(time.time())}\n")
    job.does("exit 3")
    assert job("main", "check") == 3
    assert job.notified() == []
    job.does("exit 0")
    assert job("main", "check") == 0
    assert job.notified() == ["0"]


def channel(job: Job, sink: WebSink) -> None:
    """Add a channel to this server to the configuration."""
    section = {
        "state_dir": str(job.state / "notifications"),
        "patience": 1,
        "channels": [{"name": "hook", "type": "webhook", "webhook_url": sink.url}],
    }
    config = {
        "cluster": "main",
        "repositories": [{"type": "directory", "path": str(job.log)}],
        "audit": {"file": str(job.log / "audit.jsonl"), "syslog": ""},
        "notifications": section,
    }
    (job.etc / "main.yml").write_text(yaml.safe_dump(config))
    job.contacts("notify=''\nchannels=yes\n")


def test_lifeboat_itself_notifies_the_configured_channels(job: Job) -> None:
    with WebSink() as sink:
        channel(job, sink)
        for words in ("exit 0", "echo last words; exit 3", "exit 3", "exit 0", "exit 0"):
            job.does(words)
            job("main", "full")
        told = [json.loads(request.body) for request in sink.requests]
        assert [(t["status"], t["state"]) for t in told] == [("3", "open"), ("0", "resolved")]
        assert "last words" in told[0]["text"] and told[0]["job"] == "full" and told[0]["cluster"] == "main"
        found = read_deliveries(str(job.state / "notifications"))
        assert (found["hook"].delivered, found["hook"].failures) == (2, 0)


def test_a_channel_that_did_not_take_it_is_tried_at_the_next_run(job: Job) -> None:
    with WebSink() as sink:
        channel(job, sink)
        sink.answers = [403, 403]
        job.does("exit 3")
        for _run in range(5):
            assert job("main", "check") == 3
        assert len(sink.requests) == 3
        events = [json.loads(line) for line in (job.log / "audit.jsonl").read_text().splitlines()]
        assert [(e["what"], e["result"]) for e in events] == [
            ("notice", "failed"),
            ("notice", "failed"),
            ("notice", "ok"),
        ]


def test_a_job_that_is_skipped_because_it_hangs_tells_the_channels(job: Job, running: Callable[[], int]) -> None:
    with WebSink() as sink:
        channel(job, sink)
        try:
            for _start in range(3):
                assert job("main", "check") == 75
            assert [json.loads(request.body)["status"] for request in sink.requests] == ["75"]
        finally:
            assert running() == 0


def test_the_end_of_the_unit_reaches_the_channels(job: Job) -> None:
    (job.state / "lifeboat-main-check.output").write_text("last words\n")
    with WebSink() as sink:
        channel(job, sink)
        assert job("--tell", "main:check", environment={"EXIT_STATUS": "KILL"}) == 0
        assert json.loads(sink.requests[0].body)["subject"].endswith("was ended by signal KILL")


def test_a_configuration_that_others_can_write_names_no_program_for_root(job: Job) -> None:
    with WebSink() as sink:
        channel(job, sink)
        (job.etc / "main.yml").chmod(0o660)
        job.does("exit 3")
        assert job("main", "check") == 3
        assert sink.requests == []
        (job.etc / "main.yml").chmod(0o640)
        assert job("main", "check") == 3
        assert len(sink.requests) == 1
