# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rulebook of Event-Driven Ansible: what it may do, and that a real alert of Alertmanager starts an assessment."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Dict, Iterator

import ansiblelint
import jsonschema
import pytest
import yaml
from support.choice import only_all
from support.lost import Copy
from support.monitoring import ROOT, program, rules, serving
from support.processes import free_port, until

BOOK = ROOT / "extensions/eda/rulebooks/assess.yml"
TOKEN = "b0a7" * 8


def test_it_only_assesses_and_knows_its_alerts() -> None:
    (book,) = yaml.safe_load(BOOK.read_text(encoding="utf-8"))
    (rule,) = book["rules"]
    assert rule["action"]["run_playbook"]["name"] == "lifeboat.postgres.dr_assess"
    assert set(rule["action"]["run_playbook"]["extra_vars"]) == {"lifeboat_hosts"}
    named = set(re.findall(r'"([A-Z]\w+)"', rule["condition"]))
    assert len(named) == 4 and named <= {r.alert for r in rules() if r.labels["severity"] == "critical"}
    (play,) = yaml.safe_load((ROOT / "playbooks/dr_assess.yml").read_text(encoding="utf-8"))
    (task,) = play["tasks"]
    assert task["ansible.builtin.include_role"] == {"name": "lifeboat.postgres.incident"}
    assert play["vars"]["incident_assess_only"] is True and "become" not in play


def test_it_is_a_rulebook() -> None:
    schema = json.loads((Path(ansiblelint.__file__).parent / "schemas/rulebook.json").read_text(encoding="utf-8"))
    book = yaml.safe_load(BOOK.read_text(encoding="utf-8"))
    jsonschema.validate(book, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate([{**book[0], "rules": [{"name": "nothing"}]}], schema)


@pytest.mark.parametrize(
    ("instance", "taken"),
    [
        ("db1.example.org:9100", True),
        ("db1", True),
        ("{{ lookup('pipe', 'id') }}", False),
        ("@/etc/hosts", False),
        ("db1,all", False),
        ("~.*", False),
    ],
)
def test_only_a_name_becomes_a_pattern_of_hosts(instance: str, taken: bool) -> None:
    (book,) = yaml.safe_load(BOOK.read_text(encoding="utf-8"))
    (pattern,) = re.findall(r'instance is match\("(.*?)"\)', book["rules"][0]["condition"])
    assert bool(re.match(pattern, instance)) is taken


def rulebook() -> str:
    """The path of ansible-rulebook; skips where it cannot be had, with the reason in one line."""
    found = subprocess.run([ROOT / "tools/rulebook"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    return found.stdout.strip()


@contextlib.contextmanager
def listening(home: Path, port: int) -> Iterator[Path]:
    """The rulebook takes alerts on the port; the block gets its output."""
    log = home / "rulebook.log"
    (home / "eda.yml").write_text(json.dumps({"lifeboat_eda_token": TOKEN, "lifeboat_eda_port": port}))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    words = ["--rulebook", "lifeboat.postgres.assess", "--inventory", home / "hosts.yml", "--vars", home / "eda.yml"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [rulebook(), *map(str, words)], cwd=home, stdout=output, stderr=subprocess.STDOUT,
            env={
                **environment, "HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(home / "collections"),
                # The playbook itself runs with the Ansible of the tests.
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
        )  # fmt: skip
        try:
            until(lambda: process.poll() is not None or takes(port), "the rulebook", log.read_text, 300)
            assert process.poll() is None, log.read_text()
            yield log
        finally:
            process.terminate()
            process.wait(60)


def takes(port: int) -> bool:
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    return False


def post(url: str, body: Any, **headers: str) -> int:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request, timeout=30) as response:
        return int(response.status)


@only_all
@pytest.mark.integration
@pytest.mark.timeout(900)
def test_a_critical_alert_starts_the_assessment_of_its_host(installed: Path, copy: Copy, tmp_path: Path) -> None:
    host: Dict[str, Any] = {
        "ansible_host": "127.0.0.1", "ansible_port": free_port(), "lifeboat_clusters": [{"name": "main"}],
        "lifeboat_repositories": [{"name": "kept", "type": "directory", "path": str(copy.root.parent)}],
        "dr_report_dir": str(tmp_path / "reports"),
    }  # fmt: skip
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"all": {"hosts": {"db1": host, "db2": host, "localhost": local}}}
    (installed / "hosts.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    port, manager = free_port(), f"http://127.0.0.1:{free_port()}"
    hook = {
        "url": f"http://127.0.0.1:{port}/", "send_resolved": False,
        "http_config": {"authorization": {"credentials": TOKEN}},
    }  # fmt: skip
    config = {
        "route": {"receiver": "eda", "group_wait": "0s", "group_interval": "1s", "group_by": ["alertname", "instance"]},
        "receivers": [{"name": "eda", "webhook_configs": [hook]}],
    }
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    argv = [
        program("prometheus-alertmanager"), f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'alerts'}", f"--web.listen-address={manager[7:]}", "--cluster.listen-address=",
    ]  # fmt: skip
    critical = {"severity": "critical", "cluster": "main"}
    spoiled = tmp_path / "spoiled"
    alerts = [
        {**critical, "alertname": "ServerDown", "instance": f"{{{{ lookup('pipe', 'touch {spoiled}') }}}}"},
        {**critical, "alertname": "CommitsExposed", "instance": "db2:9100"},
        {**critical, "alertname": "HostSilent", "severity": "warning", "instance": "db2:9100"},
        {**critical, "alertname": "HostSilent", "instance": "db1:9100"},
    ]
    with listening(installed, port) as log, serving(argv, f"{manager}/-/ready", tmp_path / "manager.log"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            post(f"http://127.0.0.1:{port}/", {"alerts": []}, Authorization="Bearer guessed")
        for labels in alerts:
            post(f"{manager}/api/v2/alerts", [{"labels": labels}])
        page = tmp_path / "reports/db1/assessment.txt"
        until(page.exists, "the assessment", log.read_text, 300)
        until(lambda: "PLAY RECAP" in log.read_text(), "the end of the playbook", log.read_text, 120)
    assert f"last good backup   {copy.lost.second['label']}" in page.read_text(encoding="utf-8")
    assert sorted(p.name for p in (tmp_path / "reports").iterdir()) == ["db1"]
    assert not spoiled.exists()
