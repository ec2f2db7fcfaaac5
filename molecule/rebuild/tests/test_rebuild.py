# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story, in order: protected, under load, cut off, lost, rebuilt, lost again, rebuilt to a time.

The ledger of acknowledged commits lies outside the hosts, so that what is lost is counted and not estimated.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import uuid
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Tuple

import pytest
import yaml
from testinfra.host import Host

CHECKOUT = Path(os.environ["LIFEBOAT_CHECKOUT"])
sys.path.insert(0, str(CHECKOUT / ".build" / "lib"))

from lifeboat.drill.judge import TimeTarget, Verdict, WalTarget, judge  # noqa: E402
from lifeboat.drill.ledger import read  # noqa: E402
from lifeboat.drill.records import Ledger  # noqa: E402
from lifeboat.postgres.wal_names import parse_lsn  # noqa: E402

PREFIX = f"lifeboat{os.environ['LIFEBOAT_HOSTS']}-rebuild"
RUN = CHECKOUT / ".build" / "hosts" / "evidence" / uuid.uuid4().hex[:8]
REPORTS = RUN / "reports"
STORE = f"10.{os.environ['LIFEBOAT_HOSTS']}.1.3/32"
CUT_OFF_SECONDS = 20


def podman(*arguments: str, **options: Any) -> str:
    """Run podman; its output."""
    return subprocess.run(["podman", *arguments], check=True, capture_output=True, text=True, **options).stdout


def playbook(name: str, host: str, *arguments: str, status: int = 0) -> str:
    """Run a playbook of the collection on one host, as a user does; its output."""
    inventory = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "inventory")
    words = ["-e", f"lifeboat_hosts={host}", "-e", f"dr_report_dir={REPORTS}", *arguments]
    log = RUN / f"{len(list(RUN.iterdir())):02d}-{name}-{host}.log"
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            ["ansible-playbook", "-i", str(inventory), f"lifeboat.postgres.{name}", *words],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    told = log.read_text(encoding="utf-8")
    assert done.returncode == status, f"{name} on {host} ended with {done.returncode}: {told[-6000:]}"
    return told


def changes(told: str) -> int:
    """How many tasks of a playbook changed something."""
    return sum(int(number) for number in re.findall(r"changed=(\d+)", told))


def sql(host: Host, statement: str, database: str = "rusty_saas") -> str:
    """What psql prints, as the cluster's owner."""
    return str(host.check_output("runuser -u postgres -- psql -XqAt --dbname=%s --command=%s", database, statement))


def until(ready: Callable[[], bool], what: str, seconds: float = 240) -> None:
    """Wait, and say for what in vain."""
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, f"waited {seconds} s in vain until {what}"
        time.sleep(1)


def contents(host: Host) -> Dict[str, Any]:
    """What the repository holds, as a host sees it."""
    told = host.check_output("runuser -u postgres -- lifeboat --config /etc/lifeboat/shop.yml --json list")
    return dict(json.loads(told))


def wait_archived(host: Host) -> None:
    """End the current segment, and wait until it is archived."""
    segment = sql(host, "SELECT pg_walfile_name(pg_switch_wal())", "postgres")
    question = f"SELECT coalesce(left(last_archived_wal, 24), '') >= '{segment}' FROM pg_stat_archiver"
    until(lambda: sql(host, question, "postgres") == "t", f"{segment} is archived")


@pytest.fixture(scope="module", autouse=True)
def evidence() -> None:
    """A place for what outlives every host."""
    RUN.mkdir(mode=0o1777)
    RUN.chmod(0o1777)


@pytest.fixture(scope="module")
def ledger(machines: Dict[str, Host], evidence: None) -> Iterator[Path]:
    """A writer in the application's database; it ends with its host."""
    config = yaml.safe_load(machines["db13"].file("/etc/lifeboat/shop.yml").content_string)
    config["connection"]["dbname"] = "rusty_saas"
    name, inside = f"{PREFIX}-db13", f"/evidence/{RUN.name}"
    put = ["sh", "-c", "umask 077; cat >/tmp/ledger.yml"]
    podman("exec", "--user=postgres", "--interactive", name, *put, input=yaml.safe_dump(config))
    words = ["lifeboat", "--config", "/tmp/ledger.yml", "drill-ledger", "--evidence", inside, "--rate=50"]
    podman("exec", "--user=postgres", "--detach", name, *words)
    path = RUN / "ledger.jsonl"
    until(lambda: path.exists() and path.stat().st_size > 0, "the ledger has a line")
    yield path


def records(path: Path) -> Ledger:
    """The ledger, without a last line that its dying writer left unfinished."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("\n") + 1], encoding="utf-8")
    return read(str(path))


def present(host: Host) -> FrozenSet[int]:
    return frozenset(int(line) for line in sql(host, "SELECT id FROM lifeboat_ledger").split())


def report(host: str) -> Dict[str, Any]:
    """The incident's report on the controller."""
    assert (REPORTS / host / "incident.html").stat().st_size > 1000
    return dict(json.loads((REPORTS / host / "incident.json").read_text(encoding="utf-8")))


def note(name: str, told: Dict[str, Any], verdict: Verdict) -> None:
    """Leave the figures for a reader."""
    figures = {"recovery_time": told["recovery_time"], "phases": {p["name"]: p["seconds"] for p in told["phases"]}}
    loss = {k: v for k, v in verdict.as_dict().items() if k != "lost"}
    (RUN / f"figures-{name}.json").write_text(json.dumps({**figures, "ledger": loss}, indent=2), encoding="utf-8")


def healthy(host: Host) -> None:
    """The application answers through nginx, and its database takes writes."""
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1/health').read().decode())"
    assert json.loads(host.check_output("python3 -c %s", ask))["status"] == "ok"


def protected(host: Host, timeline: int) -> None:
    """Archiving works on the new timeline, there is a full backup of it, and the schedule is back."""
    assert sql(host, "SELECT timeline_id FROM pg_control_checkpoint()", "postgres") == str(timeline)
    wait_archived(host)
    held = contents(host)
    assert held["backups"][-1]["timeline"] == timeline and held["windows"][-1]["timeline"] == timeline
    assert host.file("/etc/cron.d/lifeboat-shop").exists
    assert host.run("runuser -u postgres -- lifeboat --config /etc/lifeboat/shop.yml check").rc in (0, 2)


# A rebuild takes minutes, and more on a busy machine; nothing here asserts how many.
pytestmark = pytest.mark.timeout(3600)

STATE: Dict[str, Any] = {}


def test_the_spares_are_empty(machines: Dict[str, Host]) -> None:
    for name in ("empty13", "again13"):
        assert machines[name].run("dpkg-query --list 'postgresql*' 'python3-boto3'").rc != 0
        assert not machines[name].file("/etc/postgresql").exists


def test_the_installed_cron_entry_makes_a_backup(machines: Dict[str, Host]) -> None:
    host = machines["db13"]
    lines = host.file("/etc/cron.d/lifeboat-shop").content_string.splitlines()
    settings = dict(line.split("=", 1) for line in lines if re.match(r"^[A-Z_]+=", line))
    (entry,) = [line for line in lines if re.match(r"^[0-9*].* shop full$", line)]
    command = entry.split(maxsplit=6)[6]
    before = len(contents(host)["backups"])
    # cron's environment, and nothing else.
    environment = f"HOME=/root LOGNAME=root SHELL={settings['SHELL']} PATH={settings['PATH']}"
    host.check_output(f"env -i {environment} {settings['SHELL']} -c %s", command)
    assert len(contents(host)["backups"]) == before + 1


def test_archiving_catches_up_after_the_store_was_away(machines: Dict[str, Host], ledger: Path) -> None:
    host = machines["db13"]
    host.check_output("ip route add blackhole %s", STORE)
    try:
        end = time.monotonic() + CUT_OFF_SECONDS
        while time.monotonic() < end:
            sql(host, "SELECT pg_switch_wal()", "postgres")
            time.sleep(5)
    finally:
        host.check_output("ip route del blackhole %s", STORE)
    wait_archived(host)
    assert contents(host)["gaps"] == []


def test_the_server_is_lost_and_comes_back(machines: Dict[str, Host], ledger: Path) -> None:
    time.sleep(3)
    at = datetime.now(timezone.utc)
    podman("rm", "--force", "--time=0", f"{PREFIX}-db13")
    happened = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    playbook("dr_rebuild", "empty13", "-e", "dr_confirm=yes", "-e", "dr_watch=5", "-e", f"dr_disaster_at={happened}")
    host, told = machines["empty13"], report("empty13")
    assert told["result"] == "recovered" and told["recovery_time"]["kept"]
    restored, window = told["restored"]["shop"], told["sources"]["shop"]["window"]
    target = WalTarget(parse_lsn(restored["reached_lsn"]), parse_lsn(window["end_lsn"]))
    verdict = judge(records(ledger).records, present(host), target, at)
    note("latest", told, verdict)
    assert verdict.good and verdict.required > 0, verdict.as_dict()
    healthy(host)
    protected(host, 2)
    STATE["ledger"] = records(ledger)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("dr_rebuild", ()), ("protect", ()), ("backup", ("-e", "backup_max_age=86400"))],
)
def test_a_second_run_changes_nothing(name: str, arguments: Tuple[str, ...]) -> None:
    assert changes(playbook(name, "empty13", "-e", "dr_confirm=yes", *arguments)) == 0


def test_a_server_that_still_archives_stops_the_next_rebuild(machines: Dict[str, Host]) -> None:
    host = machines["empty13"]
    writer = subprocess.Popen(
        ["podman", "exec", "--user=postgres", f"{PREFIX}-empty13", "sh", "-c",
         "while sleep 2; do psql -Xqc 'SELECT pg_switch_wal(), txid_current()' >/dev/null; done"]
    )  # fmt: skip
    try:
        told = playbook("dr_rebuild", "again13", "-e", "dr_confirm=yes", "-e", "dr_watch=20", status=2)
    finally:
        writer.kill()
    assert "New WAL arrived in the repository while this playbook looked" in told
    assert not machines["again13"].file("/etc/postgresql").exists
    assert host.service("postgresql@17-main").is_running


def test_lost_again_it_comes_back_to_a_time(machines: Dict[str, Host]) -> None:
    commits: List[Any] = list(STATE["ledger"].commits)
    moment = commits[len(commits) // 2].acked_at
    at = datetime.now(timezone.utc)
    podman("rm", "--force", "--time=0", f"{PREFIX}-empty13")
    value = moment.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    words = ["-e", "dr_target=time", "-e", json.dumps({"dr_target_value": value}), "-e", "dr_fenced=yes"]
    playbook("dr_rebuild", "again13", "-e", "dr_confirm=yes", *words)
    host, told = machines["again13"], report("again13")
    verdict = judge(STATE["ledger"].records, present(host), TimeTarget(moment), at)
    note("time", told, verdict)
    assert verdict.good and verdict.required > 0 and verdict.forbidden > 0, verdict.as_dict()
    healthy(host)
    protected(host, told["restored"]["shop"]["timeline"])
