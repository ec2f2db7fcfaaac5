# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nobody gains from what root does on a database host: no ordinary user, not postgres, not the repository's writer."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List

import pytest
from steps import CHECKOUT, Playbooks, lifeboat, only_all, until
from testinfra.host import Host

sys.path.insert(0, str(CHECKOUT / ".build" / "lib"))

from lifeboat.records.model import format_time, seal_record
from lifeboat.repository.labels import make_label

JOB = "/usr/lib/lifeboat/bin/lifeboat-job"
UNIT = "lifeboat-job@db13:check.service"
CONF_D = "/etc/postgresql/17/main/conf.d"
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def host(machines: Dict[str, Host]) -> Host:
    return machines["db13"]


@pytest.fixture
def quiet(host: Host) -> Iterator[None]:
    """Without cron, which starts a check every five minutes, as the test does."""
    host.check_output("systemctl stop cron")
    state = "systemctl show --property=ActiveState --value %s"
    until(lambda: host.check_output(state, UNIT) in ("inactive", "failed"), "no check runs")
    yield
    host.check_output("systemctl start cron")


@pytest.fixture
def command(host: Host, quiet: None) -> Iterator[str]:
    """A file that the host runs instead of ``lifeboat``. The notified status of a job is in /tmp/told."""
    contacts = "mail=; notify='echo $LIFEBOAT_STATUS >>/tmp/told'"
    host.check_output("cp -p /usr/bin/lifeboat /usr/bin/lifeboat.kept; cp -p /etc/lifeboat/db13.job /etc/lifeboat.kept")
    host.check_output("echo %s >>/etc/lifeboat/db13.job; rm -f /tmp/told", contacts)
    yield "/usr/bin/lifeboat"
    host.check_output("mv /usr/bin/lifeboat.kept /usr/bin/lifeboat && mv /etc/lifeboat.kept /etc/lifeboat/db13.job")
    host.run("systemctl stop %s; systemctl reset-failed 'lifeboat-job@*'", UNIT)
    assert host.run(f"{JOB} db13 check").rc == 0


def does(host: Host, command: str, words: str) -> None:
    host.check_output("printf '#!/bin/sh\n%%s\n' %s >%s", words, command)


def told(host: Host) -> List[str]:
    return host.run("cat /tmp/told").stdout.split()


def as_user(host: Host, user: str, words: str) -> Any:
    return host.run("runuser -u %s -- sh -c %s", user, words)


def test_an_ordinary_user_cannot_stop_a_job(host: Host, quiet: None) -> None:
    host.run("useradd --create-home mallory")
    old, state = "/run/lock/lifeboat-db13-check.lock", "/var/lib/lifeboat/state"
    host.check_output("rm -f %s", old)
    hold = f"for lock in {old} {state}/lifeboat-db13-check.lock; do flock $lock sleep 60 & done"
    as_user(host, "mallory", f"({hold}) >/dev/null 2>&1")
    until(lambda: host.file(old).exists, "the lock is taken")
    try:
        assert host.run(f"{JOB} db13 check").rc == 0
        assert as_user(host, "mallory", f"ls {state}").rc != 0
        assert as_user(host, "postgres", f"ls {state}").rc != 0
    finally:
        host.run("pkill -u mallory; rm -f %s", old)


def test_a_job_of_the_owner_has_nothing_of_root(host: Host, command: str) -> None:
    words = "grep -E '^(Uid|CapBnd|CapInh|NoNewPrivs)' /proc/self/status; echo HOME=$HOME; su -c 'echo became root'"
    does(host, command, f"{words} </dev/null; exit 0")
    assert host.run(f"{JOB} db13 check").rc == 0
    last = host.check_output("tail -n 9 /var/log/lifeboat/db13-check.log")
    uid = host.check_output("id -u postgres")
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}" in last and "HOME=/var/lib/postgresql" in last
    assert "CapBnd:\t0000000000000000" in last and "CapInh:\t0000000000000000" in last and "NoNewPrivs:\t1" in last
    assert "became root" not in last


def test_a_job_that_runs_on_and_one_that_is_killed_are_told(host: Host, command: str) -> None:
    does(host, command, "sleep 600")
    host.check_output("systemctl start --no-block %s", UNIT)
    until(lambda: host.run("pgrep -u postgres -x sleep").rc == 0, "the job runs")
    assert host.run(f"{JOB} db13 check").rc == 75 and told(host) == []
    assert host.run(f"{JOB} db13 check").rc == 75 and told(host) == ["75"]
    host.check_output("kill -KILL $(systemctl show --property=MainPID --value %s)", UNIT)
    until(lambda: told(host) == ["75", "KILL"], "the end of the job is told")
    assert host.check_output("systemctl show --property=Result --value %s", UNIT) == "signal"


def test_1_is_a_warning_of_a_check_and_a_failure_of_a_backup(host: Host, command: str) -> None:
    does(host, command, "exit 1")
    assert host.run(f"{JOB} db13 check").rc == 10
    assert host.check_output("systemctl show --property=Result --value %s", UNIT) == "success"
    assert host.run(f"{JOB} db13 full").rc == 1
    assert host.check_output("systemctl show --property=Result --value 'lifeboat-job@db13:full.service'") == "exit-code"
    assert told(host) == ["10", "1"]


@pytest.mark.parametrize("place", ["/etc/lifeboat-victim", "/usr/lib/lifeboat-victim", "/root/victim"])
def test_a_link_in_the_spool_leads_the_job_of_root_nowhere(host: Host, place: str) -> None:
    local, copies = "/var/lib/lifeboat/spool/db13/audit.jsonl", "files list postgresql"
    # Only this test starts the job.
    host.check_output("systemctl stop lifeboat-db13-files-on-change.path lifeboat-db13-files-on-change.service")
    before = len(lifeboat(host, "db13", copies)["copies"])
    as_user(host, "postgres", f"mv {local} {local}.kept; ln -s {place} {local}")
    # Something to store, so that there is something to put on record.
    as_user(host, "postgres", f"echo '# {place}' >>/etc/postgresql/17/main/pg_ident.conf")
    try:
        host.run(f"{JOB} db13 files")
        assert len(lifeboat(host, "db13", copies)["copies"]) == before + 1
        assert host.run("ls -l %s", place).rc != 0
    finally:
        host.run("rm -f %s %s; mv %s.kept %s", place, local, local, local)
        host.run("systemctl reset-failed 'lifeboat-job@*'; systemctl start lifeboat-db13-files-on-change.path")


def test_a_link_in_the_servers_configuration_leads_the_role_nowhere(host: Host, playbook: Playbooks) -> None:
    victim = "/etc/lifeboat-victim.d"
    host.check_output("install -d %s", victim)
    assert as_user(host, "postgres", f"mv {CONF_D} {CONF_D}.kept && ln -s {victim} {CONF_D}").rc == 0
    try:
        told = playbook.role("wal_archive", "db13", status=2)
        assert "Write the settings" in told[told.index("[ERROR]") :] or "not writable" in told
        assert host.check_output("ls -A %s", victim) == ""
    finally:
        host.check_output("rm -f %s && mv %s.kept %s && rmdir %s", CONF_D, CONF_D, CONF_D, victim)
    assert "failed=0" in playbook.role("wal_archive", "db13")


def test_a_link_instead_of_the_main_configuration_shows_the_role_nothing(host: Host, playbook: Playbooks) -> None:
    main = "/etc/postgresql/17/main/postgresql.conf"
    host.check_output("install -m 0600 /dev/null /etc/lifeboat-secret && echo 'words of root' >/etc/lifeboat-secret")
    assert as_user(host, "postgres", f"mv {main} {main}.kept && ln -s /etc/lifeboat-secret {main}").rc == 0
    try:
        told = playbook.role("wal_archive", "db13", "-vvv", status=2)
        assert "d29yZHMgb2Ygcm9vd" not in told and "words of root" not in told
    finally:
        host.check_output("rm -f %s && mv %s.kept %s && rm /etc/lifeboat-secret", main, main, main)


@pytest.fixture
def forged(host: Host, store: Any) -> Iterator[Any]:
    """Stores a full backup's files under another label, and its record with changes, as the writer's keys allow."""
    began = datetime.now(timezone.utc).replace(microsecond=0)
    label, prefix = make_label(began, "full"), "production/db13/backups/"
    newest = [b["label"] for b in lifeboat(host, "db13", "list")["backups"] if b["type"] == "full"][-1]

    def stored() -> List[str]:
        found = store.list_objects_v2(Bucket="lifeboat", Prefix=f"{prefix}{label}/").get("Contents", [])
        return [item["Key"] for item in found]

    def drop() -> None:
        for key in stored():
            store.delete_object(Bucket="lifeboat", Key=key)

    def store_it(changes: Dict[str, Any]) -> str:
        drop()
        key = f"{prefix}{newest}/manifest.json"
        record = json.loads(store.get_object(Bucket="lifeboat", Key=key)["Body"].read())
        for file in record["files"]:
            content = store.get_object(Bucket="lifeboat", Key=f"{prefix}{newest}/{file['name']}")["Body"].read()
            store.put_object(Bucket="lifeboat", Key=f"{prefix}{label}/{file['name']}", Body=content)
        times = dict.fromkeys(("started_at", "finished_at"), format_time(began))
        body = seal_record({**record, "label": label, **times, **changes})
        store.put_object(Bucket="lifeboat", Key=f"{prefix}{label}/manifest.json", Body=body)
        return label

    yield store_it
    drop()


@pytest.mark.parametrize(
    "place",
    [
        "/etc/lifeboat-victim",
        pytest.param("/srv/fast/../lifeboat-victim", marks=only_all),
        pytest.param("/var/lib/lifeboat-victim", marks=only_all),
    ],
)
def test_a_backup_cannot_say_where_root_makes_a_directory(
    host: Host, playbook: Playbooks, forged: Any, place: str
) -> None:
    label = forged({"tablespaces": [{"oid": "16999", "name": "fast", "location": place}]})
    given = {"server_label": label, "server_tablespace_dirs": ["/srv/fast"]}
    told = playbook.role("server", "db13", "-e", json.dumps(given), status=2)
    words = " ".join(told[told.index("[ERROR]") :].split())
    assert "lifeboat_tablespace_dirs" in words or "has an impossible" in words, words
    assert host.run("ls -d /etc/lifeboat-victim /srv/lifeboat-victim /var/lib/lifeboat-victim").stdout == ""


def test_a_tablespace_comes_back_where_the_configuration_allows_it(
    host: Host, playbook: Playbooks, forged: Any
) -> None:
    host.check_output("install -d /srv/fast && rm -rf /srv/fast/deep")
    label = forged({"tablespaces": [{"oid": "16999", "name": "fast", "location": "/srv/fast/deep/history"}]})
    given = {"server_label": label, "server_tablespace_dirs": ["/srv/fast"]}
    playbook.role("server", "db13", "-e", json.dumps(given))
    made = {path: host.file(path) for path in ("/srv/fast", "/srv/fast/deep", "/srv/fast/deep/history")}
    assert [file.user for file in made.values()] == ["root", "root", "postgres"]
    assert "changed=0" in playbook.role("server", "db13", "-e", json.dumps(given))
