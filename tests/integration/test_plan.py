# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan of a real inventory with a real cluster: true, without secrets, and the same until a fact changes."""

from __future__ import annotations

import json
import secrets
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.plan.runbook import script_of
from support.controller import ansible
from support.drills import write_report
from support.installations import Installation
from support.postgres import Site, Sites, entry

pytestmark = pytest.mark.integration

ANN = {"name": "Ann <b>Example", "roles": ["commander"], "phone": "+49 69 1234567", "mail": "ann@example.com"}


class Company:
    """An inventory with a host that is protected and one that is not."""

    def __init__(self, home: Path, site: Site, **more: Any) -> None:
        self.home, self.site, self.place = home, site, home / "plan"
        self.word = secrets.token_hex(12)
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        self.protected: Dict[str, Any] = {
            "ansible_host": "192.0.2.1",
            "lifeboat_clusters": [{"name": "main", "connection": {"password": self.word}}],
            "lifeboat_repositories": site.repositories,
            "lifeboat_objectives": {"rto": 900, "rpo": 60},
            "lifeboat_retention": {"full_days": 30},
            "lifeboat_incidents": {"escalate": True, "contacts": [ANN]},
            "lifeboat_notifications": {"channels": [{"name": "x", "type": "webhook", "webhook_url": self.word}]},
            "lifeboat_identity": self.word,
            "lifeboat_signing_key": self.word,
            "lifeboat_application": {"name": "shop", "health_url": f"http://me:{self.word}@127.0.0.1/"},
            "lifeboat_file_sets": [{"name": "config", "paths": ["/etc/nginx"], "allow_unsealed_secrets": True}],
            **more,
        }
        hosts = {"db1": self.protected, "web1": {}, "localhost": local}
        (home / "inventory.yml").write_text(json.dumps({"all": {"hosts": hosts}}))

    def __call__(self, *words: str, status: int = 0) -> str:
        return ansible(
            self.home, "ansible-playbook", "-i", self.home / "inventory.yml", "lifeboat.postgres.dr_plan",
            "-e", f"dr_plan_dir={self.place}", *words, status=status,
        )  # fmt: skip

    def text(self, name: str = "plan.md") -> str:
        return (self.place / name).read_text()


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """A cluster in a bucket and a directory, with a backup, a verification, a restore test, a drill and an incident."""
    (tmp_path / "far").mkdir()
    made = sites(newest_postgres, s3_options, segment_mb=1)
    made.repositories = [*made.repositories, entry(1, DirectoryOptions(str(tmp_path / "far")))]
    made.write(incidents={"spool_dir": str(tmp_path / "spool")})
    made.backup()
    return made


@pytest.mark.timeout(900)
def test_it_tells_what_is_true_and_changes_only_with_a_fact(site: Site, installed: Path, tmp_path: Path) -> None:
    company = Company(installed, site)
    assert "plan.md: new" in company()
    text = company.text()
    assert "never measured" in text and "repositories: localhost, web1. Nothing of them." in text
    assert "+49 69 1234567" in text and "Ann \\<b\\>Example" in text
    assert "Ann &lt;b&gt;Example" in company.text("plan.html")
    assert (
        "| db1 | full backup | 0 2 \\* \\* \\* |" in text
        and "dr_rebuild -e lifeboat_hosts=NEW_HOST -e dr_old_host=192.0.2.1" in text
    )
    assert (company.place / "plan.md").stat().st_mode & 0o777 == 0o640
    assert "changed=0" in company() and company.text() == text
    every = "".join(path.read_text() for path in company.place.iterdir())
    hidden = (company.word, site.repositories[0]["secret_access_key"], site.repositories[0]["access_key_id"])
    assert not [word for word in hidden if word in every]
    by_hand = site.lifeboat("show", "latest").data["by_hand"]
    # What test_restore_by_hand.py runs.
    assert script_of(company.text("by-hand-main.txt"), "repo0") == f"{by_hand}\n"

    site.lifeboat("verify")
    report = write_report(tmp_path / "report")
    site.lifeboat("drill", "keep", "--report", str(report), "--scenario", "server_deletion")
    opened = site.lifeboat("incident", "open", "the database is wrong").data["incident"]
    site.lifeboat("incident", "action", "--owner", "Bob", "--due", "2026-12-24", "mend the runbook")
    told = company("--check", "--diff")
    assert "plan.md: -| main | verification of repo0 | ✗ never |" in told and company.text() == text
    assert f"plan.md: +| main | {opened} | P1 |" in told and "mend the runbook | Bob | 2026-12-24" in told
    assert "plan.md: -Next drill of cluster main: server, due now." in told
    assert "plan.md: +Next drill of cluster main: ransomware, due 20" in told
    assert "drill server_deletion" in told and "| 40 s |" in told


def test_a_plan_stays_where_nothing_can_be_read(installed: Path, tmp_path: Path) -> None:
    place = tmp_path / "plan"
    place.mkdir()
    (place / "plan.md").write_text("of yesterday")
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    gone = [{"name": "gone", "type": "directory", "path": str(tmp_path / "nowhere")}]
    lost = {"lifeboat_clusters": [{"name": "main"}], "lifeboat_repositories": gone}
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"db1": lost, "web1": {}, "localhost": local}}}))
    words = ("-i", tmp_path / "hosts.yml", "lifeboat.postgres.dr_plan", "-e", f"dr_plan_dir={place}")
    told = ansible(installed, "ansible-playbook", *words, status=2)
    assert str(tmp_path / "nowhere") in told and [path.name for path in place.iterdir()] == ["plan.md"]
    assert (place / "plan.md").read_text() == "of yesterday"
