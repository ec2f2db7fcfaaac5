# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters of a scenario once it has converged: archiving, schedule, backup, secrets for their owners only."""

from __future__ import annotations

import json
import os
import re
from typing import Any, Dict

import pytest
from steps import lifeboat, sql
from testinfra.host import Host

SEALED = os.environ["MOLECULE_SCENARIO_NAME"] == "clusters"
VERSIONS = {"db12": "15"} if SEALED else {"db13": "17"}
CLUSTERS = (
    [("db12", "db12", "main", 5432), ("db12", "reports", "reports", 5433)]
    if SEALED
    else [("db13", "db13", "main", 5432)]
)
REPOSITORIES = {"db13": ["primary", "nearby"], "db12": ["primary"], "reports": ["primary"]}
by_host = pytest.mark.parametrize("name", VERSIONS)
by_cluster = pytest.mark.parametrize(("name", "cluster"), [case[:2] for case in CLUSTERS])
pytestmark = pytest.mark.timeout(3600)


@pytest.mark.parametrize(("name", "cluster", "debian", "port"), CLUSTERS)
def test_postgresql_runs_as_a_service(
    machines: Dict[str, Host], name: str, cluster: str, debian: str, port: int
) -> None:
    host, version = machines[name], VERSIONS[name]
    assert host.check_output("systemctl is-system-running") == "running"
    assert host.service(f"postgresql@{version}-{debian}").is_running
    assert sql(host, "SHOW server_version_num", port=port).startswith(version)


@by_cluster
def test_archiving_works(machines: Dict[str, Host], name: str, cluster: str) -> None:
    proof = lifeboat(machines[name], cluster, "wal-prove")
    assert proof["repositories"] == REPOSITORIES[cluster] and proof["timeline"] == 1, proof


@by_cluster
def test_there_is_one_backup_and_no_gap(machines: Dict[str, Host], name: str, cluster: str) -> None:
    held = lifeboat(machines[name], cluster, "list")
    assert [backup["restorable"] for backup in held["backups"]] == [True]
    assert held["gaps"] == [] and held["windows"]


@by_host
def test_its_configuration_is_kept(machines: Dict[str, Host], name: str) -> None:
    done = machines[name].check_output(f"lifeboat --config /etc/lifeboat/{name}.yml --json files list postgresql")
    assert len(json.loads(done)["copies"]) == 1


@by_cluster
def test_check_finds_nothing_wrong(machines: Dict[str, Host], name: str, cluster: str) -> None:
    assert lifeboat(machines[name], cluster, "check")["status"] == "ok"


@by_cluster
def test_secrets_are_closed(machines: Dict[str, Host], name: str, cluster: str) -> None:
    file = machines[name].file(f"/etc/lifeboat/{cluster}.yml")
    assert (file.mode, file.user, file.group) == (0o640, "root", "postgres")


@by_cluster
def test_the_schedule_is_there(machines: Dict[str, Host], name: str, cluster: str) -> None:
    entries = machines[name].file(f"/etc/cron.d/lifeboat-{cluster}").content_string.splitlines()
    jobs = {line.split()[-1] for line in entries if line[:1] in "0123456789*" and line}
    more = {"db13": {"incremental", "files", "sync"}, "db12": {"files"}, "reports": set()}
    assert jobs == {"full", "check", "verify", "restore_test", "retention", "drill_reminder"} | more[cluster]
    assert machines[name].service("cron").is_running


@by_cluster
def test_metrics_are_written_for_node_exporter(machines: Dict[str, Host], name: str, cluster: str) -> None:
    host = machines[name]
    assert host.service(f"lifeboat-metrics@{cluster}.timer").is_running
    host.check_output(f"systemctl start lifeboat-metrics@{cluster}.service")
    file = host.file(f"/var/lib/node_exporter/lifeboat-{cluster}.prom")
    assert (file.mode, file.user, file.group) == (0o644, "root", "root")
    lines = file.content_string.splitlines()
    assert f'lifeboat_server_up{{cluster="{cluster}"}} 1.0' in lines
    assert f'lifeboat_job_interval_seconds{{cluster="{cluster}",job_name="check"}} 300.0' in lines
    assert f'lifeboat_check_status{{check="backups",cluster="{cluster}",repository="primary"}} 0.0' in lines
    assert sorted(host.check_output("ls -A /var/lib/node_exporter").split()) == sorted(
        f"lifeboat-{own}.prom" for on, own, _debian, _port in CLUSTERS if on == name
    )


@by_cluster
def test_what_a_host_seals_nobody_reads_without_the_identity(
    machines: Dict[str, Host], store: Any, name: str, cluster: str
) -> None:
    found = store.list_objects_v2(Bucket="lifeboat", Prefix=f"production/{cluster}/")["Contents"]
    data = [o["Key"] for o in found if re.search(r"/(base\.tar|[0-9A-F]{24})\.zst(\.age)?$", o["Key"])]
    assert len(data) >= 2
    assert {key.endswith(".age") for key in data} == {SEALED}
    assert not machines[name].file(f"/etc/lifeboat/{cluster}.identity").exists


def test_hosts_know_each_other_by_name(machines: Dict[str, Host]) -> None:
    addresses = {name: host.check_output("hostname -I").split()[0] for name, host in machines.items()}
    for host in machines.values():
        for name, address in addresses.items():
            assert host.check_output(f"getent ahostsv4 {name}").startswith(address + " ")
