# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status page shows the open alerts of a real Alertmanager, without inhibited and silenced ones."""

from __future__ import annotations

import json
import urllib.request
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, List

import pytest
import yaml
from support.installations import Installation
from support.monitoring import MONITORING, program, read, rules, serving
from support.postgres import Sites
from support.processes import free_port, until

pytestmark = pytest.mark.integration


def post(url: str, body: Any) -> None:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def firing(name: str, **labels: str) -> Dict[str, Any]:
    """An alert as Prometheus sends it."""
    rule = next(rule for rule in rules() if rule.alert == name)
    notes = {**rule.annotations, "summary": f"{name} of a test, <b>in bold</b>."}
    return {"labels": {"alertname": name, **rule.labels, **labels}, "annotations": notes}


def test_the_page_shows_open_alerts_and_never_waits_for_them(
    sites: Sites, a_postgres: Installation, tmp_path: Path
) -> None:
    site = sites(a_postgres)
    site.backup()
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet/main.yml").write_text(site.config_file.read_text())
    given = yaml.safe_load((MONITORING / "alertmanager.yml").read_text(encoding="utf-8"))
    for receiver in given["receivers"]:
        for kind in [key for key in receiver if key.endswith("_configs")]:
            del receiver[kind]
    given.pop("global", None)
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(given))
    at, own = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    manager = [
        program("prometheus-alertmanager"), f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'alerts'}", f"--web.listen-address={at}", "--cluster.listen-address=",
    ]  # fmt: skip
    exporter = [
        site.command,
        "exporter",
        "--config-dir",
        tmp_path / "fleet",
        "--listen",
        own,
        "--alertmanager",
        f"http://{at}",
    ]
    base = f"http://{at}/api/v2"
    with serving(manager, f"http://{at}/-/ready", tmp_path / "manager.log") as _ready:
        alerts: List[Dict[str, Any]] = [
            firing("RepositoryDown", cluster="main", repository="repo0"),
            firing("BackupOverdue", cluster="main", repository="repo0"),
            firing("DrillOverdue", cluster="main"),
            firing("WalGap", cluster="main", repository="repo0"),
            firing("Watchdog"),
            {
                "labels": {"alertname": "DiskFull", "severity": "critical"},
                "annotations": {"summary": "Somebody else's."},
            },
        ]
        post(f"{base}/alerts", alerts)
        now = datetime.now(timezone.utc)
        silence = {
            "matchers": [{"name": "alertname", "value": "DrillOverdue", "isRegex": False, "isEqual": True}],
            "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat(),
            "createdBy": "test", "comment": "test",
        }  # fmt: skip
        post(f"{base}/silences", silence)
        until(lambda: len(json.loads(read(f"{base}/alerts?active=true&silenced=false&inhibited=false"))) == 4, "alerts")
        with serving(exporter, f"http://{own}/healthz", tmp_path / "exporter.log"):
            until(lambda: "RepositoryDown" in read(f"http://{own}/"), "the alerts on the page")
            page = read(f"http://{own}/")
            assert "RepositoryDown main" in page and "WalGap main" in page and "&lt;b&gt;in bold" in page
            # Inhibited by RepositoryDown, silenced, always firing, of somebody else's rule.
            assert not {n for n in ("BackupOverdue", "DrillOverdue", "Watchdog", "DiskFull") if n in page}
            assert page.index("RepositoryDown") < page.index("WalGap")
            (tmp_path / "page.html").write_text(page)
    # Without Alertmanager the page is there at once, and says what it does not know.
    with serving(exporter, f"http://{own}/healthz", tmp_path / "exporter.log"):
        page = read(f"http://{own}/")
        assert "UNKNOWN" in page and "Yes, from repo0." in page
