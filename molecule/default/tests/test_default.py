# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts are real: systemd, PostgreSQL as a service, each other's names, and the store over TLS."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from testinfra.host import Host

VERSIONS = {"db13": "17", "db12": "15"}


@pytest.mark.parametrize("name", VERSIONS)
def test_postgresql_runs_as_a_service(machines: Dict[str, Host], name: str) -> None:
    host, version = machines[name], VERSIONS[name]
    assert host.check_output("systemctl is-system-running") == "running"
    assert host.service(f"postgresql@{version}-main").is_running
    shown = host.check_output("runuser -u postgres -- psql -Atc 'show server_version_num'")
    assert shown.startswith(version)


def test_hosts_know_each_other_by_name(machines: Dict[str, Host]) -> None:
    addresses = {name: host.check_output("hostname -I").split()[0] for name, host in machines.items()}
    for host in machines.values():
        for name, address in addresses.items():
            assert host.check_output(f"getent ahostsv4 {name}").startswith(address + " ")


def test_the_store_keeps_an_object(store: Any) -> None:
    assert [bucket["Name"] for bucket in store.list_buckets()["Buckets"]] == ["lifeboat"]
    store.put_object(Bucket="lifeboat", Key="verify/hello", Body=b"hello")
    assert store.get_object(Bucket="lifeboat", Key="verify/hello")["Body"].read() == b"hello"
    store.delete_object(Bucket="lifeboat", Key="verify/hello")
