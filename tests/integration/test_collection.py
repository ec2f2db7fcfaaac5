# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as a user gets it: built, installed offline into an empty path, and run for an assessment."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, List, Mapping

import yaml
from support.choice import only_all
from support.controller import ansible
from support.lost import Copy
from support.processes import free_port


def write_inventory(home: Path, repositories: List[Mapping[str, Any]], **variables: Any) -> None:
    """The inventory of this machine as a database host."""
    inventory = {
        "all": {
            "hosts": {"here": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}},
            "vars": {
                "ansible_become": False,
                "lifeboat_clusters": [{"name": "main"}],
                "lifeboat_repositories": repositories,
                "lifeboat_objectives": {"rto": 900},
                **variables,
            },
        }
    }
    (home / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")


def rebuild(
    home: Path, repositories: List[Mapping[str, Any]], *arguments: str, status: int = 0, **variables: Any
) -> str:
    """Assess a rebuild of this machine."""
    write_inventory(home, repositories, **variables)
    words = ("-i", home / "inventory.yml", "lifeboat.postgres.dr_rebuild", "--check", *arguments)
    return ansible(home, "ansible-playbook", *words, status=status)


def test_an_assessment_tells_what_can_come_back(installed: Path, copy: Copy) -> None:
    gone = {"name": "gone", "type": "directory", "path": str(copy.root / "nowhere")}
    told = rebuild(installed, [gone, {"name": "kept", "type": "directory", "path": str(copy.root.parent)}])
    assert "gone: CANNOT BE USED" in told and "kept: answers, 2 backups" in told
    assert f"last good backup   {copy.lost.second['label']}" in told
    assert "The objective (RTO) is 15 min 0 s: will be met." in told
    assert "failed=0" in told and "changed=0" in told
    assert "If it is lost: -e lifeboat_lost_repositories=gone" in told


def test_a_host_that_does_not_answer_is_assessed_from_here(installed: Path, copy: Copy, tmp_path: Path) -> None:
    of_host = {
        "ansible_host": "127.0.0.1", "ansible_port": free_port(), "lifeboat_clusters": [{"name": "main"}],
        "lifeboat_repositories": [{"name": "kept", "type": "directory", "path": str(copy.root.parent)}],
        "dr_report_dir": str(tmp_path / "reports"),
    }  # fmt: skip
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"all": {"hosts": {"db1": of_host, "localhost": local}}}
    (installed / "lost.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    words = ("-i", installed / "lost.yml", "lifeboat.postgres.dr_assess", "-e", "lifeboat_hosts=db1")
    told = ansible(installed, "ansible-playbook", *words)
    page = (tmp_path / "reports/db1/assessment.txt").read_text(encoding="utf-8")
    for text in (told, page):
        assert "kept: answers, 2 backups" in text and f"last good backup   {copy.lost.second['label']}" in text
    assert "unreachable=0" in told and not (tmp_path / "reports/db1/incident.json").exists()


def test_a_host_given_up_is_not_queried(installed: Path, copy: Copy) -> None:
    gone = {"name": "gone", "type": "directory", "path": str(copy.root / "nowhere")}
    kept = {"name": "kept", "type": "directory", "path": str(copy.root.parent), "required": False}
    told = rebuild(installed, [gone, kept], lifeboat_lost_repositories="gone")
    assert "no longer required: gone." in told and "CANNOT BE USED" not in told
    told = rebuild(installed, [gone, kept], status=2, lifeboat_lost_repositories="went")
    assert "lifeboat_lost_repositories names went, but lifeboat_repositories has gone, kept" in told


def test_without_a_backup_it_ends(installed: Path, tmp_path: Path) -> None:
    told = rebuild(installed, [{"name": "empty", "type": "directory", "path": str(tmp_path)}], status=2)
    assert "No repository that answers has a backup of cluster main that can be restored" in told


@only_all
def test_an_unknown_target_is_named(installed: Path, copy: Copy) -> None:
    repository = {"name": "kept", "type": "directory", "path": str(copy.root.parent)}
    told = rebuild(installed, [repository], status=2, dr_target="time")
    assert "dr_target is time and dr_target_value is ''" in told


def ways(home: Path, store: Path, reports: Path, *words: str, status: int = 0) -> str:
    """Run the playbook dr for a host that does not answer."""
    of_host = {
        "ansible_host": "127.0.0.1", "ansible_port": free_port(), "lifeboat_clusters": [{"name": "main"}],
        "lifeboat_repositories": [{"name": "kept", "type": "directory", "path": str(store)}],
        "lifeboat_objectives": {"rto": 900}, "dr_report_dir": str(reports),
    }  # fmt: skip
    local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    hosts = {"all": {"hosts": {"db1": of_host, "localhost": local}}}
    (home / "ways.yml").write_text(yaml.safe_dump(hosts), encoding="utf-8")
    all_words = ("-i", home / "ways.yml", "lifeboat.postgres.dr", "-e", "lifeboat_hosts=db1", *words)
    return ansible(home, "ansible-playbook", *all_words, status=status)


def test_one_playbook_shows_the_ways_back_of_a_host_that_does_not_answer(
    installed: Path, copy: Copy, tmp_path: Path
) -> None:
    told = ways(installed, copy.root.parent, tmp_path / "reports", "-e", "dr_look_from=localhost")
    command = f"ansible-playbook -i {installed}/ways.yml lifeboat.postgres.dr_rebuild -e lifeboat_hosts=NEW_HOST"
    page = (tmp_path / "reports/db1/assessment-main.html").read_text(encoding="utf-8")
    assert command in told and command in page and "=> Rebuild on an empty host" in told
    assert "failed=0" in told and "changed=0" in told and "unreachable=0" in told


def test_a_chosen_way_back_that_is_not_open_is_refused_before_anything_is_touched(
    installed: Path, copy: Copy, tmp_path: Path
) -> None:
    words = ("-e", "dr_look_from=localhost", "-e", "dr_disaster=deletion")
    told = ways(installed, copy.root.parent, tmp_path / "reports", *words, "-e", "dr_way=in_place", status=2)
    assert "in_place is not open: No moment is named" in told and "Nothing was touched" in told


@only_all
def test_a_way_back_that_cannot_be_is_refused(installed: Path, copy: Copy, tmp_path: Path) -> None:
    words = ("-e", "dr_look_from=localhost", "-e", "dr_disaster=deletion")
    told = ways(installed, copy.root.parent, tmp_path / "reports", *words, "-e", "dr_way=rebuild", status=2)
    assert "rebuild is not one of the ways back here: " in told
    past = ("-e", "dr_look_from=localhost", "-e", "dr_as_of=2026-01-01T00:00:00Z", "-e", "dr_way=rebuild")
    told = ways(installed, copy.root.parent, tmp_path / "reports", *past, status=2)
    assert "dr_as_of requires dr_way=as_of" in told
    wrong = ("-e", "dr_target=time", "-e", "dr_target_value=2020-01-01T00:00:00Z")
    told = ways(installed, copy.root.parent, tmp_path / "reports", *words, *wrong, status=2)
    assert "The nearest that can be reached is " in told


def test_the_playbook_of_a_chosen_way_back_follows_and_no_other(installed: Path, copy: Copy, tmp_path: Path) -> None:
    write_inventory(installed, [{"name": "kept", "type": "directory", "path": str(copy.root.parent)}])
    words = ("-i", installed / "inventory.yml", "lifeboat.postgres.dr", "--check", "-e", "dr_look_from=localhost")
    words += ("-e", "dr_way=rebuild", "-e", f"dr_report_dir={tmp_path}")
    told = ansible(installed, "ansible-playbook", *words)
    assert "=> Rebuild on an empty host" in told and "will replace the lost server" in told
    assert "will be restored in place" not in told and "failed=0" in told and "changed=0" in told
