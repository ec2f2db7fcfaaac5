# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What disasters are walked with: a ledger of acknowledged commits, the page, and its commands, run as printed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from pathlib import Path
from typing import Any, FrozenSet, List, Optional

from steps import PREFIX, Playbooks, podman, sql, until
from testinfra.host import Host

INSERT = "psql -XqAt --dbname=shop --command='INSERT INTO ledger DEFAULT VALUES RETURNING id'"
WRITER = "while true; do " + INSERT + " >>{0} 2>>{0}.err; sleep 0.05; done"


class Ledger:
    """Commits on the host until it is stopped; the numbers that were acknowledged are outside of all hosts."""

    def __init__(self, playbook: Playbooks) -> None:
        self.path: Path = playbook.run_dir / "ledger"
        inside = f"/evidence/{playbook.run_dir.name}/ledger"
        podman("exec", "--user=postgres", "--detach", f"{PREFIX}-db13", "sh", "-c", WRITER.format(inside))
        until(lambda: len(self.acknowledged) > 2, "the writer has committed")

    @property
    def acknowledged(self) -> FrozenSet[int]:
        if not self.path.exists():
            return frozenset()
        return frozenset(int(line) for line in self.path.read_text(encoding="utf-8").split("\n")[:-1])

    def lost(self, host: Host, of: FrozenSet[int]) -> FrozenSet[int]:
        """What was acknowledged and is not there."""
        return of - frozenset(int(line) for line in sql(host, "SELECT id FROM ledger", "shop").split())


class Page:
    """What ``ansible-playbook lifeboat.postgres.dr`` shows and writes for a host."""

    def __init__(self, playbook: Playbooks, host: str, *words: str) -> None:
        given = [part for word in words for part in ("-e", word)]
        self.told = playbook("dr", host, *given)
        self.text = (playbook.reports / host / "assessment-shop.txt").read_text(encoding="utf-8")
        assert (playbook.reports / host / "assessment-shop.html").stat().st_size > 1000

    @property
    def command(self) -> str:
        """The command to run, as printed."""
        found = re.search(r"^Run, once the first steps are done:\n  (.+)$", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found.group(1)

    @property
    def best(self) -> str:
        """The title of the marked way."""
        found = re.search(r"^=> (.+)$", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found.group(1)

    def first(self, pattern: str) -> str:
        """The part of a first step that the pattern's group names."""
        found = re.search(rf"^  \d+\. .*{pattern}", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found.group(1)

    @property
    def damaged(self) -> List[str]:
        """The lines that say what is damaged."""
        return re.findall(r"^  damaged     (.+)$", self.text, re.MULTILINE)


def on_the_host(name: str, command: str) -> str:
    """A command of the page, as a user who has logged in there pastes it into a shell; its output."""
    done = subprocess.run(
        ["podman", "exec", "--user=admin", "--workdir=/home/admin", f"{PREFIX}-{name}", "bash", "-c", command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def on_the_controller(playbook: Playbooks, command: str, status: Optional[int] = 0) -> str:
    """A playbook of the page as printed, with the confirmation given, and reports where the test looks; its output.

    ``status`` None accepts any exit status.
    """
    words = [*shlex.split(command), "-e", "dr_confirm=yes", "-e", f"dr_report_dir={playbook.reports}"]
    with (playbook.run_dir / "printed.log").open("a", encoding="utf-8") as log:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, check=False)
    told = (playbook.run_dir / "printed.log").read_text(encoding="utf-8")
    assert status is None or done.returncode == status, told[-6000:]
    return told


def note(playbook: Playbooks, disaster: str, began: float, **figures: Any) -> None:
    """Keep the figures of a disaster: the seconds from the first command to now, when a write was committed."""
    told = {"disaster": disaster, "rto": round(time.time() - began, 1), **figures}
    (playbook.run_dir / f"walked-{disaster}.json").write_text(json.dumps(told), encoding="utf-8")
