# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The weekly job announces the next drill in time, by a clock that is moved, and no store that is away."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.config.load import DirectoryOptions
from support.clocks import wrong_clock
from support.drills import write_report
from support.jobs import Job
from support.postgres import LIBRARY, entry

pytestmark = pytest.mark.integration

DAY = 86400
REAL = f'PYTHONPATH={shlex.quote(str(LIBRARY))} exec {shlex.quote(sys.executable)} -m lifeboat.run "$@"'


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A cluster with a directory as its repository, and the job of its host."""
    store = tmp_path / "store"
    store.mkdir()
    made = Job(tmp_path)
    config: Dict[str, Any] = {
        "cluster": "main",
        "repositories": [entry(0, DirectoryOptions(str(store)))],
        "incidents": {"contacts": [{"name": "Ann", "roles": ["commander"], "mail": "ann@example.com"}]},
        "audit": {"file": "", "syslog": ""},
    }
    (made.etc / "main.yml").write_text(json.dumps(config))
    made.does(REAL)
    return made


def keep(job: Job, report: Path, scenario: str, **more: Any) -> None:
    write_report(report, **more)
    words = ["--config", str(job.etc / "main.yml"), "drill", "keep", "--report", str(report), "--scenario", scenario]
    subprocess.run(
        [sys.executable, "-m", "lifeboat.run", *words, "--begin"], check=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": str(LIBRARY)},
    )  # fmt: skip


def test_it_is_announced_a_week_before_and_until_it_is_kept(job: Job, tmp_path: Path) -> None:
    keep(job, tmp_path / "first", "server_deletion")
    assert job("main", "drill_reminder") == 0 and job.notified() == []
    # A Monday more than two weeks before, then each Monday until one was kept.
    statuses = [
        job("main", "drill_reminder", environment=wrong_clock(tmp_path, days * DAY)) for days in (70, 77, 84, 91, 98)
    ]
    assert statuses == [0, 10, 10, 10, 10]
    told = job.told.read_text().splitlines()
    assert [line.split()[0] for line in told] == ["10"] * 4
    assert "next drill of cluster main: ransomware, due on" in told[0] and "in 14 days" in told[0]
    assert "Ann (commander)" in told[0] and "LATE by 7 days" in told[-1]
    # One that failed is a turn, but still due; one that passed moves the date.
    keep(job, tmp_path / "second", "ransomware", passed=False)
    assert job("main", "drill_reminder", environment=wrong_clock(tmp_path, 98 * DAY)) == 10
    keep(job, tmp_path / "third", "corruption")
    assert job("main", "drill_reminder") == 0 and job.notified()[-1] == "0"


def test_without_a_drill_it_is_due_and_without_a_store_it_fails(job: Job, tmp_path: Path) -> None:
    (tmp_path / "store").rename(tmp_path / "away")
    assert job("main", "drill_reminder") == 3
    (tmp_path / "away").rename(tmp_path / "store")
    assert job("main", "drill_reminder") == 10
    assert "due now" in job.told.read_text()
