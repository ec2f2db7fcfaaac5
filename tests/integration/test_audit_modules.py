# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of the audit trail and of the register of erasures, run by Ansible on a real cluster, twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from support.installations import Installation
from support.postgres import Site, Sites
from support.stores import ROOT, keys

pytestmark = pytest.mark.integration

ERASE = {"table": "people", "column": "id", "key": "anna@example.org", "reference": "DSR-1"}


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites) -> Site:
    return sites(newest_postgres, segment_mb=1, options={"audit": {"syslog": ""}})


def module(site: Site, home: Path, name: str, *words: str, status: int = 0, **options: Any) -> Dict[str, Any]:
    """Run one module against this machine; its result."""
    arguments = {"config_file": str(site.config_file), **options}
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "ansible"), "localhost", "-m", f"lifeboat.postgres.{name}",
            "-a", json.dumps(arguments), "-e", f"ansible_python_interpreter={sys.executable}", *words,
        ],
        cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}, "HOME": str(home),
            "ANSIBLE_HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1", "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.minimal",
            "ANSIBLE_LOCALHOST_WARNING": "False", "LIFEBOAT_RUN": "a test",
        },
    )  # fmt: skip
    assert done.returncode == status, done
    assert "anna@example.org" not in done.stdout
    return dict(json.loads(done.stdout[done.stdout.rindex("=> {") + 3 : done.stdout.rindex("}") + 1]))


def test_an_erasure_is_registered_once(site: Site, tmp_path: Path) -> None:
    # A repository that was never used may be a mount point without its mount.
    error = module(site, tmp_path, "gdpr_erasure", status=2, **ERASE)
    assert error["error_code"] == "repository_foreign" and "Check that it is mounted" in error["hint"]
    site.backup()
    planned = module(site, tmp_path, "gdpr_erasure", "--check", "--diff", **ERASE)
    assert planned["changed"] and planned["repositories"] == ["repo0"]
    assert not any("/erasures/" in key for key in keys(site.config)["repo0"])
    done = module(site, tmp_path, "gdpr_erasure", **ERASE)
    assert done["changed"] and done["erasure"]["table"] == "people" and done["erasure"]["hashed"]
    again = module(site, tmp_path, "gdpr_erasure", **ERASE)
    assert not again["changed"] and again["erasure"]["id"] == done["erasure"]["id"]
    assert not module(site, tmp_path, "gdpr_erasure", "--check", **ERASE)["changed"]
    error = module(site, tmp_path, "gdpr_erasure", status=2, **{**ERASE, "statement": "DELETE FROM x WHERE y = %(z)s"})
    assert error["error_code"] == "config_invalid" and "%(z)s" in error["msg"]

    found = module(site, tmp_path, "audit_info", what=["erasure"])
    (event,) = [e for e in found["events"] if e["result"] == "ok"]
    assert event["objects"] == [done["erasure"]["id"]] and event["who"]["via"] == "module gdpr_erasure"
    assert event["who"]["run"] == "a test"


def test_the_trail_is_read_and_judged(site: Site, tmp_path: Path) -> None:
    label = site.backup()["label"]
    module(site, tmp_path, "pg_backup_hold", label=label, reason="legal hold 7")
    module(site, tmp_path, "pg_backup_hold", "--check", label=label, state="released")
    found = module(site, tmp_path, "audit_info")
    assert [e["what"] for e in found["events"]] == ["backup", "hold"]
    assert found["intact"] and found["faults"] == [] and not found["changed"]
    (path,) = (site.repository_dir / "audit").glob("*/*/0000000001.json")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"ok"', b'"ko"'))
    found = module(site, tmp_path, "audit_info", what=["hold"])
    assert not found["intact"] and found["faults"][0]["kind"] == "changed" and len(found["events"]) == 1
    assert "intact" not in module(site, tmp_path, "audit_info", verify=False)
