# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every metric: its name, type, labels, unit and meaning. docs/metrics.md is generated from this file.

Names follow "Metric and label naming" of the Prometheus documentation: base units, the unit as suffix, ``_total`` for
counters. No label has unbounded values: never the label of a backup, never the name of a WAL file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Tuple

PREFIX = "lifeboat_"
#: The source of a metric: the repository (which outlives the host), the host, or the program that exposes it.
REPOSITORY, HOST, PROGRAM = "repository", "host", "program"
_STORED, _HERE = ("cluster", "repository"), ("cluster",)


@dataclass(frozen=True)
class Metric:
    """One metric. ``name`` is without the prefix; ``kind`` is ``gauge`` or ``counter``."""

    name: str
    help: str
    labels: Tuple[str, ...]
    source: str
    kind: str = "gauge"

    @property
    def full_name(self) -> str:
        """The name in Prometheus."""
        return PREFIX + self.name


def _stored(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, text, (*_STORED, *labels), REPOSITORY)


def _here(name: str, text: str, *labels: str, kind: str = "gauge") -> Metric:
    return Metric(name, text, (*_HERE, *labels), HOST, kind)


_ALL = (
    _stored("repository_up", "Whether the repository could be read: 1 or 0."),
    _stored("repository_required", "Whether WAL counts as archived only once this repository has it: 1 or 0."),
    _stored("repository_read_timestamp_seconds", "When the repository was last read successfully."),
    _stored("repository_bytes", "Bytes stored, by kind of object.", "kind"),
    _stored("repository_objects", "Objects stored, by kind.", "kind"),
    _stored("repository_quota_bytes", "Bytes that may be stored: the configured quota, or the file system's size."),
    _stored("repository_free_bytes", "Bytes left of the quota or file system."),
    _stored("repository_lag_bytes", "Bytes that another repository of the cluster has and this one lacks."),
    _stored("repository_conflicts", "Objects whose size differs from that in another repository, and must not."),
    _stored("repository_set_apart_objects", "Objects that do not count: damaged, implausible or foreign."),
    _stored("backups", "Backups by type and state: whole, broken, damaged or unfinished.", "type", "state"),
    _stored("backup_last_success_timestamp_seconds", "When the newest whole backup of each type was finished.", "type"),
    _stored("backup_last_duration_seconds", "How long that backup took.", "type"),
    _stored("backup_last_stored_bytes", "Its size in the repository, in bytes.", "type"),
    _stored("backup_previous_stored_bytes", "Size of the previous one of the same type, in bytes.", "type"),
    _stored("backup_last_restored_bytes", "Size of a cluster restored from it, in bytes.", "type"),
    _stored("window_start_timestamp_seconds", "The earliest moment on the latest timeline that can be restored."),
    _stored("window_end_timestamp_seconds", "The latest moment that can be restored."),
    _stored(
        "wal_missing_segments",
        "Missing WAL segments; severs=latest: between the newest backup and now, history: before it.",
        "severs",
    ),
    _stored("wal_newest_object_timestamp_seconds", "When the newest WAL for a restore to latest was stored."),
    _stored("stream_newest_piece_timestamp_seconds", "When the WAL stream stored the newest piece."),
    _stored("restore_estimated_seconds", "How long a restore to the latest moment would take."),
    _stored("verification_last_timestamp_seconds", "When the repository was last read back."),
    _stored("verification_damaged_objects", "Backups and WAL segments that the last verification found damaged."),
    _stored("restore_test_last_timestamp_seconds", "When a backup was last restored as a test."),
    _stored("restore_test_last_proven", "Whether that test passed: 1 or 0."),
    _stored("restore_test_last_duration_seconds", "How long that test took."),
    _stored("drill_last_success_timestamp_seconds", "When the newest drill that passed was stored."),
    _stored("drill_last_passed", "Whether the newest drill passed: 1 or 0."),
    _stored("drill_last_rto_seconds", "Recovery time of the newest drill."),
    _stored("drill_last_rpo_seconds", "Seconds of commits that the newest drill lost at the latest possible point."),
    _stored("drill_last_lost_transactions", "Acknowledged commits that the newest drill lost there."),
    _stored("lock_until_timestamp_seconds", "Until when the store locks the newest backup."),
    _stored("retention_last_success_timestamp_seconds", "When retention last removed everything that was due."),
    _stored("audit_faults", "Events of the audit trail that the last verification found missing, changed or moved."),
    _stored("file_set_last_success_timestamp_seconds", "When the newest copy of a file set was made.", "file_set"),
    _stored("dump_last_success_timestamp_seconds", "When the newest dump of a database was made.", "database"),
    _stored("log_last_shipped_timestamp_seconds", "When the newest chunk of a log was stored.", "stream"),
    _stored("incident_started_timestamp_seconds", "When an open incident began; closed ones have no sample.",
            "incident"),
    _stored("incident_acknowledged", "Whether it is acknowledged, and the last update is recent enough: 1 or 0.",
            "incident"),
    _stored("incident_last_update_timestamp_seconds", "When its last update was made, or when it was opened.",
            "incident"),
    _stored("incident_remaining_seconds", "Seconds left of the objective when it was read; negative if exceeded.",
            "incident"),
    Metric("objective_seconds", "Configured objectives: rpo, rto, window, backup_age, verify_age, drill_age.",
           ("cluster", "objective"), PROGRAM),
    _here("job_last_start_timestamp_seconds", "When a scheduled job last started.", "job_name"),
    _here("job_last_end_timestamp_seconds", "When it last ended.", "job_name"),
    _here("job_last_success_timestamp_seconds", "When it last succeeded.", "job_name"),
    _here("job_last_exit_status", "Its last exit status; 10 is a warning.", "job_name"),
    _here("job_interval_seconds", "The longest time between two of its scheduled starts.", "job_name"),
    _here("job_scheduled_timestamp_seconds", "When its current schedule was set.", "job_name"),
    _here("job_running", "Whether it runs: 1 or 0.", "job_name"),
    _here("job_skipped_total", "Starts skipped because the previous run had not ended.", "job_name", kind="counter"),
    _here("check_status", "Worst result of each check of lifeboat check: 0 ok, 1 warning, 2 critical.",
          "check", "repository"),
    _here("leader_epoch", "The current epoch of leadership, 0 before the first; only if the host has a site."),
    _here("leader_deposed", "Whether another site leads although this server is a primary: 1 or 0; only with a site."),
    _here("wal_exposed_seconds", "Maximum age of a commit that is in no required repository yet."),
    _here("wal_archive_failures_total", "Failed runs of archive_command (pg_stat_archiver).", kind="counter"),
    _here("wal_last_archived_timestamp_seconds", "When the server last archived WAL."),
    _here("wal_backlog_files", "WAL files waiting to be archived."),
    _here("wal_backlog_bytes", "Bytes of WAL waiting to be archived."),
    _here("pg_wal_free_bytes", "Free bytes of the file system of pg_wal."),
    _here("wal_agent_up", "Whether the WAL agent runs: 1 or 0."),
    _here("stream_up", "Whether the WAL stream follows the server: 1 or 0."),
    _here("stream_lag_bytes", "Bytes of WAL that the stream has not received."),
    _here("slot_retained_bytes", "Bytes of WAL that the stream's replication slot keeps on the server."),
    _here("server_up", "Whether the server responds: 1 or 0."),
    _here("server_in_recovery", "Whether the server is a standby: 1 or 0."),
    _here("standby_lag_seconds", "Seconds by which a standby's replay is behind received or stored WAL."),
    _here("notification_last_success_timestamp_seconds", "When a channel last delivered a notice.", "channel"),
    _here("notification_failures_total", "Notices that a channel did not deliver.", "channel", kind="counter"),
    Metric("exporter_refresh_timestamp_seconds", "When the exporter last read all repositories.", (), PROGRAM),
    Metric("exporter_unusable_configurations", "Configurations that the exporter cannot use.", (), PROGRAM),
    Metric("build_info", "The release of Lifeboat that exposes this.", ("version",), PROGRAM),
    Metric("metrics_timestamp_seconds", "When this file was written.", _HERE, HOST),
)  # fmt: skip

METRICS: Dict[str, Metric] = {metric.name: metric for metric in _ALL}
