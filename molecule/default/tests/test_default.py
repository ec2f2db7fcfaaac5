# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a protected database host does: its jobs, its status page, its refusals, and a restore in place."""

from __future__ import annotations

import json
from typing import Dict, List, Tuple

import pytest
from steps import ALL, CHECKOUT, STORE_ROUTE, Playbooks, changes, lifeboat, only_all, sql, wait_archived
from testinfra.host import Host

pytestmark = pytest.mark.timeout(3600)


def test_the_exporter_serves_what_the_repositories_know(machines: Dict[str, Host]) -> None:
    host = machines["db13"]
    assert host.service("lifeboat-exporter").is_running
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9851%s').read().decode())"
    assert 'lifeboat_repository_up{cluster="db13",repository="nearby"} 1.0' in host.check_output(
        "python3 -c %s", ask % "/metrics"
    )
    assert "Can we restore now?" in host.check_output("python3 -c %s", ask % "/")


def test_the_rules_are_where_prometheus_finds_them(machines: Dict[str, Host]) -> None:
    rules = {path.name: path.read_text(encoding="utf-8") for path in (CHECKOUT / "monitoring/rules").glob("*.yml")}
    place = machines["db13"].file("/etc/prometheus/lifeboat")
    assert {name: machines["db13"].file(f"{place.path}/{name}").content_string for name in place.listdir()} == rules


def test_every_installed_job_runs_and_a_reminder_reaches_its_reader(machines: Dict[str, Host]) -> None:
    host = machines["db13"]
    host.check_output("cp -p /etc/lifeboat/db13.job /tmp/db13.job")
    # Where a host's mail goes is its own affair: what is handed over is looked at.
    host.check_output("printf '#!/bin/sh\ncat >/tmp/mailed\n' >/usr/sbin/sendmail; chmod 0755 /usr/sbin/sendmail")
    host.check_output("echo 'notify=\"cat >/tmp/told; env >>/tmp/told\"' >>/etc/lifeboat/db13.job")
    assert host.run("/usr/lib/lifeboat/bin/lifeboat-job db13 incremental").rc == 0
    # The installed schedule may have made one of its own meanwhile.
    types = [b["type"] for b in lifeboat(host, "db13", "list")["backups"]]
    assert types[0] == "full" and types[-1] == "incremental"
    assert host.run("/usr/lib/lifeboat/bin/lifeboat-job db13 verify").rc == 0
    assert host.run("/usr/lib/lifeboat/bin/lifeboat-job db13 retention").rc == 0
    assert host.run("/usr/lib/lifeboat/bin/lifeboat-job db13 sync").rc == 0
    assert host.run("/usr/lib/lifeboat/bin/lifeboat-job db13 restore_test").rc == 0
    planned = lifeboat(host, "db13", "prune --plan")["repositories"]
    assert [p["removals"] for p in planned] == [[], []] and "weekly: " in str(planned[0]["kept"])
    assert host.run("/usr/lib/lifeboat/bin/lifeboat-job db13 drill_reminder").rc == 10
    host.check_output("mv /tmp/db13.job /etc/lifeboat/db13.job")
    told, mailed = host.file("/tmp/told").content_string, host.file("/tmp/mailed").content_string
    assert mailed.startswith("To: dba@lifeboat.test\n")
    assert "drill_reminder of cluster db13 warns" in mailed
    assert "next drill of cluster db13: server, due now" in told and "LIFEBOAT_STATUS=10" in told


def test_the_playbook_proves_a_backup(machines: Dict[str, Host], playbook: Playbooks) -> None:
    reports = playbook.run_dir / "restore-test"
    told = playbook("verify", "db13", "-e", f"verify_report_dir={reports}")
    assert changes(told) == 0 and "is proven" in told
    report = json.loads((reports / "db13" / "db13.json").read_text(encoding="utf-8"))
    assert {f["name"]: f["state"] for f in report["findings"]} == dict.fromkeys(
        ("restore", "amcheck", "contents", "SELECT 1"), "held"
    )
    assert machines["db13"].run("ls -d /var/lib/postgresql/17/lifeboat-verify-*").rc != 0
    assert lifeboat(machines["db13"], "db13", "list")["backups"][-1]["tested"]["proven"]


def test_what_root_stores_in_a_directory_belongs_to_its_owner(machines: Dict[str, Host]) -> None:
    host = machines["db13"]
    host.check_output("lifeboat --config /etc/lifeboat/db13.yml files backup postgresql --always")
    assert host.check_output("find /srv/lifeboat ! -user postgres -o ! -group postgres") == ""


BAD_INPUT: List[Tuple[str, Dict[str, object], List[str]]] = [
    ("protect", {"lifeboat_repositories": []}, ["lifeboat_repositories"]),
    ("dr_restore", {"dr_target": "time"}, ["dr_target_value", "2026-11-22"]),
    ("dr_restore", {"dr_target": "lsn", "dr_target_value": "F/0"}, ["F/0"]),
]
# Found by a later role each.
FOUND_LATE: List[Tuple[str, Dict[str, object], List[str]]] = [
    ("protect", {"lifeboat_schedule": {"ful": {}}}, ["ful", "schedule"]),
    ("protect", {"lifeboat_clusters": [{"name": "reports"}]}, ["does not know the cluster", "No setting was changed"]),
    ("dr_restore", {"lifeboat_clusters": [{"name": "db12"}]}, ["db12"]),
]


@pytest.mark.parametrize(
    ("name", "variables", "words"), [*BAD_INPUT, *(pytest.param(*case, marks=only_all) for case in FOUND_LATE)]
)
def test_bad_input_is_named_and_touches_nothing(
    machines: Dict[str, Host], playbook: Playbooks, name: str, variables: Dict[str, object], words: List[str]
) -> None:
    host = machines["db13"]
    started = sql(host, "SELECT pg_postmaster_start_time()")
    told = playbook(name, "db13", "-e", json.dumps({**variables, "dr_confirm": True}), status=2)
    failure = " ".join(told[told.index("[ERROR]") :].split())
    assert all(word in failure for word in words), failure
    assert sql(host, "SELECT pg_postmaster_start_time()") == started
    assert lifeboat(host, "db13", "check")["status"] == "ok"


def test_back_to_a_time_from_the_second_repository_while_the_first_is_away(
    machines: Dict[str, Host], playbook: Playbooks
) -> None:
    host = machines["db13"]
    sql(host, "CREATE TABLE kept AS SELECT 1 AS id")
    before = sql(host, "SELECT clock_timestamp()")
    sql(host, "SELECT pg_sleep(1)")
    sql(host, "DROP TABLE kept")
    wait_archived(host)
    words = ["-e", json.dumps({"dr_target": "time", "dr_target_value": before, "dr_confirm": True})]
    host.check_output("ip route add blackhole %s", STORE_ROUTE)
    try:
        told = playbook("dr_restore", "db13", *words, status=2)
    finally:
        host.check_output("ip route del blackhole %s", STORE_ROUTE)
    assert "primary: CANNOT BE USED" in told and "nearby" in told
    assert "Phase re-arm failed" in told and "Then run the same command again" in told
    assert sql(host, "SELECT id FROM kept") == "1"

    again = playbook("dr_restore", "db13", *words)
    assert "Start the restore" not in again and playbook.report("db13")["result"] == "recovered"
    assert lifeboat(host, "db13", "check")["status"] == "ok"
    held = lifeboat(host, "db13", "list")
    assert held["backups"][-1]["timeline"] == 2 and held["gaps"] == []
    assert not ALL or changes(playbook("protect", "db13")) == 0
