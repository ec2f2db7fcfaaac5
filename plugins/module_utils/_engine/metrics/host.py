# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics of the host: the server, its WAL, the jobs, and the results of ``lifeboat check``."""

from __future__ import annotations

from datetime import datetime
from typing import Mapping, Optional, Sequence

from ..base.version import VERSION
from ..check import SEVERITIES, Check, ServerState, worst
from ..config.load import Config
from ..notify import Delivery
from .jobs import Job, job_samples
from .samples import Samples
from .stored import objective_samples


def host_samples(
    config: Config,
    state: ServerState,
    checks: Sequence[Check],
    jobs: Mapping[str, Job],
    deliveries: Mapping[str, Delivery],
    now: datetime,
) -> Samples:
    """The samples of a cluster on its host. Pure."""
    samples = Samples(cluster=config.cluster)
    _server(samples, state)
    _exposed(samples, config, state, checks, now)
    for check, repository in {(item.check, item.repository) for item in checks}:
        status = worst(item.status for item in checks if (item.check, item.repository) == (check, repository))
        samples.add("check_status", SEVERITIES.index(status), check=check, repository=repository)
    _leadership(samples, [c for c in checks if c.check == "leadership"])
    behind = [v for v in (state.lag, *(c.value for c in checks if c.check == "standby")) if v is not None]
    samples.add("standby_lag_seconds", max(behind, default=None))
    job_samples(samples, jobs)
    # A channel that was never used has 0 failures, so that its series exists before the first one.
    for channel in {known.name for known in config.notifications.channels} | set(deliveries):
        delivery = deliveries.get(channel, Delivery())
        samples.add("notification_last_success_timestamp_seconds", delivery.last_success, channel=channel)
        samples.add("notification_failures_total", delivery.failures, channel=channel)
    samples.merge(objective_samples(config))
    samples.add("build_info", 1, version=VERSION)
    samples.add("metrics_timestamp_seconds", now)
    return samples


def _leadership(samples: Samples, answers: Sequence[Check]) -> None:
    """Only the check that names the leader has a value; it is critical for a deposed primary."""
    samples.add("leader_epoch", next((c.value for c in answers), None))
    told = [c.status == SEVERITIES[-1] for c in answers if c.value is not None]
    samples.add("leader_deposed", any(told) if told else None)


def _server(samples: Samples, state: ServerState) -> None:
    samples.add("server_up", state.facts is not None)
    if state.facts:
        samples.add("server_in_recovery", state.facts.in_recovery)
    if state.archiver:
        samples.add("wal_archive_failures_total", state.archiver.failed_count)
        if state.archiver.last_archived:
            samples.add("wal_last_archived_timestamp_seconds", state.archiver.last_archived_at)
    if state.backlog:
        samples.add("wal_backlog_files", state.backlog.count)
        samples.add("wal_backlog_bytes", state.backlog.size)
    samples.add("pg_wal_free_bytes", state.free)
    samples.add("wal_agent_up", state.agent)
    if state.stream:
        samples.add("stream_up", state.stream.running)
        samples.add("stream_lag_bytes", state.stream.behind)
        samples.add("slot_retained_bytes", state.stream.retained)


def _exposed(samples: Samples, config: Config, state: ServerState, checks: Sequence[Check], now: datetime) -> None:
    """By the required repository that is furthest behind, or by the server if none can be read."""
    if state.facts and state.facts.in_recovery:
        return
    required = {entry.name for entry in config.repositories if entry.required}
    told = {item.repository: item.value for item in checks if item.check == "window" and item.value is not None}
    seconds: Optional[float] = max((told[name] for name in required & set(told)), default=None)
    if required - set(told) and state.archiver and state.archiver.last_archived:
        since = (now - state.archiver.last_archived_at).total_seconds()
        waited = since if state.wait is None else min(since, state.wait)
        seconds = waited if seconds is None else max(seconds, waited)
    samples.add("wal_exposed_seconds", seconds)
