# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of scheduled jobs, from two kinds of small files that root writes.

The job script records results in CLUSTER:JOB, with lines of ``name=number``. The role schedule writes CLUSTER.schedule,
with lines of ``job=seconds``: the longest time between two starts.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Dict, Mapping, Optional

from ..base.errors import UntrustedPath
from ..base.files import open_to_read
from .samples import Samples

#: The directory of both.
JOBS_DIR = "/var/lib/lifeboat/jobs"
_LINE = re.compile(r"(start|end|success|status|skipped)=([0-9]{1,18})\Z", re.ASCII)
_INTERVAL = re.compile(r"([a-z_]{1,40})=([0-9]{1,18})\Z", re.ASCII)
_MOST = 4096


@dataclass(frozen=True)
class Job:
    """Last start, end and success in seconds since the epoch, the last exit status, and the number of skipped starts.

    ``interval``: the longest time between two scheduled starts in seconds; ``scheduled``: since when.
    ``running``: it has started, but not ended.
    """

    start: Optional[int] = None
    end: Optional[int] = None
    success: Optional[int] = None
    status: Optional[int] = None
    skipped: int = 0
    interval: Optional[int] = None
    scheduled: Optional[int] = None
    running: bool = False


def parse_job(text: str) -> Job:
    """The job in these lines; invalid lines are ignored. Pure.

    The script moves a changed line to the end, so a job is running if the line of its start comes after that of its
    end. Their seconds do not show that: they may be equal, or the clock was set back.
    """
    found = [match.groups() for line in text.split("\n") if (match := _LINE.match(line))]
    order = [name for name, _number in found if name in ("start", "end")]
    running = order[-1:] == ["start"]
    return Job(**{name: int(number) for name, number in found}, running=running)


def read_jobs(directory: str, cluster: str) -> Dict[str, Job]:
    """The jobs of a cluster by name: those that have run, and those that are scheduled."""
    found: Dict[str, Job] = {}
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return found
    for name in names:
        whose, _sep, job = name.partition(":")
        if whose != cluster or not job:
            continue
        with suppress(UntrustedPath, OSError), open_to_read(os.path.join(directory, name)) as stream:
            found[job] = parse_job(stream.read(_MOST).decode("ascii", "replace"))
    with suppress(UntrustedPath, OSError), open_to_read(os.path.join(directory, f"{cluster}.schedule")) as stream:
        since = int(os.fstat(stream.fileno()).st_mtime)
        for job, interval in parse_schedule(stream.read(_MOST).decode("ascii", "replace")).items():
            found[job] = replace(found.get(job, Job()), interval=interval, scheduled=since)
    return found


def parse_schedule(text: str) -> Dict[str, int]:
    """Seconds by job; invalid lines are ignored. Pure."""
    found = [match.groups() for line in text.split("\n") if (match := _INTERVAL.match(line))]
    return {job: int(seconds) for job, seconds in found if int(seconds)}


def job_samples(samples: Samples, jobs: Mapping[str, Job]) -> None:
    """Add the samples of these jobs. Pure."""
    for name, job in jobs.items():
        samples.add("job_last_start_timestamp_seconds", job.start, job_name=name)
        samples.add("job_last_end_timestamp_seconds", job.end, job_name=name)
        samples.add("job_last_success_timestamp_seconds", job.success, job_name=name)
        samples.add("job_last_exit_status", job.status, job_name=name)
        samples.add("job_interval_seconds", job.interval, job_name=name)
        samples.add("job_scheduled_timestamp_seconds", job.scheduled, job_name=name)
        samples.add("job_running", job.running, job_name=name)
        samples.add("job_skipped_total", job.skipped, job_name=name)
