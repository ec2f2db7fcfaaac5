# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``lifeboat-job`` records about each job, for ``lifeboat metrics``."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Callable

import yaml
from lifeboat.metrics.jobs import Job as Noted
from lifeboat.metrics.jobs import read_jobs
from support.jobs import Job
from support.processes import until
from support.sinks import WebSink


def noted(job: Job, name: str) -> Noted:
    return read_jobs(str(job.jobs), "main")[name]


def test_how_it_went_is_noted_for_metrics(job: Job) -> None:
    before = int(time.time())
    assert job("main", "full") == 0
    first = noted(job, "full")
    assert first.start and first.end and before <= first.start <= first.end == first.success
    assert (first.status, first.skipped, first.running) == (0, 0, False)
    job.does("exit 3")
    assert job("main", "full") == 3
    second = noted(job, "full")
    assert (second.status, second.success) == (3, first.success)
    assert [path.name for path in job.jobs.iterdir()] == ["main:full"]
    assert (job.jobs / "main:full").stat().st_mode & 0o777 == 0o644


def test_a_warning_is_noted_as_a_success_of_the_job(job: Job) -> None:
    job.does("exit 1")
    assert job("main", "check") == 10
    assert noted(job, "check").status == 10 and noted(job, "check").success


def test_a_job_that_runs_and_a_start_that_is_skipped_are_noted(job: Job, running: Callable[[], int]) -> None:
    assert noted(job, "check").running
    assert job("main", "check") == 75
    assert noted(job, "check").skipped == 1 and noted(job, "check").running
    running()
    assert not noted(job, "check").running and noted(job, "check").skipped == 1


def test_the_end_of_a_job_that_was_killed_is_noted_once(job: Job) -> None:
    (job.state / "lifeboat-main-full.running").touch()
    (job.state / "lifeboat-main-full.output").touch()
    assert job("--tell", "main:full", environment={"EXIT_STATUS": "KILL"}) == 0
    assert noted(job, "full").status == 255
    assert job("--tell", "main:full", environment={"EXIT_STATUS": "0"}) == 0
    assert noted(job, "full").status == 255


def pinged(job: Job, sink: WebSink) -> None:
    """Add a dead man's switch for the job ``full``, at this server."""
    config = {
        "cluster": "main",
        "repositories": [{"type": "directory", "path": str(job.log)}],
        "notifications": {"pings": [{"job": "full", "ping_url": f"{sink.url}/switch"}]},
    }
    (job.etc / "main.yml").write_text(yaml.safe_dump(config))
    job.contacts("notify=''\npings=yes\n")


def test_a_switch_is_pinged_when_the_job_begins_and_when_it_ends(job: Job) -> None:
    with WebSink() as sink:
        pinged(job, sink)
        assert job("main", "full") == 0
        job.does("exit 3")
        assert job("main", "full") == 3
        assert job("main", "check") == 3
        ends = [request.path.rsplit("/", 1)[-1] for request in sink.requests]
        assert ends == ["start", "switch", "start", "fail"]


def test_a_switch_that_does_not_answer_stops_no_job(job: Job) -> None:
    with WebSink() as sink:
        pinged(job, sink)
    assert job("main", "full") == 0


def test_a_job_that_begins_in_the_second_in_which_its_last_run_ended_runs(job: Job, tmp_path: Path) -> None:
    # The contacts are sourced: all of it happens in one second.
    job.contacts("date() { echo 1000; }\n")
    assert job("main", "check") == 0
    ended = noted(job, "check")
    assert (ended.start, ended.end, ended.running) == (1000, 1000, False)
    gate = tmp_path / "gate"
    job.begun.unlink()
    job.does(f"while [ ! -e {gate} ]; do sleep 0.05; done")
    with job.start("main", "check") as process:
        until(job.begun.exists, "the job to begin")
        begun = noted(job, "check")
        gate.touch()
        process.communicate()
    assert (begun.start, begun.end, begun.running) == (1000, 1000, True)
    assert not noted(job, "check").running
