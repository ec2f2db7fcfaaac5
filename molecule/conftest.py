# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the tests of all scenarios: the hosts, through podman, and the store, as this machine sees it."""

from __future__ import annotations

import json
import os
import signal
import sys
import uuid
from pathlib import Path
from typing import Any, Dict, Mapping

import boto3
import pytest
import testinfra
import yaml
from testinfra.host import Host

sys.path.insert(0, str(Path(__file__).parent / "shared"))

from steps import HOSTS, Playbooks

# A shell that starts the scenario in the background lets it, and every playbook it starts, ignore SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)


_RUN = pytest.StashKey[Path]()


@pytest.fixture(scope="session")
def scenario() -> Dict[str, Any]:
    """molecule.yml, merged and with the environment filled in."""
    loaded: Dict[str, Any] = yaml.safe_load(Path(os.environ["MOLECULE_FILE"]).read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def machines(scenario: Mapping[str, Any]) -> Dict[str, Host]:
    """The hosts by their names in the inventory. Commands run as root: ``machines["db13"].check_output("id -un")``."""
    prefix = f"lifeboat{os.environ['LIFEBOAT_HOSTS']}-{os.environ['MOLECULE_SCENARIO_NAME']}"
    names = [platform["name"] for platform in scenario["platforms"]]
    return {name: testinfra.get_host(f"podman://{prefix}-{name}") for name in names}


@pytest.fixture(scope="session")
def store(machines: Mapping[str, Host]) -> Any:
    """A boto3 client for the scenario's store, over TLS."""
    keys = json.loads((HOSTS / "store.json").read_text(encoding="utf-8"))
    address = machines["s3"].check_output("hostname -I").split()[0]
    return boto3.client(
        "s3",
        endpoint_url=f"https://{address}:8333",
        region_name="us-east-1",
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        verify=str(HOSTS / "ca.pem"),
    )


@pytest.fixture(scope="session")
def playbook(pytestconfig: pytest.Config) -> Playbooks:
    """Runs playbooks; its directory survives every host, where it is mounted as /evidence/<name>."""
    run = HOSTS / "evidence" / uuid.uuid4().hex[:8]
    run.mkdir(mode=0o1777)
    run.chmod(0o1777)
    pytestconfig.stash[_RUN] = run
    return Playbooks(run)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each disaster that was walked."""
    run = config.stash.get(_RUN, None)
    for file in sorted(run.glob("walked-*.json"), key=lambda one: one.stat().st_mtime) if run else ():
        told: Dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        rest = f"RPO {told['lost']} of {told['acknowledged']} acknowledged transactions lost; {told['way']}"
        terminalreporter.write_line(f"walked {told['disaster']}: RTO {told['rto']} s, {rest}")
