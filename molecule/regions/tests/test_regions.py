# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story, in order: a standby fed only by the stores, a switchover and back with nothing lost, the first site
lost, a failover, and a rejoin. At last the other site is lost, and the page says what to do.

The acknowledged commits are recorded outside of both sites, so that losses are counted and not estimated.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, Dict, FrozenSet, List, Tuple

import pytest
from steps import PREFIX, Playbooks, lifeboat, podman, sql, until
from testinfra.host import Host
from walked import Page, on_the_controller
from walked import note as walked

pytestmark = pytest.mark.timeout(3600)

UNIT = "postgresql@17-main"
INSERT = "psql -XqAt --dbname=postgres --command='INSERT INTO ledger DEFAULT VALUES RETURNING id'"
WRITER = "while [ ! -e {file}.end ] && " + INSERT + " >>{file} 2>>{file}.err; do sleep 0.02; done"

# When the first transaction of a client was committed by the new primary. The sequence repeats numbers that are lost.
PROBE = (
    "until psql -XqAt 'host={host} user=postgres dbname=postgres connect_timeout=2 target_session_attrs=read-write'"
    " --command='INSERT INTO ledger VALUES (0)'; do sleep 0.2; done; date +%s.%N >/tmp/first-write"
)


# Commits of clients behind pgbouncer, for as long as the file exists: number, address of the server, time.
CLIENT = (
    "touch {file}.on; export PGCONNECT_TIMEOUT=3;"
    " while [ -e {file}.on ]; do psql -XqAt 'host=127.0.0.1 port=6432 dbname=postgres'"
    " --command=\"INSERT INTO ledger DEFAULT VALUES RETURNING concat_ws(' ', id, host(inet_server_addr()),"
    " extract(epoch FROM clock_timestamp()))\" >>{file} 2>>{file}.err; sleep 0.05; done"
)
# How far a standby is behind in seconds, while its primary commits all the time.
LAG = "SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())"


class Writer:
    """Commits on a host until its server refuses; the numbers that were acknowledged."""

    def __init__(self, host: str, playbook: Playbooks, name: str) -> None:
        self.path: Path = playbook.run_dir / name
        inside = f"/evidence/{playbook.run_dir.name}/{name}"
        podman("exec", "--user=postgres", "--detach", f"{PREFIX}-{host}", "sh", "-c", WRITER.format(file=inside))
        until(lambda: self.path.exists() and self.path.stat().st_size > 20, "the writer has committed")

    def stop(self) -> None:
        """Let it end."""
        self.path.with_suffix(".end").touch()

    @property
    def acknowledged(self) -> FrozenSet[int]:
        return frozenset(int(line) for line in self.path.read_text(encoding="utf-8").split("\n")[:-1])


class Clients:
    """Clients that write through the pgbouncer outside of the first site, whatever happens."""

    def __init__(self, far: Host, name: str) -> None:
        self.far, self.file = far, f"/tmp/{name}"
        podman("exec", "--detach", f"{PREFIX}-far", "sh", "-c", CLIENT.format(file=self.file))
        until(lambda: len(self.commits()) > 3, "clients have committed")

    def commits(self) -> List[Tuple[int, str, float]]:
        lines = self.far.run("cat %s", self.file).stdout.split("\n")[:-1]
        return [(int(number), address, float(when)) for number, address, when in map(str.split, lines)]

    def end(self) -> List[Tuple[int, str, float]]:
        """Stop them; what was acknowledged."""
        self.far.check_output("rm %s.on", self.file)
        return self.commits()


def present(host: Host) -> FrozenSet[int]:
    return frozenset(int(line) for line in sql(host, "SELECT id FROM ledger").split())


def recovering(host: Host) -> bool:
    return sql(host, "SELECT pg_is_in_recovery()") == "t"


def active(host: Host) -> bool:
    return bool(host.run(f"systemctl is-active {UNIT}").rc == 0)


def clients_write(machines: Dict[str, Host], new: str) -> None:
    """Through pgbouncer, HAProxy, and with libpq and both hosts: writes reach the new primary."""
    hosts = ",".join(machines[name].check_output("hostname -I").split()[0] for name in ("db13", "west13") if up(name))
    ways = [
        "host=127.0.0.1 port=6432 dbname=postgres",
        "host=127.0.0.1 port=5433 user=postgres dbname=postgres connect_timeout=3",
        f"host={hosts} user=postgres dbname=postgres connect_timeout=3 target_session_attrs=read-write",
    ]
    for way in ways:
        insert = f"psql -XqAt '{way}' --command='INSERT INTO ledger DEFAULT VALUES RETURNING id'"
        until(lambda: machines["far"].run(insert).rc == 0, f"clients write by {way}", 60)  # noqa: B023
        assert int(machines["far"].check_output(insert)) in present(machines[new])


def up(name: str) -> bool:
    return podman("inspect", "--format={{.State.Running}}", f"{PREFIX}-{name}").strip() == "true"


def leader(host: Host) -> Any:
    return lifeboat(host, "shop", "leader show")["leader"]


def epochs(host: Host) -> int:
    return len(lifeboat(host, "shop", "leader show")["epochs"])


def note(playbook: Playbooks, name: str, told: Dict[str, Any]) -> None:
    """Write the figures to a file, for the reader."""
    (playbook.run_dir / f"figures-{name}.json").write_text(json.dumps(told, indent=2), encoding="utf-8")


def test_the_standby_follows_by_the_stores_alone(machines: Dict[str, Host]) -> None:
    east, west = machines["db13"], machines["west13"]
    sql(east, "CREATE TABLE ledger (id bigserial PRIMARY KEY)")
    sql(east, "INSERT INTO ledger DEFAULT VALUES")
    # As if the other site had another version of ICU.
    sql(east, "CREATE DATABASE words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de'")
    sql(east, "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'words'")
    until(lambda: sql(west, "SELECT to_regclass('ledger') IS NOT NULL") == "t", "the table is there")
    until(lambda: present(west) == present(east), "its row is there")
    assert recovering(west)
    assert sql(west, "SELECT count(*) FROM pg_stat_wal_receiver") == "0", "nothing comes from the primary itself"
    assert leader(west) == "east"


def test_the_standby_is_seconds_behind(machines: Dict[str, Host], playbook: Playbooks) -> None:
    """The lag of a standby that is fed by pieces alone, measured twice a second for half a minute."""
    writer = Writer("db13", playbook, "steady")
    lags = []
    for _ in range(60):
        lags.append(float(sql(machines["west13"], LAG)))
        time.sleep(0.5)
    lags.sort()
    note(playbook, "lag", {"p50": lags[30], "p99": lags[59], "commits": len(writer.acknowledged)})
    writer.stop()
    until(lambda: writer.acknowledged <= present(machines["west13"]), "the standby has every commit")


def test_a_second_run_changes_nothing(playbook: Playbooks) -> None:
    told = playbook("standby", "west13")
    assert "changed=0" in told.splitlines()[-2] or "changed=0" in told[told.rindex("PLAY RECAP") :]


def test_a_primary_is_not_overwritten(machines: Dict[str, Host], playbook: Playbooks) -> None:
    assert "runs as a primary" in playbook("standby", "db13", status=2)
    assert not recovering(machines["db13"])
    told = playbook("dr_restore", "west13", "-e", "dr_confirm=yes", status=2)
    assert "would turn into a second primary" in told and recovering(machines["west13"])


@pytest.mark.parametrize(("old", "new"), [("db13", "west13"), ("west13", "db13")])
def test_a_switchover_loses_nothing(machines: Dict[str, Host], playbook: Playbooks, old: str, new: str) -> None:
    writer, clients = Writer(old, playbook, f"to-{new}"), Clients(machines["far"], f"clients-of-{new}")
    told = playbook("dr_switchover", new, "-e", f"dr_old_primary={old}", "-e", "dr_confirm=yes")
    assert not recovering(machines[new]) and recovering(machines[old])
    # Told beforehand, and done once.
    assert ("shop: words: this host sorts text" in told) == (old == "db13")
    assert sql(machines[new], "SELECT count(*) FROM pg_database WHERE datcollversion = '1'") == "0"
    assert len(writer.acknowledged) > 10 and writer.acknowledged <= present(machines[new])
    report = playbook.report(new)
    commits = clients.end()
    assert {number for number, *_ in commits} <= present(machines[new])
    # Once one has written to the new primary, none writes to the old one.
    addresses = [address for _number, address, _when in commits]
    there = machines[new].check_output("hostname -I").split()[0]
    assert addresses[-1] == there and set(addresses[addresses.index(there) :]) == {there}
    times = [when for *_, when in commits]
    pause = max(after - before for before, after in zip(times, times[1:]))
    phases = {p["name"]: p["seconds"] for p in report["phases"]}
    note(playbook, f"switchover-{new}", {"phases": phases, "write_pause": pause})
    assert leader(machines[new]) == leader(machines[old]) == {"db13": "east", "west13": "west"}[new]
    clients_write(machines, new)
    # The old one follows without a restore.
    assert "Start the restore" not in told
    sql(machines[new], "INSERT INTO ledger DEFAULT VALUES")
    until(lambda: present(machines[old]) == present(machines[new]), "the old primary follows")


def test_a_switchover_that_is_interrupted_goes_on(machines: Dict[str, Host], playbook: Playbooks) -> None:
    """After the old primary has stopped, during the promotion, and after it: one epoch, and nothing is lost.

    At last without the host of the old primary, which is gone by then, and follows when it is back.
    """
    east, west = machines["db13"], machines["west13"]
    writer, before = Writer("db13", playbook, "interrupted"), epochs(west)
    words = ("dr_switchover", "west13", "-e", "dr_old_primary=db13", "-e", "dr_confirm=yes")
    stages = ("Record where the old primary stopped", "Promote the standby", "Set the host of the databases")
    for at in stages:
        playbook.interrupted(*words, at=at)
    podman("kill", f"{PREFIX}-db13")
    assert "so it does not follow" in playbook(*words)
    assert not recovering(west) and epochs(west) == before + 1
    assert len(writer.acknowledged) > 10 and writer.acknowledged <= present(west)
    clients_write(machines, "west13")
    podman("start", f"{PREFIX}-db13")
    booted(east)
    playbook("dr_rejoin", "db13")
    assert recovering(east)
    playbook("dr_switchover", "db13", "-e", "dr_old_primary=west13", "-e", "dr_confirm=yes")
    assert recovering(west) and not recovering(east)


def test_a_switchover_that_is_done_is_not_done_again(machines: Dict[str, Host], playbook: Playbooks) -> None:
    """Repeated, and with the two hosts exchanged: db13 is the primary, and west13 its standby."""
    east, west = machines["db13"], machines["west13"]
    told = playbook("dr_switchover", "db13", "-e", "dr_old_primary=west13", "-e", "dr_confirm=yes", status=2)
    assert "A primary cannot take over from another one" in told
    assert recovering(west) and not recovering(east) and leader(east) == "east"
    told = playbook("dr_failover", "db13", "-e", "dr_fenced=yes", "-e", "dr_confirm=yes", status=2)
    assert "A primary cannot take over from another one" in told and leader(east) == "east"


def test_the_standby_takes_over_once_the_first_site_is_lost(machines: Dict[str, Host], playbook: Playbooks) -> None:
    west = machines["west13"]
    address, new = (machines[name].check_output("hostname -I").split()[0] for name in ("db13", "west13"))
    told = playbook("dr_failover", "west13", "-e", f"dr_old_host={address}", "-e", "dr_confirm=yes", status=2)
    assert "The old server is still up" in told and recovering(west)
    writer = Writer("db13", playbook, "lost")
    until(lambda: len(writer.acknowledged) > 100, "there is something to lose")
    # Nothing streams to this standby, so nobody knows how much the primary has written.
    bytes_only = ["-e", "dr_fenced=yes", "-e", "dr_max_loss=1kB", "-e", "dr_confirm=yes"]
    told = playbook("dr_failover", "west13", "-e", f"dr_old_host={address}", *bytes_only, status=2)
    assert "dr_accept_loss=" in told and recovering(west) and leader(west) == "east"
    began = time.time()
    podman("kill", f"{PREFIX}-db13", f"{PREFIX}-s3")
    podman("exec", "--detach", f"{PREFIX}-far", "sh", "-c", PROBE.format(host=new))
    lost = ["-e", f"dr_old_host={address}", "-e", "lifeboat_lost_repositories=primary", "-e", "dr_confirm=yes"]
    playbook("dr_failover", "west13", *lost, "-e", "dr_max_loss=3600s")
    assert not recovering(west) and leader(west) == "west"
    first_write = float(machines["far"].check_output("cat /tmp/first-write")) - began
    there = writer.acknowledged & present(west)
    gone = writer.acknowledged - there
    clients_write(machines, "west13")
    # Whole transactions from the end on, and nothing in between.
    assert not gone or min(gone) > max(there)
    phases = {p["name"]: p["seconds"] for p in playbook.report("west13")["phases"]}
    figures = {"phases": phases, "first_write": first_write, "lost": len(gone)}
    note(playbook, "failover", {**figures, "acknowledged": len(writer.acknowledged)})


def booted(host: Host) -> None:
    until(lambda: host.run("systemctl is-system-running").stdout.strip() in ("running", "degraded"), "it has booted")


def test_the_old_primary_stays_down_when_it_comes_back(machines: Dict[str, Host]) -> None:
    for name in ("s3", "db13"):
        podman("start", f"{PREFIX}-{name}")
    east = machines["db13"]
    booted(east)
    assert not active(east)
    assert east.run(f"systemctl start {UNIT}").rc != 0 and not active(east)
    guard = east.run("runuser -u postgres -- lifeboat --config /etc/lifeboat/shop.yml leader guard")
    assert guard.rc == 77, guard.stderr


def test_there_is_one_primary_after_both_hosts_restart(machines: Dict[str, Host]) -> None:
    east, west = machines["db13"], machines["west13"]
    podman("restart", f"{PREFIX}-db13", f"{PREFIX}-west13")
    for host in (east, west):
        booted(host)
    until(lambda: active(west), "the new primary is up")
    assert not recovering(west) and not active(east) and leader(west) == "west"


def test_the_old_primary_rejoins(machines: Dict[str, Host], playbook: Playbooks) -> None:
    east, west = machines["db13"], machines["west13"]
    # The repository that was given up is required again, and gets what it lacks.
    playbook.role("agent", "west13")
    lifeboat(west, "shop", "sync --to primary")
    told = playbook("dr_rejoin", "db13", "-e", "standby_rejoin=delta")
    assert recovering(east)
    assert "transactions after" in told
    sql(west, "INSERT INTO ledger DEFAULT VALUES")
    until(lambda: present(east) == present(west), "it follows")


def test_the_other_region_is_lost_and_the_page_says_what_to_do(machines: Dict[str, Host], playbook: Playbooks) -> None:
    """As docs/incident.md says: the page, its command as printed, and the loss accepted by the LSN that was shown."""
    east, far = machines["db13"], machines["far"]
    writer = Writer("west13", playbook, "region")
    until(lambda: len(writer.acknowledged) > 20, "there is something to lose")
    began = time.time()
    podman("kill", f"{PREFIX}-west13")
    far.check_output("systemctl stop weed")
    page = Page(playbook, "west13", "dr_disaster=region", "dr_standby=db13", "dr_fenced=yes")
    assert "standby" in page.best.lower(), page.text
    command = f"{page.command} -e dr_fenced=yes"
    told = on_the_controller(playbook, command, status=None)
    accept = re.search(r"-e dr_accept_loss=(\S+/[0-9A-F]+)", told)
    if recovering(east) and accept is not None:
        on_the_controller(playbook, f"{command} {accept.group(0)}")
    assert not recovering(east) and leader(east) == "east"
    clients_write(machines, "db13")
    lost = len(writer.acknowledged - present(east))
    walked(playbook, "region", began, way=page.best, lost=lost, acknowledged=len(writer.acknowledged))
