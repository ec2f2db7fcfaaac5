# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that works, an empty host that knows nothing of PostgreSQL, and a store that both reach."""

from __future__ import annotations

from typing import Any, Dict

from testinfra.host import Host


def test_the_server_runs(machines: Dict[str, Host]) -> None:
    assert machines["db13"].service("postgresql@17-main").is_running


def test_the_spare_is_empty(machines: Dict[str, Host]) -> None:
    spare = machines["empty13"]
    assert spare.check_output("systemctl is-system-running") == "running"
    assert spare.run("dpkg-query --list 'postgresql*' 'python3-boto3'").rc != 0
    assert not spare.file("/etc/postgresql").exists


def test_the_store_answers(store: Any) -> None:
    assert [bucket["Name"] for bucket in store.list_buckets()["Buckets"]] == ["lifeboat"]
