# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands on a directory: what one person does, another one sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.cli import main as cli


class Command:
    """The host command with a configuration of its own."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config, self._capsys = place / "main.yml", capsys
        (place / "store/main").mkdir(parents=True)
        (place / "store/main/repository.json").write_text("{}")
        store = {"name": "near", "type": "directory", "path": str(place / "store")}
        people = [
            {"name": "Ann", "roles": ["commander"], "phone": "+49 69 1", "mail": "ann@example.com", "order": 1},
            {"name": "Bob", "roles": ["manager", "cto"], "phone": "+49 69 2"},
        ]
        incidents = {"contacts": people, "spool_dir": str(place / "spool")}
        self.config.write_text(
            json.dumps({"cluster": "main", "repositories": [store], "incidents": incidents, "audit": {"syslog": ""}})
        )

    def __call__(self, *words: str, status: int = 0) -> str:
        assert cli.main(["--config", str(self.config), "incident", *words]) == status
        told = self._capsys.readouterr()
        return told.err if status else told.out

    def data(self, *words: str) -> Dict[str, Any]:
        found: Dict[str, Any] = json.loads(self(*words, "--json"))
        return found


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(tmp_path, capsys)


def test_an_incident_from_its_beginning_to_its_end(command: Command) -> None:
    assert command("list").strip() == "no incidents"
    assert "[incident_missing]" in command("note", "x", status=1)
    incident = command.data("open", "--priority", "P2", "the database is wrong")["incident"]
    shown = command("show")
    assert "NOT ACKNOWLEDGED" in shown and "P2" in shown and "left" in shown and "+49 69 1" in shown
    assert "there is no contact 'eve'" in command("ack", "--as", "eve", status=1).lower()
    command("ack", "--as", "Ann")
    command("update", "the standby is intact\nit takes over")
    command("note", "\x1b[31mred")
    action = command.data("action", "--owner", "Bob", "--due", "2026-12-24", "mend the runbook")["details"]["action"]
    assert "is not a date" in command("action", "--owner", "Bob", "--due", "soon", "x", status=1)
    found = command.data("show")
    assert found["incident"] == incident and found["acknowledged_by"].startswith("Ann on")
    assert [e["what"] for e in found["events"]] == ["opened", "acknowledged", "update", "note", "action"]
    assert found["contacts"][1] == {"name": "Bob", "roles": ["manager", "cto"], "phone": "+49 69 2", "mail": None}
    assert "\x1b" not in command("show")
    command("close", "--went-well", "the drill helped", "failed over")
    assert command.data("list")["incidents"][0]["state"] == "closed"
    assert "[incident_missing]" in command("ack", status=1)
    command("action", "--done", action)
    assert command.data("show", "--incident", incident)["actions"][0]["done"]


@pytest.mark.parametrize("due", ["2026-13-01", "2026-02-30", "tomorrow", ""])
def test_a_day_is_one(command: Command, due: str) -> None:
    command("open", "x")
    assert "[config_invalid]" in command("action", "--owner", "Bob", "--due", due, "mend it", status=1)


def test_the_document_is_written_and_check_asks_after_its_actions(command: Command, tmp_path: Path) -> None:
    command("open", "the database is wrong")
    command("action", "--owner", "Bob", "--due", "2020-01-01", "mend the runbook")
    told = command.data("close", "--lost-seconds", "3", "--report", str(tmp_path / "report"), "restored")
    assert [Path(f).name for f in told["files"]] == ["incident.html", "incident.md", "incident.json"]
    command("note", "--review", "lucky", "--incident", told["incident"], "somebody was awake")
    command("show", "--report", str(tmp_path / "report"))
    assert "somebody was awake" in (tmp_path / "report/incident.md").read_text()
    assert (tmp_path / "report/incident.html").stat().st_mode & 0o007 == 0
