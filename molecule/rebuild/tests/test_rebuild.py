# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole story, in order: protected, under load, cut off, lost, rebuilt; in make test-all lost again with the first
repository and rebuilt to a time with interruptions; finally a database and a table are restored.

The ledger of acknowledged commits is outside the hosts, so that losses are counted and not estimated.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Tuple

import pytest
import yaml
from steps import (
    ALL,
    CHECKOUT,
    PREFIX,
    STORE_ROUTE,
    Playbooks,
    changes,
    lifeboat,
    only_all,
    podman,
    sql,
    until,
    wait_archived,
)
from testinfra.host import Host
from walked import Page
from walked import note as walked

sys.path.insert(0, str(CHECKOUT / ".build" / "lib"))

from lifeboat.base.wal_names import parse_lsn
from lifeboat.drill.judge import TimeTarget, Verdict, WalTarget, judge
from lifeboat.drill.ledger import read
from lifeboat.drill.records import Ledger

CUT_OFF_SECONDS = 60 if ALL else 20
# Where the application is at last.
LAST = "again12" if ALL else "empty12"
PROVISION = CHECKOUT / "molecule" / "rebuild" / "tasks" / "provision.yml"
PHASES = ["provision", "server", "configuration", "database", "application", "verify", "re-arm"]
# Where Ctrl-C is typed: behind the page, in each phase, and before the report.
BEFORE_THE_DATABASE = [
    "incident : Get the backups and windows of each repository",
    "incident : Wait until the host is reachable",
    "server : Install Debian packages",
    "application : Restore the file sets",
]
BEHIND_THE_PAGE = "incident : Record the basis of the decision"
FROM_THE_DATABASE_ON = [
    "restore : Start the restore",
    "application : Start the application's units",
    "incident : Check that each server is a primary",
    "backup : Back up each cluster",
    "schedule : Show when each job runs",
]


def contents(host: Host) -> Dict[str, Any]:
    """The contents of the first available repository, as a host sees it."""
    return dict(lifeboat(host, "shop", "list"))


@pytest.fixture(scope="module")
def ledger(machines: Dict[str, Host], playbook: Playbooks) -> Iterator[Path]:
    """A writer in the application's database; it ends with its host."""
    config = yaml.safe_load(machines["db12"].file("/etc/lifeboat/shop.yml").content_string)
    config["connection"]["dbname"] = "rusty_saas"
    name, inside = f"{PREFIX}-db12", f"/evidence/{playbook.run_dir.name}"
    put = ["sh", "-c", "umask 077; cat >/tmp/ledger.yml"]
    podman("exec", "--user=postgres", "--interactive", name, *put, input=yaml.safe_dump(config))
    words = ["lifeboat", "--config", "/tmp/ledger.yml", "drill-ledger", "--evidence", inside, "--rate=50"]
    podman("exec", "--user=postgres", "--detach", name, *words)
    path = playbook.run_dir / "ledger.jsonl"
    until(lambda: path.exists() and path.stat().st_size > 0, "the ledger has a line")
    yield path


def records(path: Path) -> Ledger:
    """The ledger, without an incomplete last line."""
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.rindex("\n") + 1], encoding="utf-8")
    return read(str(path))


def present(host: Host) -> FrozenSet[int]:
    return frozenset(int(line) for line in sql(host, "SELECT id FROM lifeboat_ledger", "rusty_saas").split())


def note(run: Path, name: str, told: Dict[str, Any], verdict: Verdict) -> None:
    """Write the figures to a file, for the reader."""
    figures = {key: told[key] for key in ("recovery_time", "loss")}
    figures["phases"] = {p["name"]: p["seconds"] for p in told["phases"]}
    loss = {k: v for k, v in verdict.as_dict().items() if k != "lost"}
    (run / f"figures-{name}.json").write_text(json.dumps({**figures, "ledger": loss}, indent=2), encoding="utf-8")


def healthy(host: Host) -> None:
    """The application responds through nginx, and its database accepts writes."""
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1/health').read().decode())"
    assert json.loads(host.check_output("python3 -c %s", ask))["status"] == "ok"


def protected(host: Host, timeline: int) -> None:
    """Archiving works on the new timeline, there is a full backup of it, and the schedule is back."""
    assert sql(host, "SELECT timeline_id FROM pg_control_checkpoint()") == str(timeline)
    wait_archived(host)
    held = contents(host)
    assert held["backups"][-1]["timeline"] == timeline and held["windows"][-1]["timeline"] == timeline
    assert host.file("/etc/cron.d/lifeboat-shop").exists
    assert host.run("runuser -u postgres -- lifeboat --config /etc/lifeboat/shop.yml check").rc in (0, 1)


# A rebuild takes minutes, and more on a busy machine; nothing here asserts how many.
pytestmark = pytest.mark.timeout(3600)

STATE: Dict[str, Any] = {}


@pytest.mark.parametrize("task", [*BEFORE_THE_DATABASE, BEHIND_THE_PAGE, *FROM_THE_DATABASE_ON])
def test_there_is_such_a_task_to_interrupt(task: str) -> None:
    role, name = task.split(" : ")
    tasks = (CHECKOUT / "roles" / role / "tasks").glob("*.yml")
    assert any(f"- name: {name}" in path.read_text(encoding="utf-8") for path in tasks)


def test_the_spares_are_empty(machines: Dict[str, Host]) -> None:
    for name in ("empty12", "again12"):
        assert machines[name].run("dpkg-query --list 'postgresql*' 'python3-boto3'").rc != 0
        assert not machines[name].file("/etc/postgresql").exists


def test_the_installed_cron_entry_makes_a_backup(machines: Dict[str, Host]) -> None:
    host = machines["db12"]
    lines = host.file("/etc/cron.d/lifeboat-shop").content_string.splitlines()
    settings = dict(line.split("=", 1) for line in lines if re.match(r"^[A-Z_]+=", line))
    (entry,) = [line for line in lines if re.match(r"^[0-9*].* shop full$", line)]
    command = entry.split(maxsplit=6)[6]
    before = len(contents(host)["backups"])
    # cron's environment, and nothing else.
    environment = f"HOME=/root LOGNAME=root SHELL={settings['SHELL']} PATH={settings['PATH']}"
    host.check_output(f"env -i {environment} {settings['SHELL']} -c %s", command)
    # The installed schedule may have made one of its own meanwhile.
    assert len(contents(host)["backups"]) > before


def test_archiving_catches_up_after_the_store_was_away(machines: Dict[str, Host], ledger: Path) -> None:
    host = machines["db12"]
    host.check_output("ip route add blackhole %s", STORE_ROUTE)
    try:
        end = time.monotonic() + CUT_OFF_SECONDS
        while time.monotonic() < end:
            sql(host, "SELECT pg_switch_wal()")
            time.sleep(5)
    finally:
        host.check_output("ip route del blackhole %s", STORE_ROUTE)
    STATE["archived"] = datetime.now(timezone.utc)
    wait_archived(host)
    assert contents(host)["gaps"] == []


def test_a_server_that_answers_stops_the_rebuild(machines: Dict[str, Host], playbook: Playbooks) -> None:
    address = machines["db12"].check_output("hostname -I").split()[0]
    told = playbook("dr_rebuild", "empty12", "-e", "dr_confirm=yes", "-e", f"dr_old_host={address}", status=2)
    assert "The old server is still up" in told and "Phase" not in told
    assert not machines["empty12"].file("/etc/postgresql").exists


@only_all
def test_another_word_than_yes_touches_nothing(machines: Dict[str, Host], playbook: Playbooks) -> None:
    assert "Not confirmed" in playbook("dr_rebuild", "empty12", word="well", status=2)
    assert not machines["empty12"].file("/etc/postgresql").exists


@pytest.fixture(scope="module")
def ticks(machines: Dict[str, Host]) -> None:
    """A line in the journal each second; they end with the host."""
    podman("exec", "--detach", f"{PREFIX}-db12", "sh", "-c", "while sleep 1; do logger --tag tick here; done")


def logs(host: Host, words: str) -> List[Dict[str, Any]]:
    """Stored lines of the host that is gone."""
    return list(lifeboat(host, "shop", f"logs --since 3h --host db12 {words}")["lines"])


def test_configuration_is_in_git_and_no_secret(machines: Dict[str, Host]) -> None:
    host, app = machines["db12"], "/opt/rusty-saas/config/app.ini"
    push = "lifeboat --config /etc/lifeboat/shop.yml --json files backup"

    def stored(words: str = "grep --text -h -e '' main") -> str:
        return str(machines["far"].check_output(f"runuser -u admin -- git -C /home/admin/hosts.git {words}"))

    told = json.loads(host.check_output(push))["git"]
    assert told["commit"] and told["kept_out"]["/opt/rusty-saas/.env"] == "its name"
    assert host.file(app).content_string.strip() in stored()
    names = stored("ls-tree -r --name-only main").splitlines()
    assert f"db12/config{app}" in names and not any(name.endswith(".env") for name in names)
    before = host.file(app).content_string
    host.check_output("echo 'aws_key = %s' >>%s", "AKIA" + "IOSFODNN7EXAMPL3", app)
    refused = host.run(push)
    assert refused.rc == 1 and "secret_found" in refused.stderr and app in refused.stderr
    assert "AKIA" not in stored() and "AKIA" not in refused.stderr
    # The copy in the repositories was made all the same; and it is all well again without the line.
    look = "lifeboat --config /etc/lifeboat/shop.yml files restore config --target /root/look && cat /root/look%s"
    assert "AKIA" in host.check_output(look, app)
    put = ["sh", "-c", f"cat >{app}"]
    podman("exec", "--interactive", f"{PREFIX}-db12", *put, input=before)
    assert host.run(push).rc == 0


def of_every_set(host: Host) -> List[str]:
    """Each file of the sets: kind, mode, owner, attributes with the ACL, and target or SHA-256."""
    look = r"""
import grp, hashlib, os, pwd, stat
roots = ["/etc/postgresql", "/opt/rusty-saas", "/etc/systemd/system/rusty-saas.service"]
roots += ["/etc/nginx/sites-available/rusty-saas"]
paths = {p for r in roots for d, ds, fs in os.walk(r) for p in [d, *(os.path.join(d, f) for f in [*ds, *fs])]}
for path in sorted({*paths, *(r for r in roots if os.path.isfile(r))}):
    if "zz-lifeboat" in path or ".before-" in path or "__pycache__" in path:
        continue
    info = os.lstat(path)
    kind = stat.S_IFMT(info.st_mode)
    what = ""
    if stat.S_ISLNK(info.st_mode):
        what = os.readlink(path)
    elif stat.S_ISREG(info.st_mode):
        what = f"{info.st_nlink} {hashlib.sha256(open(path, 'rb').read()).hexdigest()}"
    names = os.listxattr(path, follow_symlinks=False)
    attributes = {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names}
    owner = f"{pwd.getpwuid(info.st_uid).pw_name}:{grp.getgrgid(info.st_gid).gr_name}"
    print(path, oct(info.st_mode), owner, sorted(attributes.items()), what)
"""
    return str(host.check_output("python3 -c %s", look)).splitlines()


def test_what_the_application_keeps_is_stored_as_it_changes(machines: Dict[str, Host]) -> None:
    host = machines["db12"]
    make = r"""
import os, struct
data = "/opt/rusty-saas/data"
for number in range(50):
    open(f"{data}/upload {number}", "wb").write(os.urandom(10000))
os.link(f"{data}/upload 1", f"{data}/the same")
os.symlink("upload 2", f"{data}/link")
# user::rw-, user:www-data:rw-, group::r--, mask::rw-, other::r--
acl = [(1, 6, -1), (2, 6, 33), (4, 4, -1), (16, 6, -1), (32, 4, -1)]
packed = struct.pack("<I", 2) + b"".join(struct.pack("<HHi", *entry) for entry in acl)
os.setxattr("/opt/rusty-saas/config/app.ini", "system.posix_acl_access", packed)
os.system(f"chown -R rusty-saas: {data}")
os.chmod(f"{data}/upload 3", 0o640)
"""
    host.check_output("python3 -c %s", make)
    store = "lifeboat --config /etc/lifeboat/shop.yml --json files backup data"
    host.check_output("sleep 3")
    first = json.loads(host.check_output(store))["file_sets"][0]
    host.check_output("echo changed >'/opt/rusty-saas/data/upload 7'; rm '/opt/rusty-saas/data/upload 8'")
    second = json.loads(host.check_output(store))["file_sets"][0]
    assert first["label"] in second["parents"] and second["data_size"] < first["data_size"] / 5
    host.check_output("lifeboat --config /etc/lifeboat/shop.yml files backup config")
    STATE["files"] = of_every_set(host)
    assert any("posix_acl_access" in line for line in STATE["files"]) and len(STATE["files"]) > 60


def test_logs_leave_the_host_as_they_are_written(machines: Dict[str, Host], ticks: None) -> None:
    host = machines["db12"]
    assert host.service("lifeboat-log-ship@shop").is_running
    host.check_output("logger --priority authpriv.notice --tag sudo 'somebody became root'")
    host.check_output("logger --tag shop 'the cart of somebody'")
    assert host.run("runuser -u postgres -- psql --command='SELECT planted_error'").rc != 0
    until(lambda: bool(logs(host, "security --grep 'became root'")), "it is in the security stream")
    until(lambda: bool(logs(host, "system --grep 'the cart'")), "the journal is stored")
    until(lambda: bool(logs(host, "postgresql --grep planted_error")), "PostgreSQL's log is stored")
    assert not logs(host, "system --grep 'became root'")


def test_the_server_is_lost_and_comes_back(machines: Dict[str, Host], ledger: Path, playbook: Playbooks) -> None:
    time.sleep(3)
    at = datetime.now(timezone.utc)
    podman("rm", "--force", "--time=0", f"{PREFIX}-db12")
    happened = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    # As docs/incident.md says: the page first, then its command as printed.
    page = Page(playbook, "db12", "dr_disaster=server", "dr_new_host=empty12", f"dr_disaster_at={happened}")
    words = shlex.split(page.command)
    assert "lifeboat.postgres.dr_rebuild" in words and "lifeboat_hosts=empty12" in words, page.text
    playbook("dr_rebuild", "empty12", *words[words.index("lifeboat.postgres.dr_rebuild") + 1 :], word="yes")
    host, told = machines["empty12"], playbook.report("empty12")
    assert told["result"] == "recovered" and told["recovery_time"]["kept"]
    restored, window = told["restored"]["shop"], told["sources"]["shop"]["window"]
    target = WalTarget(parse_lsn(restored["reached_lsn"]), parse_lsn(window["end_lsn"]))
    verdict = judge(records(ledger).records, present(host), target, at)
    note(playbook.run_dir, "latest", told, verdict)
    assert verdict.good and verdict.required > 0, verdict.as_dict()
    assert restored["commit_rate"] > 0
    assert told["loss"]["transactions_about"] == round(restored["commit_rate"] * max(told["loss"]["seconds"], 0))
    healthy(host)
    protected(host, 2)
    # Every file of every set is as it was.
    assert of_every_set(host) == STATE["files"]
    # The logs of its last minute outlived it.
    last = max(datetime.fromisoformat(line["time"]) for line in logs(host, "system --grep '^here$'"))
    lost = {"seconds_of_logs_lost": (at - last).total_seconds()}
    (playbook.run_dir / "figures-logs.json").write_text(json.dumps(lost), encoding="utf-8")
    assert lost["seconds_of_logs_lost"] < 60 and host.service("lifeboat-log-ship@shop").is_running
    STATE["ledger"] = records(ledger)
    figures = {"lost": len(verdict.lost), "acknowledged": len(STATE["ledger"].records)}
    walked(playbook, "server", at.timestamp(), way=page.best, **figures)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("dr_rebuild", ()),
        pytest.param("protect", (), marks=only_all),
        pytest.param("backup", ("-e", "backup_max_age=86400"), marks=only_all),
    ],
)
def test_a_second_run_changes_nothing(name: str, arguments: Tuple[str, ...], playbook: Playbooks) -> None:
    assert changes(playbook(name, "empty12", "-e", "dr_confirm=yes", *arguments)) == 0


def to_a_time() -> List[str]:
    """Arguments of a rebuild to a commit in a complete segment, on a host that does not exist yet.

    Later commits may be in the last segment, which exists only as pieces: these are used only for the latest moment.
    """
    commits = [commit for commit in STATE["ledger"].commits if commit.acked_at < STATE["archived"]]
    STATE["moment"] = moment = commits[len(commits) // 2].acked_at
    value = moment.strftime("%Y-%m-%d %H:%M:%S.%f+00")
    words = ["-e", "dr_target=time", "-e", json.dumps({"dr_target_value": value}), "-e", "dr_confirm=yes"]
    return [*words, "-e", f"dr_provision_tasks={PROVISION}"]


@only_all
def test_while_a_server_still_archives_a_rebuild_ends_before_the_database(
    machines: Dict[str, Host], playbook: Playbooks
) -> None:
    host = machines["empty12"]
    podman("stop", "--time=0", f"{PREFIX}-again12")
    for task in BEFORE_THE_DATABASE:
        playbook.interrupted("dr_rebuild", "again12", *to_a_time(), at=task)
    writer = subprocess.Popen(
        ["podman", "exec", "--user=postgres", f"{PREFIX}-empty12", "sh", "-c",
         "while sleep 2; do psql -Xqc 'SELECT pg_switch_wal(), txid_current()' >/dev/null; done"]
    )  # fmt: skip
    try:
        told = playbook("dr_rebuild", "again12", *to_a_time(), "-e", "dr_watch=20", status=2)
    finally:
        writer.kill()
    assert "New WAL arrived in the repository while this playbook was waiting" in told
    assert not machines["again12"].file("/var/lib/postgresql/15/main/PG_VERSION").exists
    assert host.service("postgresql@15-main").is_running


@only_all
def test_lost_again_with_the_first_repository_it_comes_back_to_a_time(
    machines: Dict[str, Host], playbook: Playbooks
) -> None:
    at = datetime.now(timezone.utc)
    podman("rm", "--force", "--time=0", f"{PREFIX}-empty12", f"{PREFIX}-s3")
    words = [*to_a_time(), "-e", "dr_fenced=yes"]
    # Behind the page: what the restore does in the background after an interruption may be done before the next run.
    page = playbook.interrupted("dr_rebuild", "again12", *words, at=BEHIND_THE_PAGE)
    assert "primary: CANNOT BE USED" in page and "far: answers" in page
    # As the page says.
    given_up = "lifeboat_lost_repositories=primary"
    assert given_up in page
    words += ["-e", given_up]
    for task in FROM_THE_DATABASE_ON:
        playbook.interrupted("dr_rebuild", "again12", *words, at=task)
    playbook("dr_rebuild", "again12", *words)
    host, told = machines["again12"], playbook.report("again12")
    assert told["restored"]["shop"]["repository"].startswith("far ")
    assert any("Repository primary is no longer required" in action for action in told["open_actions"])
    repositories = yaml.safe_load(host.file("/etc/lifeboat/shop.yml").content_string)["repositories"]
    assert [(r["name"], r.get("required", True)) for r in repositories] == [("far", True), ("primary", False)]
    assert [phase["name"] for phase in told["phases"]] == PHASES
    verdict = judge(STATE["ledger"].records, present(host), TimeTarget(STATE["moment"]), at)
    note(playbook.run_dir, "time", told, verdict)
    assert verdict.good and verdict.required > 0 and verdict.forbidden > 0, verdict.as_dict()
    healthy(host)
    protected(host, told["restored"]["shop"]["timeline"])


def test_a_database_comes_back_from_a_dump_with_the_application_around_it(
    machines: Dict[str, Host], playbook: Playbooks
) -> None:
    host = machines[LAST]
    lifeboat(host, "shop", "dump create rusty_saas")
    rows = sql(host, "SELECT count(*) FROM lifeboat_ledger", "rusty_saas")
    sql(host, "TRUNCATE lifeboat_ledger", "rusty_saas")
    told = playbook("dr_dump", LAST, "-e", "dr_database=rusty_saas")
    assert "the existing database is kept as rusty_saas_before_" in told
    assert sql(host, "SELECT count(*) FROM lifeboat_ledger", "rusty_saas") == rows
    kept = sql(host, "SELECT datname FROM pg_database WHERE datname LIKE 'rusty_saas_before_%'")
    assert sql(host, "SELECT count(*) FROM lifeboat_ledger", kept) == "0"
    healthy(host)


def test_a_table_that_is_dropped_comes_back_beside(machines: Dict[str, Host]) -> None:
    host = machines[LAST]
    sql(host, "CREATE TABLE keepsake AS SELECT generate_series(1, 1000) AS n", "rusty_saas")
    since = sql(host, "SELECT clock_timestamp()")
    sql(host, "DROP TABLE keepsake", "rusty_saas")
    wait_archived(host)
    (event,) = lifeboat(host, "shop", f"table search rusty_saas keepsake --from '{since}'")["events"]
    assert event["what"] == "dropped"
    words = f"table restore rusty_saas keepsake --lsn {event['lsn']} --exclusive --suffix _back"
    assert lifeboat(host, "shop", words)["restored"]["rows"] == {'"public"."keepsake_back"': 1000}
    assert sql(host, "SELECT sum(n) FROM keepsake_back", "rusty_saas") == "500500"
    assert host.run("ls -d /var/lib/postgresql/15/lifeboat-verify-*").rc != 0
