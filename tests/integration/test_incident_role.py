# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role ``incident`` and its module write phases into the record, and never fail a restore where they cannot."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.config.load import Config, DirectoryOptions, parse
from lifeboat.incident import actions
from lifeboat.incident.places import opened
from lifeboat.incident.timeline import Incident
from lifeboat.repository.repository import Repositories
from support.choice import represented
from support.postgres import entry
from support.records import SYSTEM
from support.stores import ROOT

pytestmark = pytest.mark.integration

ID = "20261122T140159Z-localhost"


def ansible(home: Path, *words: str, program: str = "ansible-playbook", status: int = 0) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).parent / program), *words],
        cwd=home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith("ANSIBLE_")}, "HOME": str(home),
            "ANSIBLE_HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build" / "collections"),
            "ANSIBLE_LOCALHOST_WARNING": "False",
        },
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


class Play:
    """A playbook that runs phases of the role on this machine."""

    def __init__(self, home: Path, store: Path, **more: Any) -> None:
        self.home = home
        self.repository = entry(0, DirectoryOptions(str(store)))
        (home / "good.yml").write_text("- ansible.builtin.debug: {msg: well}\n")
        (home / "bad.yml").write_text("- ansible.builtin.fail: {msg: the disk is full}\n")
        # No extra variable: a fact would not replace it.
        self.state = {
            "id": ID, "host": "localhost", "in_place": False, "ordered_at": "2026-11-22T14:01:59Z", "ordered_by": "ann",
            "disaster_at": "", "old_host": "", "target": "latest", "phases": [], "sources": {}, "results": {},
        }  # fmt: skip
        self.variables: Dict[str, Any] = {
            "ansible_become": False, "ansible_connection": "local", "ansible_python_interpreter": sys.executable,
            "incident_clusters": [{"name": "main"}], "incident_repositories": [self.repository],
            "incident_record": str(home / "record.json"), "incident_report_dir": str(home / "report"),
            "incident_events_from": "localhost", "lifeboat_incidents": {}, **more,
        }  # fmt: skip

    def __call__(self, *phases: str, check: bool = False, status: int = 0) -> str:
        """Each phase is ``NAME:FILE``."""
        tasks: List[Dict[str, Any]] = []
        for phase in phases:
            name, file = phase.split(":")
            tasks.append(
                {
                    "ansible.builtin.include_role": {"name": "lifeboat.postgres.incident", "tasks_from": "phase.yml"},
                    "vars": {"incident_phase": name, "incident_tasks": str(self.home / file)},
                }
            )
        play = {"hosts": "localhost", "gather_facts": False, "vars": {"incident_state": self.state}, "tasks": tasks}
        (self.home / "play.yml").write_text(json.dumps([play]))
        (self.home / "vars.json").write_text(json.dumps(self.variables))
        more = ["--check"] if check else []
        return ansible(self.home, "play.yml", "-e", f"@{self.home / 'vars.json'}", *more, status=status)

    @property
    def config(self) -> Config:
        incidents = {"spool_dir": str(self.home / "report/incidents")}
        audit = {"file": str(self.home / "audit.jsonl"), "syslog": ""}
        return parse({"cluster": "main", "repositories": [self.repository], "incidents": incidents, "audit": audit})

    def incidents(self) -> List[Incident]:
        with opened(self.config) as places:
            return list(places.look().incidents.values())


def begin(store: Path) -> None:
    store.mkdir()
    config = parse({"cluster": "main", "repositories": [entry(0, DirectoryOptions(str(store)))]})
    repositories = Repositories.open(config)
    repositories.items[0].adopt(SYSTEM)
    repositories.close()


def told(incident: Incident) -> List[str]:
    return [f"{e.details['phase']} {e.details['state']} {e.text}".strip() for e in incident.of("phase")]


def test_each_phase_is_in_the_record_and_a_person_sees_it(tmp_path: Path) -> None:
    begin(tmp_path / "store")
    people = [{"name": "Ann <b>", "roles": ["commander"], "phone": "+49 69 123"}]
    play = Play(tmp_path, tmp_path / "store", lifeboat_incidents={"contacts": people})
    play("server:good.yml", check=True)
    assert play.incidents() == []
    out = play("server:good.yml", "configuration:bad.yml", status=2)
    assert "Phase configuration failed." in out
    page = (tmp_path / "report/incident.html").read_text()
    assert "Ann &lt;b&gt; (commander)" in page and "+49 69 123" in page
    assert "Close the incident once it is over" in page
    (incident,) = play.incidents()
    assert (
        incident.id == ID
        and incident.is_open
        and "rebuild of a lost server" in incident.as_dict(incident.events[0].at)["title"]
    )
    assert told(incident)[:3] == ["server began", "server done", "configuration began"]
    assert told(incident)[3].startswith("configuration failed") and "the disk is full" in told(incident)[3]
    # Somebody goes on: the same incident, and nothing twice.
    play("configuration:good.yml")
    assert told(play.incidents()[0])[4:] == ["configuration began", "configuration done"]


def test_nothing_is_recorded_while_clients_wait(tmp_path: Path) -> None:
    """What urgent phases would have written follows before the next one, or with a failure."""
    begin(tmp_path / "store")
    play = Play(tmp_path, tmp_path / "store", incident_urgent=["database", "clients"])
    play("claim:good.yml", "database:good.yml", "clients:bad.yml", status=2)
    record = json.loads((tmp_path / "record.json").read_text())
    assert [(p["name"], p["result"]) for p in record["phases"]] == [
        ("claim", "done"), ("database", "done"), ("clients", "failed"),
    ]  # fmt: skip
    seen = told(play.incidents()[0])
    assert seen[:2] == ["claim began", "claim done"] and seen[2].startswith("database done at 20")
    assert seen[3].startswith("clients failed") and len(seen) == 4
    play("claim:good.yml", "database:good.yml", "clients:good.yml", "application:good.yml")
    later = told(play.incidents()[0])[4:]
    assert [words.split(" at ")[0] for words in later] == [
        "claim began", "claim done", "database done", "clients done", "application began", "application done",
    ]  # fmt: skip


def test_an_incident_that_a_person_opened_is_used(tmp_path: Path) -> None:
    begin(tmp_path / "store")
    play = Play(tmp_path, tmp_path / "store")
    first = actions.open_incident(play.config, "the database is wrong").incident.id
    play("server:good.yml")
    (incident,) = play.incidents()
    assert incident.id == first and told(incident) == ["server began", "server done"]


@represented(case=["no repository", "no place"])
@pytest.mark.parametrize("case", ["no repository", "no place", "not wanted"])
def test_a_restore_goes_on_where_nothing_can_be_recorded(tmp_path: Path, case: str) -> None:
    more = {"incident_write_events": False} if case == "not wanted" else {}
    play = Play(tmp_path, tmp_path / "store", **more)
    if case == "no place":
        (tmp_path / "report").mkdir()
        (tmp_path / "report/incidents").write_text("a file where the directory would be")
    out = play("server:good.yml")
    assert json.loads((tmp_path / "record.json").read_text())["phases"][0]["result"] == "done"
    assert ("was not recorded, and the playbook continues" in out) == (case == "no place")
    if case == "no repository":
        # The controller has it, and brings it to the repository later.
        begin(tmp_path / "store")
        play("configuration:good.yml")
        play.repository = entry(0, DirectoryOptions(str(tmp_path / "store")))
        with opened(play.config) as places:
            look = places.look()
        brought = [f.number for f in look.found if f.repository == "repo0"]
        assert sorted(brought) == [1, 2, 3, 4, 5]


def test_an_old_server_counts_as_down_only_after_it_was_tried(tmp_path: Path) -> None:
    state = Play(tmp_path, tmp_path / "store").state
    with socket.create_server(("127.0.0.1", 0)) as living, socket.socket() as dead:
        dead.bind(("127.0.0.1", 0))
        for host, port, fenced, words in (
            ("127.0.0.1", dead.getsockname()[1], False, ""),
            ("127.0.0.1", living.getsockname()[1], False, "The old server is still up"),
            ("nowhere.invalid", 5432, False, "dr_old_host is nowhere.invalid, which does not resolve"),
            ("nowhere.invalid", 5432, True, ""),
        ):
            role = "lifeboat.postgres.incident"
            tasks = [
                {"ansible.builtin.include_role": {"name": role, "tasks_from": name}}
                for name in ("old_host.yml", "check_old_host.yml")
            ]
            given = {
                "incident_old_host": host, "incident_clusters": [{"name": "a", "port": port}],
                "incident_fenced": fenced, "__incident_eye": "localhost", "incident_state": state,
            }  # fmt: skip
            play = {"hosts": "localhost", "gather_facts": False, "become": True, "vars": given, "tasks": tasks}
            (tmp_path / "play.yml").write_text(json.dumps([play]))
            # It is tried in check mode too.
            out = ansible(tmp_path, "play.yml", "--check", status=2 if words else 0)
            assert words in " ".join(out.split())


def test_the_module_repeats_nothing_and_check_mode_writes_nothing(tmp_path: Path) -> None:
    begin(tmp_path / "store")
    play = Play(tmp_path, tmp_path / "store")
    config = tmp_path / "main.yml"
    audit = {"file": str(tmp_path / "audit.jsonl"), "syslog": ""}
    config.write_text(json.dumps({"cluster": "main", "repositories": [play.repository], "audit": audit}))

    def module(*words: str, status: int = 0, **options: Any) -> Dict[str, Any]:
        arguments = {
            "config_file": str(config), "incident": ID, "title": "lost", "phase": "server", "state": "began", **options,
        }  # fmt: skip
        out = ansible(
            tmp_path, "localhost", "-m", "lifeboat.postgres.incident_event", "-a", json.dumps(arguments), "-e",
            f"ansible_python_interpreter={sys.executable}", *words, program="ansible", status=status,
        )  # fmt: skip
        found: Dict[str, Any] = json.loads(out[out.rindex("=> {") + 3 : out.rindex("}") + 1])
        return found

    assert module("--check")["changed"] and play.incidents() == []
    first = module(priority="P3", forecast=60)
    assert first["changed"] and (first["incident"], first["number"], first["places"]) == (ID, 2, ["repo0"])
    again = module(priority="P3", forecast=60)
    assert not again["changed"] and again["number"] == 2 and again["places"] == ["repo0"]
    assert module(state="done")["number"] == 3
    assert play.incidents()[0].priority == "P3"
    actions.close(play.config, "over")
    assert module(state="failed", status=2)["error_code"] == "incident_refused"
