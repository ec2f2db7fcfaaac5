# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs reach every required repository at least once, whatever happens to them, the store or the shipper."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest
import yaml
from lifeboat.base import clock
from lifeboat.cli import main as cli
from lifeboat.config import load as config
from lifeboat.config.load import S3Options
from lifeboat.repository.layout import Layout
from lifeboat.repository.log_names import log_name
from lifeboat.repository.repository import Repositories
from support.age import INTRO, make_key, needs_age
from support.lost import flip

pytestmark = pytest.mark.integration
SYSTEM = "7000000000000000001"


class Host:
    """A host with an application's log and PostgreSQL's, and its configuration."""

    def __init__(self, root: Path, **more: Any) -> None:
        self.root, self.state = root, root / "state"
        self.app, self.postgres = root / "log" / "app.log", root / "log" / "postgresql-17-main.log"
        self.app.parent.mkdir()
        repositories = []
        for name in ("near", "far"):
            (root / name).mkdir()
            repositories.append({"name": name, "type": "directory", "path": str(root / name)})
        logs = {
            "state_dir": str(self.state), "interval": 1, "spool_mb": 1,
            "sources": [
                {"stream": "app", "files": [f"{root}/log/a*.log"]},
                {"stream": "postgresql", "files": [str(self.postgres)]},
            ],
        }  # fmt: skip
        self.data: Dict[str, Any] = {
            "cluster": "main", "repositories": repositories, "logs": logs, "audit": {"file": "", "syslog": ""}, **more,
        }  # fmt: skip
        self.file = root / "main.yml"
        self.write()
        self.adopt()

    def write(self) -> None:
        self.file.write_text(yaml.safe_dump(self.data))

    def adopt(self) -> None:
        """Do what the first backup does."""
        repositories = Repositories.open(config.load(str(self.file)))
        for repository in repositories.items:
            repository.adopt(SYSTEM)
        repositories.close()

    def lifeboat(self, *words: str) -> Tuple[int, Any, str]:
        """Status, JSON output, and messages."""
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            status = cli.main(["--config", str(self.file), "--json", *words])
        return status, json.loads(out.getvalue() or "null"), said.getvalue()

    def ship(self) -> Dict[str, Any]:
        status, answer, said = self.lifeboat("log-ship", "--once")
        assert status == 0, said
        return dict(answer)

    def messages(self, *words: str) -> List[str]:
        status, answer, said = self.lifeboat("logs", *words)
        assert status == 0, said
        return [line["message"] for line in answer["lines"]]

    def chunks(self, repository: str = "near") -> List[Path]:
        return sorted(p for p in (self.root / repository / "main" / "logs").glob("*/*/*") if p.is_file())

    @property
    def waiting(self) -> List[Path]:
        return sorted((self.state / "chunks").iterdir())


def say(path: Path, *lines: str) -> None:
    with open(path, "a", encoding="utf-8") as stream:
        stream.write("".join(f"{line}\n" for line in lines))


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.1)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@contextlib.contextmanager
def away(host: Host, repository: str) -> Iterator[None]:
    """The repository is unavailable meanwhile."""
    here = host.root / repository
    here.rename(f"{here}.away")
    try:
        yield
    finally:
        Path(f"{here}.away").rename(here)


def test_shipped_lines_are_read_back(host: Host) -> None:
    say(host.app, "one", "two é", "error: three")
    say(
        host.postgres,
        "2026-11-23 14:02:03.125 UTC [7] LOG:  connection authorized: user=app",
        "2026-11-23 14:02:04 UTC [7] LOG:  statement: DROP TABLE",
        "\torders",
        "2026-11-23 14:02:05 UTC [7] LOG:  checkpoint complete",
    )
    assert host.ship() == {"changed": True, "lines": 7, "chunks": 3, "lost_bytes": 0}
    assert host.ship() == {"changed": False, "lines": 0, "chunks": 0, "lost_bytes": 0}
    assert [p.relative_to(host.root / "near") for p in host.chunks()] == [
        p.relative_to(host.root / "far") for p in host.chunks("far")
    ]
    assert {p.parent.parent.name for p in host.chunks()} == {"app", "postgresql", "security"}
    assert host.waiting == []

    assert host.messages("app") == ["one", "two é", "error: three"]
    assert host.messages("--grep", "^err") == ["error: three"]
    assert host.messages("app", "--host", "elsewhere") == [] == host.messages("app", "--until", "5m")
    old = ("--since", "2026-11-23 14:02:04Z", "--until", "2026-11-23 14:03:00Z")
    assert [m[28:] for m in host.messages("postgresql", *old)] == ["LOG:  checkpoint complete"]
    (first, second) = host.messages("security", *old)
    assert first.endswith("DROP TABLE") and second == "\torders"
    status, _answer, said = host.lifeboat("logs", "nginx")
    assert status == 1 and "no stream nginx" in said and "app, postgresql, security" in said
    status, _answer, said = host.lifeboat("logs", "--since", "yesterday")
    assert status == 1 and "'yesterday' is not a time" in said
    # Who read it is on record.
    read = host.lifeboat("audit", "list")[1]["events"]
    assert {event["what"] for event in read} == {"logs-read"}


def test_a_store_that_is_down_loses_nothing_and_fills_no_disk(host: Host) -> None:
    say(host.app, "before")
    host.ship()
    lines = [os.urandom(5000).hex() for _ in range(600)]
    with away(host, "far"):
        for number, line in enumerate(lines):
            say(host.app, line)
            if number % 100 == 99:
                status, _answer, said = host.lifeboat("log-ship", "--once")
                assert status == 1 and "far" in said
                # Rotated every time, while nobody takes anything.
                for old in range(9, 0, -1):
                    if os.path.exists(f"{host.app}.{old}"):
                        os.rename(f"{host.app}.{old}", f"{host.app}.{old + 1}")
                host.app.rename(f"{host.app}.1")
                os.utime(f"{host.app}.1", (time.time() - 60 + number / 20,) * 2)
                host.app.touch()
        # The other repository has what was read; the spool is bounded by a chunk more than its size.
        assert 10**6 <= sum(p.stat().st_size for p in host.waiting) < 10**6 + 3 * 10**6
        assert len(host.chunks("near")) > len(host.chunks("far"))
    while host.ship()["lines"]:
        pass
    assert host.messages("app") == ["before", *lines] and host.waiting == []
    assert [p.name for p in host.chunks("near")] == [p.name for p in host.chunks("far")]


def test_lines_removed_unread_are_counted_and_reported(host: Host) -> None:
    say(host.app, "one")
    host.ship()
    with away(host, "near"):
        # More than a chunk, so that the spool is full before the end.
        for _ in range(3):
            say(host.app, *(os.urandom(20000).hex() for _ in range(100)))
            host.lifeboat("log-ship", "--once")
        size = host.app.stat().st_size
        say(host.app, "unread")
        host.lifeboat("log-ship", "--once")
        host.app.unlink()
    say(host.app, "after")
    lost = [host.ship() for _ in range(3)][-1]["lost_bytes"]
    (told,) = host.messages("--grep", "were removed before")
    assert 0 < lost < size and told.startswith(f"{lost} bytes or more of {host.app}")
    assert host.messages("app")[-1] == "after"


def test_an_unwritable_spool_is_reported_and_loses_nothing(host: Host) -> None:
    say(host.app, "one")
    host.ship()
    say(host.app, "two")
    (host.state / "chunks").chmod(0o500)
    status, _answer, said = host.lifeboat("log-ship", "--once")
    assert status == 1 and "spool_unusable" in said and str(host.state) in said
    (host.state / "chunks").chmod(0o700)
    host.ship()
    assert host.messages() == ["one", "two"]


@needs_age
def test_sealed_logs_are_sealed_on_the_host_too(tmp_path: Path) -> None:
    key = make_key(tmp_path / "key")
    host = Host(tmp_path, seal={"recipients": [key.recipient]})
    say(host.app, "a secret of somebody")
    with away(host, "far"):
        assert host.lifeboat("log-ship", "--once")[0] == 1
        assert host.waiting and all(p.read_bytes().startswith(INTRO) for p in host.waiting)
    host.ship()
    assert all(p.name.endswith(".age") and p.read_bytes().startswith(INTRO) for p in host.chunks())
    status, _answer, said = host.lifeboat("logs")
    assert status == 1 and "identity_missing" in said
    host.data["seal"]["identity_file"] = str(key.file)
    host.write()
    assert host.messages() == ["a secret of somebody"]


def test_a_shipper_that_is_killed_loses_no_line(host: Host) -> None:
    def start() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "lifeboat.run", "--config", str(host.file), "--quiet", "log-ship"]
        return subprocess.Popen(words)

    written: List[str] = []
    for _ in range(3):
        shipper = start()
        try:
            seen = len(host.chunks())
            for _ in range(20):
                written.append(f"line {len(written)}")
                say(host.app, written[-1])
                time.sleep(0.05)
            wait_for(lambda seen=seen: len(host.chunks()) > seen)  # type: ignore[misc]
        finally:
            shipper.kill()
            shipper.wait()
    shipper = start()
    try:
        wait_for((host.state / "lock").exists)
        wait_for(lambda: host.lifeboat("log-ship", "--once")[2].find("agent_running") > 0)
        written.append("its last word")
        say(host.app, written[-1])
        shipper.send_signal(signal.SIGTERM)
        assert shipper.wait(60) == 0
    finally:
        shipper.kill()
        shipper.wait()
    found = host.messages("app")
    assert list(dict.fromkeys(found)) == written


def test_a_damaged_chunk_is_read_from_the_other_repository(host: Host) -> None:
    say(host.app, "one")
    host.ship()
    (near,), (far,) = host.chunks("near"), host.chunks("far")
    near.chmod(0o600)
    flip(near, 0.5)
    assert host.messages() == ["one"]
    far.chmod(0o600)
    flip(far, 0.5)
    status, answer, _said = host.lifeboat("logs")
    assert status == 1 and answer == {"lines": [], "damaged": [str(near.relative_to(host.root / "near"))]}


def test_retention_removes_old_chunks_and_no_other(host: Host) -> None:
    layout, now = Layout("main"), clock.now()
    say(host.app, "new")
    host.ship()
    (new,) = [str(p.relative_to(host.root / "near")) for p in host.chunks()]
    old: Dict[str, str] = {}
    for stream in ("app", "security"):
        moment = now - timedelta(days=40)
        old[stream] = layout.log(stream, log_name(moment, moment, "db1", "0" * 64, sealed=False))
        for name in ("near", "far"):
            (host.root / name / old[stream]).parent.mkdir(parents=True)
            (host.root / name / old[stream]).write_bytes(b"x")
    status, _answer, said = host.lifeboat("prune", "--allow", "share", "--allow", "age")
    assert status == 0, said
    for name in ("near", "far"):
        assert [p for p in (new, *old.values()) if not (host.root / name / p).exists()] == [old["app"]]


def test_on_s3_and_in_a_repository_that_is_caught_up(host: Host, s3_options: S3Options) -> None:
    host.data["repositories"] = [
        {"name": "s3", "type": "s3", **{k: v for k, v in asdict(s3_options).items() if v is not None}},
        {**host.data["repositories"][1], "required": False},
    ]
    host.write()
    host.adopt()
    say(host.app, "one")
    host.ship()
    assert host.chunks("far") == [] and host.lifeboat("sync")[0] == 0
    shutil.rmtree(host.root / "near")
    host.data["repositories"] = [{**host.data["repositories"][1], "required": True}]
    host.write()
    assert host.messages() == ["one"]
