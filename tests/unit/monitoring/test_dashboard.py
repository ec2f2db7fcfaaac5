# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboard is valid JSON without overlaps, and every query is valid and uses existing metrics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from lifeboat.metrics.catalogue import METRICS
from support.monitoring import dashboard, metrics_in, queries, run

WIDTH = 24
PANELS: List[Dict[str, Any]] = dashboard()["panels"]


def cells(panel: Dict[str, Any]) -> List[Tuple[int, int]]:
    """The cells of the grid that a panel covers."""
    at = panel["gridPos"]
    return [(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])]


def test_grafanas_own_models_read_it_back_whole() -> None:
    models = pytest.importorskip("grafana_foundation_sdk.models.dashboard", reason="grafana-foundation-sdk is absent")
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins

    register_default_plugins()
    back = json.loads(JSONEncoder(sort_keys=True).encode(models.Dashboard.from_json(dashboard())))
    assert lost(dashboard(), back) == []


def lost(ours: Any, theirs: Any, path: str = "") -> List[str]:
    """Parts of ours that are missing or different in theirs; they may add defaults."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [word for key in ours for word in lost(ours[key], theirs.get(key), f"{path}/{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [word for n, (a, b) in enumerate(zip(ours, theirs)) for word in lost(a, b, f"{path}/{n}")]
    return [] if ours == theirs else [f"{path}: {ours!r} became {theirs!r}"]


def test_no_panels_overlap_or_leave_the_grid() -> None:
    every = [cell for panel in PANELS for cell in cells(panel)]
    assert len(every) == len(set(every)) > len(PANELS)
    assert all(0 <= x < WIDTH for x, _y in every)


def test_panels_are_distinguishable() -> None:
    numbers = [panel["id"] for panel in PANELS]
    titles = [panel["title"] for panel in PANELS]
    assert len(set(numbers)) == len(numbers) and len(set(titles)) == len(titles)
    assert PANELS[0]["type"] == "row" and PANELS[0]["title"] == "Can we restore now?"


def test_every_query_is_of_metrics_that_exist() -> None:
    known = {metric.full_name for metric in METRICS.values()}
    for panel in PANELS:
        for query in queries(panel):
            assert metrics_in(query) and metrics_in(query) <= known, query
            assert 'cluster="$cluster"' in query or "exporter" in query


def test_every_metric_is_shown_or_said_to_be_elsewhere() -> None:
    shown = {name for panel in PANELS for query in queries(panel) for name in metrics_in(query)}
    elsewhere = {
        # Of alerts, or what another panel shows in a better form.
        "lifeboat_repository_required", "lifeboat_repository_read_timestamp_seconds", "lifeboat_build_info",
        "lifeboat_backup_previous_stored_bytes", "lifeboat_wal_newest_object_timestamp_seconds",
        "lifeboat_job_last_start_timestamp_seconds", "lifeboat_job_last_end_timestamp_seconds",
        "lifeboat_job_interval_seconds", "lifeboat_job_scheduled_timestamp_seconds",
        "lifeboat_wal_last_archived_timestamp_seconds", "lifeboat_wal_backlog_files", "lifeboat_server_in_recovery",
        "lifeboat_exporter_unusable_configurations", "lifeboat_leader_epoch",
        "lifeboat_leader_deposed",
    }  # fmt: skip
    assert shown.isdisjoint(elsewhere)
    assert shown | elsewhere == {metric.full_name for metric in METRICS.values()}


def test_prometheus_accepts_every_query(tmp_path: Path) -> None:
    given = [query.replace("$cluster", "shop") for panel in PANELS for query in queries(panel)]
    rules = [{"record": f"dashboard:query{n}", "expr": query} for n, query in enumerate(given)]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(given)} rules found" in run("promtool", "check", "rules", path)
