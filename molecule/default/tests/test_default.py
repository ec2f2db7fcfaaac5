# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Both database hosts are protected: archiving, schedule, backup, and secrets that are closed."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from testinfra.host import Host

VERSIONS = {"db13": "17", "db12": "15"}
by_host = pytest.mark.parametrize("name", VERSIONS)


def lifeboat(host: Host, name: str, words: str, status: int = 0) -> Any:
    """The answer of the host command, as the cluster's owner."""
    done = host.run(f"runuser -u postgres -- lifeboat --config /etc/lifeboat/{name}.yml --json {words}")
    assert done.rc == status, done.stderr or done.stdout
    return json.loads(done.stdout)


@by_host
def test_postgresql_runs_as_a_service(machines: Dict[str, Host], name: str) -> None:
    host, version = machines[name], VERSIONS[name]
    assert host.check_output("systemctl is-system-running") == "running"
    assert host.service(f"postgresql@{version}-main").is_running
    shown = host.check_output("runuser -u postgres -- psql -Atc 'show server_version_num'")
    assert shown.startswith(version)


@by_host
def test_archiving_works(machines: Dict[str, Host], name: str) -> None:
    proof = lifeboat(machines[name], name, "wal-prove")
    assert proof["repositories"] == ["primary"] and proof["timeline"] == 1, proof


@by_host
def test_there_is_one_backup_and_no_gap(machines: Dict[str, Host], name: str) -> None:
    held = lifeboat(machines[name], name, "list")
    assert [backup["restorable"] for backup in held["backups"]] == [True]
    assert held["gaps"] == [] and held["windows"]


@by_host
def test_its_configuration_is_kept(machines: Dict[str, Host], name: str) -> None:
    done = machines[name].check_output(f"lifeboat --config /etc/lifeboat/{name}.yml --json files list postgresql")
    assert len(json.loads(done)["copies"]) == 1


@by_host
def test_check_finds_nothing_wrong(machines: Dict[str, Host], name: str) -> None:
    assert lifeboat(machines[name], name, "check")["status"] == "ok"


@by_host
def test_secrets_are_closed(machines: Dict[str, Host], name: str) -> None:
    file = machines[name].file(f"/etc/lifeboat/{name}.yml")
    assert (file.mode, file.user, file.group) == (0o640, "root", "postgres")


@by_host
def test_the_schedule_is_there(machines: Dict[str, Host], name: str) -> None:
    entries = machines[name].file(f"/etc/cron.d/lifeboat-{name}").content_string.splitlines()
    jobs = {line.split()[-1] for line in entries if line[:1] in "0123456789*" and line}
    assert jobs == {"full", "files", "check"}
    assert machines[name].service("cron").is_running


def test_hosts_know_each_other_by_name(machines: Dict[str, Host]) -> None:
    addresses = {name: host.check_output("hostname -I").split()[0] for name, host in machines.items()}
    for host in machines.values():
        for name, address in addresses.items():
            assert host.check_output(f"getent ahostsv4 {name}").startswith(address + " ")
