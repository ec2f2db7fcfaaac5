# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Prometheus scrapes the host and the exporter of a real cluster: the dashboard's queries, rules and alerts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List, Set

import pytest
import yaml
from lifeboat.config.load import DirectoryOptions
from lifeboat.metrics import expose
from lifeboat.metrics.catalogue import METRICS
from lifeboat.metrics.samples import Samples
from support.installations import Installation
from support.monitoring import MONITORING, ask, dashboard, program, queries, read, rules, run, serving
from support.postgres import Site, Sites
from support.processes import free_port, until

pytestmark = pytest.mark.integration


@pytest.fixture
def told(sites: Sites, a_postgres: Installation, tmp_path: Path) -> Site:
    """A cluster with a backup, a dump, a file set and a restore test, whose host has written its metrics."""
    (tmp_path / "store").mkdir()
    site = sites(a_postgres, DirectoryOptions(str(tmp_path / "store")), fresh=True)
    (tmp_path / "app.conf").write_text("colour = blue\n")
    (tmp_path / "fleet").mkdir()
    config = site.write(
        tmp_path / "fleet/main.yml",
        objectives={"rpo": 300, "rto": 3600, "window": 1, "max_backup_age": 90000, "max_verify_age": 35},
        file_sets=[{"name": "app", "paths": [str(tmp_path / "app.conf")]}],
    )
    for words in (
        "backup",
        "backup --type full",
        "wal-prove",
        "dump create postgres",
        "files backup",
        "verify --restore",
    ):
        site.lifeboat(*words.split(), config_file=config)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/main:full").write_text("start=1000\nend=1010\nsuccess=900\nstatus=3\nskipped=2\n")
    (tmp_path / "jobs/main:check").write_text("start=2000\nend=2010\nsuccess=2010\nstatus=10\nskipped=0\n")
    (tmp_path / "jobs/main.schedule").write_text("check=360\n")
    (tmp_path / "textfile").mkdir()
    output = tmp_path / "textfile/lifeboat-main.prom"
    site.lifeboat("metrics", "--jobs-dir", str(tmp_path / "jobs"), "--output", str(output), config_file=config)
    return site


def missing(texts: List[str]) -> Samples:
    """Samples of all metrics that this cluster does not have, such as those of a standby, a stream or a quota."""
    samples = Samples(cluster="main")
    for name, metric in METRICS.items():
        if not any(f"\n{metric.full_name}{{" in text or f"\n{metric.full_name} " in text for text in texts):
            own = {label: "repo0" if label == "repository" else "x" for label in metric.labels if label != "cluster"}
            samples.add(name, 1, **own)
    return samples


def test_a_real_prometheus_understands_all_of_it(told: Site, tmp_path: Path) -> None:
    host, central = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    own = f"127.0.0.1:{free_port()}"
    node = [
        program("prometheus-node-exporter"), "--collector.disable-defaults", "--collector.textfile",
        f"--collector.textfile.directory={tmp_path / 'textfile'}", f"--web.listen-address={host}",
    ]  # fmt: skip
    exporter = [told.command, "exporter", "--config-dir", tmp_path / "fleet", "--listen", central, "--interval", "1"]
    config = tmp_path / "prometheus.yml"
    config.write_text(
        yaml.safe_dump(
            {
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": [f"{MONITORING}/rules/*.yml"],
                "scrape_configs": [
                    {"job_name": "node", "static_configs": [{"targets": [host]}]},
                    {"job_name": "lifeboat", "static_configs": [{"targets": [central]}]},
                ],
            }
        )
    )
    prometheus = [
        program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={own}",
    ]  # fmt: skip
    with (
        serving(node, f"http://{host}/metrics", tmp_path / "node.log"),
        serving(exporter, f"http://{central}/healthz", tmp_path / "exporter.log"),
    ):
        texts = [(tmp_path / "textfile/lifeboat-main.prom").read_text(), read(f"http://{central}/metrics")]
        for text in texts:
            run("promtool", "check", "metrics", given=text)
        (tmp_path / "textfile/more.prom").write_bytes(expose([missing(texts)]))
        with serving(prometheus, f"http://{own}/-/ready", tmp_path / "prometheus.log") as ready:
            url = ready[: -len("/-/ready")]
            until(lambda: fired(url, "JobFailed"), "the rules to be evaluated")
            (failed,) = fired(url, "JobFailed")
            assert failed["annotations"]["summary"] == f"The job full of cluster main on {host} failed with status 3."
            assert fired(url, "Watchdog")
            until(
                lambda: {rule["health"] for rule in rules_of(url)} == {"ok"}, "every rule", lambda: str(rules_of(url))
            )
            assert len(rules_of(url)) == len(rules())
            for panel in dashboard()["panels"]:
                for query in queries(panel):
                    assert until(lambda q=query: ask(url, q.replace("$cluster", "main")), f"data of {query}")
            # What this test made up, and nothing else, once no scrape is late: a busy machine misses one of them.
            until(lambda: names(url) == EXPECTED, "alerts", lambda: str(names(url)))
    shutil.rmtree(tmp_path / "data")


#: What fires or is about to: a job failed by this test, and metrics that are all 1.
EXPECTED = {
    "JobFailed", "Deposed", "Watchdog", "AuditBroken", "LockExpiring", "LogShippingStopped", "UpdateOverdue",
    "IncidentRtoAtRisk", "IncidentOpen", "RepositoriesDiffer",
}  # fmt: skip


def alerts(url: str) -> List[Dict[str, Any]]:
    found: List[Dict[str, Any]] = json.loads(read(f"{url}/api/v1/alerts"))["data"]["alerts"]
    return found


def names(url: str) -> Set[str]:
    return {alert["labels"]["alertname"] for alert in alerts(url)}


def fired(url: str, name: str) -> List[Dict[str, Any]]:
    return [a for a in alerts(url) if a["labels"]["alertname"] == name and a["state"] == "firing"]


def rules_of(url: str) -> List[Dict[str, Any]]:
    groups = json.loads(read(f"{url}/api/v1/rules?type=alert"))["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]
