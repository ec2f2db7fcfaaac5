# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with two sealed clusters is lost, and another one takes its place."""

from __future__ import annotations

import json
from typing import Dict

import pytest
from steps import HOSTS, PREFIX, Playbooks, lifeboat, podman, sql, wait_archived
from testinfra.host import Host

pytestmark = pytest.mark.timeout(3600)


def test_a_host_with_two_clusters_is_lost_and_comes_back(machines: Dict[str, Host], playbook: Playbooks) -> None:
    for port in (5432, 5433):
        sql(machines["db12"], f"CREATE TABLE kept AS SELECT {port} AS id", port=port)
        wait_archived(machines["db12"], port)
    podman("rm", "--force", "--time=0", f"{PREFIX}-db12")
    words = ["-e", "dr_confirm=yes", "-e", "dr_watch=5"]
    host = machines["empty12"]
    assert "lifeboat_identity" in playbook("dr_rebuild", "empty12", *words, status=2)
    assert not host.file("/etc/postgresql").exists
    identity = playbook.run_dir / "identity.yml"
    identity.write_text(json.dumps({"lifeboat_identity": (HOSTS / "age.txt").read_text(encoding="utf-8")}))
    playbook("dr_rebuild", "empty12", *words, "-e", f"@{identity}")
    assert playbook.report("empty12")["result"] == "recovered"
    for cluster, port in (("db12", 5432), ("reports", 5433)):
        assert sql(host, "SELECT id FROM kept", port=port) == str(port)
        assert lifeboat(host, cluster, "check")["status"] == "ok"
        assert lifeboat(host, cluster, "list")["backups"][-1]["timeline"] == 2
