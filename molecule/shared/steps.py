# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Helpers for the scenarios' tests: run playbooks like a user, query hosts, wait."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Callable, Dict, Optional

import pytest
from testinfra.host import Host

CHECKOUT = Path(os.environ["LIFEBOAT_CHECKOUT"])
HOSTS = CHECKOUT / ".build" / "hosts"
PREFIX = f"lifeboat{os.environ['LIFEBOAT_HOSTS']}-{os.environ['MOLECULE_SCENARIO_NAME']}"
_SUBNETS = {"default": 0, "rebuild": 1, "regions": 2, "disasters": 3, "clusters": 4}
_SUBNET = _SUBNETS[os.environ["MOLECULE_SCENARIO_NAME"]]
STORE_ROUTE = f"10.{os.environ['LIFEBOAT_HOSTS']}.{_SUBNET}.3/32"
# Whether the longest tests are wanted too: make test-all.
ALL = bool(os.environ.get("LIFEBOAT_TEST_ALL"))
only_all = pytest.mark.skipif(not ALL, reason="only in make test-all")


def podman(*arguments: str, **options: Any) -> str:
    """Run podman; its output."""
    return subprocess.run(["podman", *arguments], check=True, capture_output=True, text=True, **options).stdout


class Playbooks:
    """Playbooks of the collection, each with a separate log below ``run``. Reports go to ``run/reports``."""

    def __init__(self, run: Path) -> None:
        self.run_dir = run
        self.reports = run / "reports"

    def __call__(self, name: str, host: str, *arguments: str, status: int = 0, word: Optional[str] = None) -> str:
        """Run one to its end, on a terminal where ``word`` is typed at the prompt; its output."""
        with self._started(name, host, arguments, word is not None) as process:
            log = self._last_log()
            if word is not None and process.stdin:
                until(lambda: process.poll() is not None or "Type yes" in log.read_text(encoding="utf-8"), "it asks")
                time.sleep(1)
                process.communicate(f"{word}\r".encode())
            process.wait()
        told = log.read_text(encoding="utf-8")
        assert process.returncode == status, f"{name} on {host} ended with {process.returncode}: {told[-6000:]}"
        return told

    def interrupted(self, name: str, host: str, *arguments: str, at: str) -> str:
        """Run one until a task's name matches the pattern ``at``, interrupt it as Ctrl-C does; its output."""
        with self._started(name, host, arguments) as process:
            log = self._last_log()
            seen = re.compile(rf"TASK \[.*({at}).*\]")
            # Often, because the last task is soon over.
            until(
                lambda: process.poll() is not None or bool(seen.search(log.read_text(encoding="utf-8"))), at, 900, 0.05
            )
            assert process.poll() is None, f"{name} ended before {at}: {log.read_text(encoding='utf-8')[-6000:]}"
            # Python may lose one that comes while it forks (logging's hook ignores it): whoever waits presses again.
            while process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=1)
        assert process.returncode != 0
        return log.read_text(encoding="utf-8")

    def role(self, name: str, host: str, *arguments: str, status: int = 0) -> str:
        """Run one role of the collection as root; its output."""
        play = [{"hosts": host, "become": True, "gather_facts": False, "roles": [f"lifeboat.postgres.{name}"]}]
        path = self.run_dir / f"role-{name}.yml"
        path.write_text(json.dumps(play), encoding="utf-8")
        return self(str(path), host, *arguments, status=status)

    def report(self, host: str) -> Dict[str, Any]:
        """The incident's report on the controller."""
        assert (self.reports / host / "incident.html").stat().st_size > 1000
        return dict(json.loads((self.reports / host / "incident.json").read_text(encoding="utf-8")))

    def _started(self, name: str, host: str, arguments: Any, terminal: bool = False) -> subprocess.Popen[bytes]:
        inventory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "inventory")
        words = ["-e", f"lifeboat_hosts={host}", "-e", f"dr_report_dir={self.reports}", *arguments]
        what = name if "/" in name else f"lifeboat.postgres.{name}"
        argv = ["ansible-playbook", "-i", str(inventory), what, *words]
        if terminal:
            argv = ["script", "--quiet", "--return", "--command", shlex.join(argv), "/dev/null"]
        log = self.run_dir / f"{len(list(self.run_dir.glob('*.log'))):02d}-{Path(name).stem}-{host}.log"
        with log.open("wb") as stream:
            return subprocess.Popen(
                argv, stdin=subprocess.PIPE if terminal else subprocess.DEVNULL, stdout=stream,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def _last_log(self) -> Path:
        return max(self.run_dir.glob("*.log"))


def changes(told: str) -> int:
    """How many tasks of a playbook changed something."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", told))


def sql(host: Host, statement: str, database: str = "postgres", port: int = 5432) -> str:
    """The output of psql, run as the cluster's owner."""
    words = "runuser -u postgres -- psql -XqAt --port=%s --dbname=%s --command=%s"
    return str(host.check_output(words, str(port), database, statement))


def lifeboat(host: Host, cluster: str, words: str, status: int = 0) -> Any:
    """The JSON result of the host command, run as the cluster's owner."""
    done = host.run(f"runuser -u postgres -- lifeboat --config /etc/lifeboat/{cluster}.yml --json {words}")
    assert done.rc == status, done.stderr or done.stdout
    return json.loads(done.stdout)


def until(ready: Callable[[], bool], what: str, seconds: float = 240, pause: float = 0.5) -> None:
    """Poll every ``pause`` seconds until the condition holds; the error names what did not happen."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}"
        time.sleep(pause)


def wait_archived(host: Host, port: int = 5432) -> None:
    """End the current segment, and wait until it is archived."""
    # Less one: of a boundary, where an idle server is, version 17 names the segment that is yet to come.
    segment = sql(host, "SELECT pg_walfile_name(pg_switch_wal() - 1::numeric)", port=port)
    question = f"SELECT coalesce(left(last_archived_wal, 24), '') >= '{segment}' FROM pg_stat_archiver"
    until(lambda: sql(host, question, port=port) == "t", f"{segment} is archived")
