# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Alertmanager with the example's inhibition: what is told, and what its cause stands for."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
import yaml
from support.monitoring import MONITORING, program, read, serving
from support.processes import free_port, until

pytestmark = pytest.mark.integration

Labels = Dict[str, str]


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The example without its receivers' addresses: nothing is sent."""
    place: Path = tmp_path_factory.mktemp("alertmanager")
    config = yaml.safe_load((MONITORING / "alertmanager.yml").read_text(encoding="utf-8"))
    config["receivers"] = [{"name": receiver["name"]} for receiver in config["receivers"]]
    (place / "alertmanager.yml").write_text(yaml.safe_dump(config))
    url = f"http://127.0.0.1:{free_port()}"
    argv = [
        program("prometheus-alertmanager"), f"--config.file={place / 'alertmanager.yml'}",
        f"--storage.path={place / 'data'}", f"--web.listen-address={url[7:]}", "--cluster.listen-address=",
    ]  # fmt: skip
    with serving(argv, f"{url}/-/ready", place / "log"):
        yield url


def post(url: str, alerts: List[Labels]) -> None:
    body = json.dumps([{"labels": labels} for labels in alerts]).encode()
    request = urllib.request.Request(f"{url}/api/v2/alerts", body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=30).close()


def states(url: str, cluster: str) -> Dict[Tuple[str, str, str], str]:
    """The state of each alert of a cluster, by its name, its repository or instance, and its severity."""
    found = [a for a in json.loads(read(f"{url}/api/v2/alerts")) if a["labels"].get("cluster") == cluster]
    return {where(a["labels"]): a["status"]["state"] for a in found}


def settles(url: str, cluster: str, wanted: Dict[Tuple[str, str, str], str]) -> None:
    """The alerts of a cluster come to exactly these states."""
    until(lambda: states(url, cluster) == wanted, "inhibition", lambda: str(states(url, cluster)))


def where(labels: Labels) -> Tuple[str, str, str]:
    return labels["alertname"], labels.get("repository") or labels.get("instance", ""), labels["severity"]


def alert(name: str, severity: str, cluster: str, **labels: str) -> Labels:
    return {"alertname": name, "severity": severity, "cluster": cluster, **labels}


def test_a_repository_that_is_down_stands_for_what_is_overdue_in_it(alertmanager: str) -> None:
    c = "repository"
    post(
        alertmanager,
        [
            alert("RepositoryDown", "critical", c, repository="near"),
            alert("BackupOverdue", "warning", c, repository="near"),
            alert("BackupOverdue", "critical", c, repository="far"),
            alert("BackupOverdue", "warning", c, repository="far"),
            alert("BackupOverdue", "warning", c, repository="third"),
            alert("BackupMissing", "critical", c, repository="far"),
            alert("CommitsExposed", "critical", c),
        ],
    )
    wanted = {
        ("RepositoryDown", "near", "critical"): "active",
        ("BackupOverdue", "near", "warning"): "suppressed",
        ("BackupOverdue", "far", "critical"): "active",
        ("BackupOverdue", "far", "warning"): "suppressed",
        ("BackupOverdue", "third", "warning"): "active",
        ("BackupMissing", "far", "critical"): "active",
        ("CommitsExposed", "", "critical"): "active",
    }
    settles(alertmanager, c, wanted)


def test_a_silent_host_stands_for_its_own_alerts_alone(alertmanager: str) -> None:
    c = "host"
    post(
        alertmanager,
        [
            alert("HostSilent", "critical", c, instance="db2"),
            alert("JobFailed", "warning", c, instance="db2", job_name="full"),
            alert("ServerDown", "critical", c, instance="db1"),
            alert("StreamDown", "warning", c, instance="db1"),
            alert("WalDiskFilling", "critical", c, instance="db1"),
            # The primary's, whichever host is silent.
            alert("CommitsExposed", "critical", c),
        ],
    )
    wanted = {
        ("HostSilent", "db2", "critical"): "active",
        ("JobFailed", "db2", "warning"): "suppressed",
        ("ServerDown", "db1", "critical"): "active",
        ("StreamDown", "db1", "warning"): "suppressed",
        ("WalDiskFilling", "db1", "critical"): "active",
        ("CommitsExposed", "", "critical"): "active",
    }
    settles(alertmanager, c, wanted)


def test_without_a_backup_nothing_else_is_told_of_what_needs_one(alertmanager: str) -> None:
    c = "new"
    post(
        alertmanager,
        [
            alert("BackupMissing", "critical", c, repository="near"),
            alert("VerificationOverdue", "warning", c, repository="near"),
            alert("VerificationOverdue", "warning", c, repository="far"),
            alert("RestoreTestOverdue", "warning", c),
            alert("FileSetOverdue", "warning", c, repository="near", file_set="config"),
        ],
    )
    wanted = {
        ("BackupMissing", "near", "critical"): "active",
        ("VerificationOverdue", "near", "warning"): "suppressed",
        ("VerificationOverdue", "far", "warning"): "active",
        ("RestoreTestOverdue", "", "warning"): "suppressed",
        ("FileSetOverdue", "near", "warning"): "active",
    }
    settles(alertmanager, c, wanted)


def test_without_an_exporter_only_what_nobody_reports_is_left_out(alertmanager: str) -> None:
    c = "unread"
    missing = [alert("BackupMissing", "critical", c), alert("BackupMissing", "critical", c, repository="near")]
    post(alertmanager, [{"alertname": "ExporterDown", "severity": "critical", "instance": "mon"}, *missing])
    wanted = {("BackupMissing", "", "critical"): "suppressed", ("BackupMissing", "near", "critical"): "active"}
    settles(alertmanager, c, wanted)


def test_an_open_incident_stands_for_what_fails_on_the_hosts_but_not_for_what_gets_worse(alertmanager: str) -> None:
    c = "disaster"
    post(
        alertmanager,
        [
            alert("IncidentOpen", "warning", c, incident="20261122T020000Z-a"),
            alert("IncidentUnacknowledged", "critical", c, incident="20261122T020000Z-a"),
            alert("HostSilent", "critical", c, instance="db1"),
            alert("ServerDown", "critical", c, instance="db2"),
            alert("JobFailed", "warning", c, instance="db2", job_name="full"),
            alert("CommitsExposed", "critical", c),
            alert("WalDiskFilling", "critical", c, instance="db2"),
            alert("BackupMissing", "critical", c, repository="near"),
            alert("HostSilent", "critical", "elsewhere", instance="db9"),
        ],
    )
    wanted = {
        ("IncidentOpen", "", "warning"): "active",
        ("IncidentUnacknowledged", "", "critical"): "active",
        ("HostSilent", "db1", "critical"): "suppressed",
        ("ServerDown", "db2", "critical"): "suppressed",
        ("JobFailed", "db2", "warning"): "suppressed",
        ("CommitsExposed", "", "critical"): "active",
        ("WalDiskFilling", "db2", "critical"): "active",
        ("BackupMissing", "near", "critical"): "active",
    }
    settles(alertmanager, c, wanted)
    settles(alertmanager, "elsewhere", {("HostSilent", "db9", "critical"): "active"})
