# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of metrics, samples, and what the job script records."""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.metrics import METRICS, Samples, expose
from lifeboat.metrics.jobs import Job, parse_job, parse_schedule, read_jobs
from prometheus_client.parser import text_string_to_metric_families


def test_names_follow_the_conventions_of_prometheus() -> None:
    for name, metric in METRICS.items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*[a-z]", name) and metric.help.endswith(".")
        assert name.endswith("_total") == (metric.kind == "counter")
        # `job` and `instance` are the scraper's own.
        assert not {"job", "instance", "label", "segment"} & set(metric.labels)


def test_samples_are_held_against_the_catalogue() -> None:
    samples = Samples(cluster="main")
    with pytest.raises(KeyError):
        samples.add("no_such_metric", 1)
    with pytest.raises(ValueError, match="has the labels"):
        samples.add("check_status", 1, check="wal")
    with pytest.raises(ValueError, match="has the labels"):
        samples.add("server_up", 1, port="5432")
    samples.add("server_up", None)
    assert list(samples) == []


def test_moments_flags_and_counters_are_written_as_prometheus_reads_them() -> None:
    samples = Samples(cluster='a"b\\c\n')
    samples.add("wal_last_archived_timestamp_seconds", datetime(2026, 11, 22, tzinfo=timezone.utc))
    samples.add("server_up", True)
    samples.add("wal_archive_failures_total", 3)
    text = expose([samples, samples]).decode()
    found = {s.name: (s.labels, s.value) for f in text_string_to_metric_families(text) for s in f.samples}
    labels = {"cluster": 'a"b\\c\n'}
    assert found == {
        "lifeboat_wal_last_archived_timestamp_seconds": (labels, 1795305600.0),
        "lifeboat_server_up": (labels, 1.0),
        "lifeboat_wal_archive_failures_total": (labels, 3.0),
    }
    assert "# TYPE lifeboat_wal_archive_failures_total counter" in text


@given(st.text())
def test_a_note_of_a_job_is_never_an_error(text: str) -> None:
    assert isinstance(parse_job(text), Job)


def test_notes_of_jobs(tmp_path: Path) -> None:
    (tmp_path / "main:full").write_text("end=4\nsuccess=4\nstatus=0\nstart=5\nskipped=1\n")
    (tmp_path / "main2:full").write_text("start=9\n")
    (tmp_path / "main").write_text("start=9\n")
    found = read_jobs(str(tmp_path), "main")
    assert found == {"full": Job(5, 4, 4, 0, 1, running=True)}
    assert read_jobs(str(tmp_path / "none"), "main") == {}


@pytest.mark.parametrize(("text", "running"), [
    ("start=5\n", True), ("start=5\nend=5\n", False), ("end=5\nstart=5\n", True), ("end=9\nstart=5\n", True),
    ("start=9\nend=5\n", False), ("end=5\n", False), ("", False),
])  # fmt: skip
def test_a_job_runs_if_its_start_is_the_later_line(text: str, running: bool) -> None:
    assert parse_job(text).running is running


def test_the_schedule_adds_what_is_to_run(tmp_path: Path) -> None:
    (tmp_path / "main:full").write_text("start=5\nend=6\n")
    (tmp_path / "main:old").write_text("start=5\nend=6\n")
    (tmp_path / "main.schedule").write_text("# written\nfull=87300\ncheck=360\nverify=0\n9=9\nfull=x\n")
    os.utime(tmp_path / "main.schedule", (7.5, 7.5))
    assert read_jobs(str(tmp_path), "main") == {
        "full": Job(5, 6, interval=87300, scheduled=7),
        "check": Job(interval=360, scheduled=7),
        "old": Job(5, 6),
    }


@given(st.text())
def test_a_schedule_is_never_an_error(text: str) -> None:
    assert all(seconds > 0 for seconds in parse_schedule(text).values())
