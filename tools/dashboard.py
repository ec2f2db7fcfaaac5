# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate monitoring/dashboard.json, a dashboard for Grafana; ``--check`` only compares."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

from generated import ROOT, settle

PAGE = ROOT / "monitoring/dashboard.json"
WIDTH = 24  # Grafana's grid
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
C = 'cluster="$cluster"'
GREEN, YELLOW, RED = "green", "yellow", "red"
Steps = Tuple[Tuple[float, str], ...]
BAD: Steps = ((0, GREEN), (1, RED))
GOOD: Steps = ((0, RED), (1, GREEN))
SHARE: Steps = ((0, GREEN), (0.8, YELLOW), (1, RED))
YES_NO = ((0, ("NO", RED)), (1, ("YES", GREEN)))


@dataclass(frozen=True)
class Panel:
    """One panel: queries with their legends. ``steps``: colors by minimum value; ``words``: texts for values."""

    title: str
    kind: str
    queries: Tuple[Tuple[str, str], ...]
    unit: str = "short"
    width: int = 8
    height: int = 7
    steps: Steps = ((0, GREEN),)
    words: Tuple[Tuple[int, Tuple[str, str]], ...] = ()
    text: str = ""


def stat(title: str, query: str, legend: str, unit: str = "short", steps: Steps = ((0, GREEN),), **more: Any) -> Panel:
    return Panel(title, "stat", ((query, legend),), unit, steps=steps, height=more.pop("height", 5), **more)


def graph(title: str, *queries: Tuple[str, str], unit: str = "short", **more: Any) -> Panel:
    return Panel(title, "timeseries", queries, unit, **more)


def of(function: str, by: str, metric: str) -> str:
    """A metric of the cluster, grouped by these labels."""
    return f"{function} by ({by}) (lifeboat_{metric}{{{C}}})"


def promised(objective: str) -> str:
    return f'min(lifeboat_objective_seconds{{{C},objective="{objective}"}})'


def age(metric: str, by: str) -> str:
    return f"time() - {of('max', by, metric)}"


def used(measured: str, objective: str) -> str:
    """The used fraction of an objective; 1 is all of it."""
    return f"max({measured}) / {promised(objective)}"


RESTORABLE = (
    of("max", "repository", "repository_up")
    + f' * on (repository) (max by (repository) (lifeboat_wal_missing_segments{{{C},severs="latest"}}) == bool 0)'
    f' * on (repository) (sum by (repository) (lifeboat_backups{{{C},state="whole"}}) > bool 0)'
)

FREE, QUOTA = f"lifeboat_repository_free_bytes{{{C}}}", f"lifeboat_repository_quota_bytes{{{C}}}"
FAILURES = f"sum by (instance) (increase(lifeboat_wal_archive_failures_total{{{C}}}[1h]))"
SKIPPED = f"max by (instance, job_name) (increase(lifeboat_job_skipped_total{{{C}}}[1d]))"
UNDELIVERED = f"max by (instance, channel) (increase(lifeboat_notification_failures_total{{{C}}}[1h]))"
REFRESHED = "time() - max by (instance) (lifeboat_exporter_refresh_timestamp_seconds)"

DRILLED = of("min", "repository", "drill_last_passed")


def drilled(title: str, name: str) -> Panel:
    """The results of the newest drill, beside its objective."""
    measured = of("max", "repository", f"drill_last_{name}_seconds"), "{{repository}}"
    return graph(title, measured, (promised(name), "promised"), unit="s", width=12)


ROWS: Dict[str, List[Panel]] = {
    "Can we restore now?": [
        stat(
            "Restorable to now",
            RESTORABLE,
            "{{repository}}",
            steps=GOOD,
            words=YES_NO,
            text="The repository can be read, holds a whole backup, and no WAL is missing behind the newest one.",
        ),
        stat(
            "Lost if the host dies now",
            of("max", "", "wal_exposed_seconds"),
            "",
            "s",
            text="Maximum age of a commit that is in no required repository yet.",
        ),
        stat("A restore would take", of("max", "repository", "restore_estimated_seconds"), "{{repository}}", "s"),
        Panel(
            "Promises, used up",
            "bargauge",
            (
                (used(of("max", "", "wal_exposed_seconds"), "rpo"), "loss (rpo)"),
                (used(of("max", "", "restore_estimated_seconds"), "rto"), "duration (rto)"),
                (
                    used(age("backup_last_success_timestamp_seconds", "repository"), "backup_age"),
                    "age of the newest backup",
                ),
                (used(age("verification_last_timestamp_seconds", "repository"), "verify_age"), "last verification"),
            ),
            "percentunit",
            12,
            7,
            SHARE,
            text="Of the worst repository. Over 100 %, a promise is broken.",
        ),
        stat(
            "Reaches back",
            age("window_start_timestamp_seconds", "repository"),
            "{{repository}}",
            "s",
            width=6,
            height=7,
        ),
        stat(
            "Last proven",
            age("restore_test_last_timestamp_seconds", "repository"),
            "{{repository}}",
            "s",
            width=6,
            height=7,
        ),
    ],
    "Backups": [
        graph(
            "Age of the newest backup",
            (age("backup_last_success_timestamp_seconds", "repository"), "{{repository}}"),
            (promised("backup_age"), "promised"),
            unit="s",
        ),
        graph(
            "Stored size of the last backup",
            (of("max", "repository, type", "backup_last_stored_bytes"), "{{repository}} {{type}}"),
            unit="bytes",
        ),
        graph(
            "Duration of the last backup",
            (of("max", "repository, type", "backup_last_duration_seconds"), "{{repository}} {{type}}"),
            unit="s",
        ),
        graph(
            "Number of backups", (of("max", "repository, type, state", "backups"), "{{repository}} {{type}} {{state}}")
        ),
        graph(
            "Restored size",
            (of("max", "repository, type", "backup_last_restored_bytes"), "{{repository}} {{type}}"),
            unit="bytes",
        ),
        stat(
            "The newest backup stays locked for",
            of("max", "repository", "lock_until_timestamp_seconds") + " - time()",
            "{{repository}}",
            "s",
            ((0, RED), (86400, GREEN)),
            height=7,
        ),
    ],
    "WAL": [
        graph(
            "Age of the oldest exposed commit",
            (of("max", "", "wal_exposed_seconds"), "exposed"),
            (promised("rpo"), "promised"),
            unit="s",
        ),
        graph("Waits to be archived", (of("max", "instance", "wal_backlog_bytes"), "{{instance}}"), unit="bytes"),
        graph("Free where pg_wal lies", (of("min", "instance", "pg_wal_free_bytes"), "{{instance}}"), unit="bytes"),
        graph("Failed runs of archive_command in an hour", (FAILURES, "{{instance}}")),
        graph(
            "Stream and slot",
            (of("max", "instance", "stream_lag_bytes"), "{{instance}} not received"),
            (of("max", "instance", "slot_retained_bytes"), "{{instance}} kept by the slot"),
            unit="bytes",
        ),
        graph("Lag of standbys", (of("max", "instance", "standby_lag_seconds"), "{{instance}}"), unit="s"),
        stat(
            "Missing segments",
            of("max", "repository, severs", "wal_missing_segments"),
            "{{repository}} {{severs}}",
            steps=BAD,
        ),
        stat("Agent", of("min", "instance", "wal_agent_up"), "{{instance}}", steps=GOOD, words=YES_NO),
        stat("Stream", of("min", "instance", "stream_up"), "{{instance}}", steps=GOOD, words=YES_NO),
        stat("Newest piece, ago", age("stream_newest_piece_timestamp_seconds", "repository"), "{{repository}}", "s"),
    ],
    "Repositories": [
        stat("Readable", of("min", "repository", "repository_up"), "{{repository}}", steps=GOOD, words=YES_NO),
        stat("Used", f"max by (repository) (1 - {FREE} / {QUOTA})", "{{repository}}", "percentunit", SHARE),
        stat(
            "Set apart",
            of("max", "repository", "repository_set_apart_objects"),
            "{{repository}}",
            steps=BAD,
            text="Objects that do not count: damaged, implausible or foreign.",
        ),
        stat("Lacks", of("max", "repository", "repository_lag_bytes"), "{{repository}}", "bytes"),
        stat("Contradicts another", of("max", "repository", "repository_conflicts"), "{{repository}}", steps=BAD),
        stat(
            "Retention ran, ago", age("retention_last_success_timestamp_seconds", "repository"), "{{repository}}", "s"
        ),
        graph("Stored", (of("max", "repository, kind", "repository_bytes"), "{{repository}} {{kind}}"), unit="bytes"),
        graph("Objects", (of("max", "repository, kind", "repository_objects"), "{{repository}} {{kind}}")),
        graph(
            "Behind now",
            (age("window_end_timestamp_seconds", "repository"), "{{repository}}"),
            unit="s",
            text="An idle server writes nothing that could be restored: then this grows, and nothing is lost.",
        ),
    ],
    "Proof": [
        stat("Read back", age("verification_last_timestamp_seconds", "repository"), "{{repository}} ago", "s", width=6),
        stat("Damaged", of("max", "repository", "verification_damaged_objects"), "{{repository}}", steps=BAD, width=6),
        stat(
            "Last restore test passed",
            of("min", "repository", "restore_test_last_proven"),
            "{{repository}}",
            steps=GOOD,
            words=YES_NO,
            width=6,
        ),
        stat(
            "Faults of the audit trail", of("max", "repository", "audit_faults"), "{{repository}}", steps=BAD, width=6
        ),
        stat("Drill passed", DRILLED, "{{repository}}", steps=GOOD, words=YES_NO, width=6),
        stat("Drilled", age("drill_last_success_timestamp_seconds", "repository"), "{{repository}} ago", "s", width=6),
        stat("Lost in the drill", of("max", "repository", "drill_last_lost_transactions"), "{{repository}}", width=6),
        stat(
            "The last restore test took",
            of("max", "repository", "restore_test_last_duration_seconds"),
            "{{repository}}",
            "s",
            width=6,
        ),
        drilled("Time to recover in drills", "rto"),
        drilled("Data lost in drills", "rpo"),
    ],
    "File sets, dumps, logs": [
        stat(
            "File sets, stored ago",
            age("file_set_last_success_timestamp_seconds", "repository, file_set"),
            "{{file_set}} in {{repository}}",
            "s",
        ),
        stat(
            "Dumps, made ago",
            age("dump_last_success_timestamp_seconds", "repository, database"),
            "{{database}} in {{repository}}",
            "s",
        ),
        stat("Logs, shipped ago", age("log_last_shipped_timestamp_seconds", "stream"), "{{stream}}", "s"),
    ],
    "Jobs and hosts": [
        stat(
            "Last exit status",
            of("max", "instance, job_name", "job_last_exit_status"),
            "{{job_name}} {{instance}}",
            steps=((0, GREEN), (1, RED), (10, YELLOW), (11, RED)),
            width=12,
        ),
        stat(
            "Last success, ago",
            age("job_last_success_timestamp_seconds", "instance, job_name"),
            "{{job_name}} {{instance}}",
            "s",
            width=12,
        ),
        graph("Runs", (of("max", "instance, job_name", "job_running"), "{{job_name}} {{instance}}")),
        graph("Skipped starts in a day", (SKIPPED, "{{job_name}} {{instance}}")),
        graph(
            "Answers of lifeboat check",
            (of("max", "check, repository", "check_status") + " > 0", "{{check}} {{repository}}"),
            text="1 is a warning, 2 is critical.",
        ),
        stat(
            "Last notice delivered, ago",
            age("notification_last_success_timestamp_seconds", "instance, channel"),
            "{{channel}} {{instance}}",
            "s",
        ),
        graph("Notices not delivered in an hour", (UNDELIVERED, "{{channel}} {{instance}}")),
        stat("PostgreSQL answers", of("min", "instance", "server_up"), "{{instance}}", steps=GOOD, words=YES_NO),
        stat(
            "Hosts reported, ago",
            age("metrics_timestamp_seconds", "instance"),
            "{{instance}}",
            "s",
            ((0, GREEN), (600, RED)),
        ),
        stat("Exporters read, ago", REFRESHED, "{{instance}}", "s", ((0, GREEN), (1800, RED))),
    ],
    "Incident": [
        stat(
            "Left of the objective",
            of("min", "incident", "incident_remaining_seconds"),
            "{{incident}}",
            "s",
            ((-1e9, RED), (0, GREEN)),
            text="Of each open incident. There is nothing to be seen while none is open.",
        ),
        stat(
            "Somebody works on it",
            of("max", "incident", "incident_acknowledged"),
            "{{incident}}",
            steps=GOOD,
            words=YES_NO,
        ),
        stat("Last update, ago", age("incident_last_update_timestamp_seconds", "incident"), "{{incident}}", "s"),
        stat("Open for", age("incident_started_timestamp_seconds", "incident"), "{{incident}}", "s"),
    ],
}


def model(panel: Panel, number: int, x: int, y: int) -> Dict[str, Any]:
    """A panel as Grafana stores it."""
    defaults: Dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        # The first step has no lower bound.
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value if n else None, "color": color} for n, (value, color) in enumerate(panel.steps)],
        },
        "mappings": [
            {"type": "value", "options": {str(value): {"text": text, "color": color, "index": n}}}
            for n, (value, (text, color)) in enumerate(panel.words)
        ],
    }
    if panel.kind != "timeseries":
        defaults["min"] = 0
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "expr": expr,
                "legendFormat": legend or "__auto",
                "instant": panel.kind != "timeseries",
                "range": panel.kind == "timeseries",
            }
            for n, (expr, legend) in enumerate(panel.queries)
        ],
    }


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
OPTIONS: Dict[str, Dict[str, Any]] = {
    "stat": {
        "reduceOptions": _LAST, "colorMode": "background", "graphMode": "none", "textMode": "value_and_name",
        "justifyMode": "auto", "orientation": "auto",
    },
    "bargauge": {"reduceOptions": _LAST, "displayMode": "basic", "orientation": "horizontal", "showUnfilled": True},
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
}  # fmt: skip


def panels() -> List[Dict[str, Any]]:
    """Every row and its panels, from left to right, in lines as high as their tallest panel."""
    out: List[Dict[str, Any]] = []
    y = 0
    for title, row in ROWS.items():
        grid = {"x": 0, "y": y, "w": WIDTH, "h": 1}
        out.append(
            {"id": len(out) + 1, "type": "row", "title": title, "collapsed": False, "gridPos": grid, "panels": []}
        )
        x, y, high = 0, y + 1, 0
        for panel in row:
            if x + panel.width > WIDTH:
                x, y, high = 0, y + high, 0
            out.append(model(panel, len(out) + 1, x, y))
            x, high = x + panel.width, max(high, panel.height)
        y += high
    return out


def dashboard() -> Dict[str, Any]:
    """The whole dashboard."""
    variables = [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {}},
        {
            "name": "cluster", "label": "Cluster", "type": "query", "datasource": SOURCE, "refresh": 2, "sort": 1,
            "query": {"query": "label_values(lifeboat_repository_up, cluster)", "refId": "cluster"}, "current": {},
        },
    ]  # fmt: skip
    return {
        "uid": "lifeboat",
        "title": "Lifeboat",
        "description": "Generated by tools/dashboard.py.",
        "tags": ["lifeboat", "postgresql", "backup"],
        "schemaVersion": 39,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "utc",
        "templating": {"list": variables},
        "annotations": {"list": []},
        "links": [],
        "panels": panels(),
    }


if __name__ == "__main__":
    sys.exit(settle({PAGE: json.dumps(dashboard(), indent=2) + "\n"}))
