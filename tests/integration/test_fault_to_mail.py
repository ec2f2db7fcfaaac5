# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a real fault to a real mail: lifeboat-job, node_exporter, our exporter, Prometheus, Alertmanager, a mail server.

The rules are ours with fast clocks, and the routes and the inhibition are those of the example.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest
import yaml
from lifeboat.config.load import S3Options
from support import faultproxy
from support.choice import only_all
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.jobs import Job
from support.monitoring import MONITORING, answers, ask, program, read, serving
from support.postgres import Site, Sites
from support.processes import free_port, until
from support.sinks import MailSink, WebSink
from support.standby import Standby

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

#: What is waited for, in less time: the silence of a host, a slow backup; and a size that counts.
FASTER = {
    "HostSilent": ("> 600", "> 25"), "BackupSlow": ("> 1800", "> 40"), "BackupSizeAnomaly": ("1e8", "1e6"),
    "StandbyLag": ("> 900", "> 5"),
}  # fmt: skip


def fast_rules() -> Dict[str, Any]:
    """Every group of our rules; each alert fires at its second evaluation, or later if a late scrape could cause it."""
    groups = []
    for path in sorted((MONITORING / "rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = "20s" if rule["alert"] in ("ExporterDown", "BackupMissing") else "1s"
                if rule.get("alert") in FASTER:
                    slow, fast = FASTER[rule["alert"]]
                    assert slow in rule["expr"]
                    rule["expr"] = rule["expr"].replace(slow, fast)
            groups.append(group)
    return {"groups": groups}


@dataclass
class Watch:
    """A cluster, the jobs and metrics of its host, everything that monitors it, and the received mails."""

    site: Site
    job: Job
    config: Path
    proxy: FaultProxy
    mail: MailSink
    watchdog: WebSink
    exporter_url: str = ""
    prometheus_url: str = ""
    node_address: str = ""
    host_lives: threading.Event = field(default_factory=threading.Event)
    node: List[Any] = field(default_factory=list)

    def subjects(self) -> List[str]:
        return [str(mail["Subject"]) for mail in self.mail.mails]

    def told(self, state: str, alert: str, seconds: float = 240) -> None:
        """Wait for a mail about it."""
        found = lambda: [s for s in self.subjects() if s.startswith(f"[{state}") and alert in s.split()]  # noqa: E731
        until(found, f"the mail {state} {alert}", lambda: f"{self.subjects()} {self.firing()}", seconds)

    def alerts(self) -> Set[str]:
        """The alerts with a mail."""
        return {name for s in self.subjects() for name in s.split() if name[:1].isupper() and name.isalpha()}

    def firing(self) -> List[str]:
        found = yaml.safe_load(read(f"{self.prometheus_url}/api/v1/alerts"))["data"]["alerts"]
        return sorted(f"{a['labels']['alertname']} {a['state']}" for a in found)

    def quiet(self) -> None:
        """Only the Watchdog fires; earlier mails are forgotten."""
        until(lambda: self.firing() == ["Watchdog firing"], "no alert", lambda: str(self.firing()), 240)
        # What is resolved is mailed too.
        time.sleep(3)
        self.mail.mails.clear()


def host(watch: Watch, textfile: Path, config: Path, pause: float = 0.5) -> None:
    """Act as the timer lifeboat-metrics, until the host is lost."""
    words = ["metrics", "--jobs-dir", str(watch.job.jobs), "--output", str(textfile)]
    while watch.host_lives.is_set():
        watch.site.lifeboat(*words, config_file=config, status=None)
        time.sleep(pause)


def exporting(textfiles: Path, address: str) -> List[Any]:
    """node_exporter with nothing but these text files."""
    return [
        program("prometheus-node-exporter"), "--collector.disable-defaults", "--collector.textfile",
        f"--collector.textfile.directory={textfiles}", f"--web.listen-address={address}",
    ]  # fmt: skip


def alertmanager_config(mail: MailSink, watchdog: WebSink) -> Dict[str, Any]:
    """The example, with addresses of this machine and short waits."""
    config: Dict[str, Any] = yaml.safe_load((MONITORING / "alertmanager.yml").read_text(encoding="utf-8"))
    config["global"].update(smtp_smarthost=f"127.0.0.1:{mail.port}", smtp_require_tls=False)
    config["route"].update(group_wait="1s", group_interval="1s")
    config["route"]["routes"][0].update(group_wait="0s", group_interval="1s", repeat_interval="1s")
    for receiver in config["receivers"]:
        hooks = receiver.pop("webhook_configs", [])
        if receiver["name"] == "watchdog":
            receiver["webhook_configs"] = [{**hooks[0], "url": watchdog.url}]
    return config


def tell_hosts(root: Path, *addresses: str) -> None:
    """Prometheus scrapes these from now on."""
    (root / "hosts.new").write_text(json.dumps([{"targets": addresses}]))
    (root / "hosts.new").rename(root / "hosts.json")


@pytest.fixture
def watch(
    sites: Sites, a_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy, tmp_path: Path
) -> Iterator[Watch]:
    """Everything is running, nothing fires."""
    site = sites(a_postgres, s3_options, fresh=True)
    fleet, textfiles, etc = tmp_path / "fleet", tmp_path / "textfiles", tmp_path / "host"
    for directory in (fleet, textfiles, etc):
        directory.mkdir()
    near = dict(site.repositories[0])
    config = site.write(tmp_path / "main.yml", objectives={"rpo": 3600, "rto": 3600, "max_backup_age": 90000})
    # What watches reaches the store by another way than the host.
    site.write(fleet / "main.yml", repositories=[{**near, "endpoint_url": fault_proxy.endpoint_url}])
    for _ in range(2):
        site.lifeboat("backup", config_file=config)
    site.lifeboat("verify", "--restore", config_file=config)
    job = Job(etc)
    ports = {name: free_port() for name in ("node", "exporter", "alertmanager", "prometheus")}
    at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(fast_rules()))
    prometheus = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(tmp_path / "rules.yml")],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [at["alertmanager"]]}]}]},
        "scrape_configs": [
            {"job_name": "node", "file_sd_configs": [{"files": [str(tmp_path / "hosts.json")]}]},
            {"job_name": "lifeboat", "static_configs": [{"targets": [at["exporter"]]}]},
        ],
    }
    tell_hosts(tmp_path, at["node"])
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(prometheus))
    with contextlib.ExitStack() as stack:
        mail, watchdog = stack.enter_context(MailSink()), stack.enter_context(WebSink())
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(alertmanager_config(mail, watchdog)))
        watch = Watch(site, job, config, fault_proxy, mail, watchdog)
        watch.node_address = at["node"]
        watch.exporter_url, watch.prometheus_url = f"http://{at['exporter']}", f"http://{at['prometheus']}"
        watch.host_lives.set()
        writer = threading.Thread(target=host, args=(watch, textfiles / "lifeboat-main.prom", config))
        writer.start()
        stack.callback(writer.join)
        stack.callback(watch.host_lives.clear)
        node = exporting(textfiles, at["node"])
        exporter = [site.command, "exporter", "--config-dir", fleet, "--listen", at["exporter"], "--interval", "1"]
        manager = [
            program("prometheus-alertmanager"), f"--config.file={tmp_path / 'alertmanager.yml'}",
            f"--storage.path={tmp_path / 'alerts'}", f"--web.listen-address={at['alertmanager']}",
            "--cluster.listen-address=",
        ]  # fmt: skip
        server = [
            program("prometheus"), f"--config.file={tmp_path / 'prometheus.yml'}",
            f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address={at['prometheus']}",
        ]  # fmt: skip
        watch.node = [stack.enter_context(contextlib.ExitStack())]
        watch.node[0].enter_context(serving(node, f"http://{at['node']}/metrics", tmp_path / "node.log"))
        stack.enter_context(serving(exporter, f"{watch.exporter_url}/healthz", tmp_path / "exporter.log"))
        stack.enter_context(serving(manager, f"http://{at['alertmanager']}/-/ready", tmp_path / "manager.log"))
        stack.enter_context(serving(server, f"{watch.prometheus_url}/-/ready", tmp_path / "prometheus.log"))
        until(lambda: "Watchdog firing" in watch.firing(), "the rules to be evaluated")
        watch.quiet()
        yield watch
    shutil.rmtree(tmp_path / "data")


def timed(what: str, began: float) -> None:
    """Print a figure for the reader (pytest -s)."""
    print(f"{what}: {time.monotonic() - began:.1f} s", flush=True)


def test_failures_are_mailed_and_their_consequences_are_not(watch: Watch) -> None:
    site, job = watch.site, watch.job
    real = f"exec {shlex.quote(str(site.command))} --config {shlex.quote(str(watch.config))} backup"

    # A backup that fails, and heals.
    directory = site.cluster.data_dir / "unreadable"
    directory.mkdir(mode=0)
    job.does(f"{real} --type full")
    began = time.monotonic()
    assert job("main", "full") not in (0, 10)
    watch.told("FIRING", "JobFailed")
    timed("a failed backup to its mail", began)
    directory.rmdir()
    assert job("main", "full") == 0, job.errors
    watch.told("RESOLVED", "JobFailed")
    # On a busy machine a backup may take so long that it is slow by the fast clock.
    assert watch.alerts() - {"BackupSlow"} == {"JobFailed"}
    watch.quiet()

    # A backup that stands still, and the starts that are skipped meanwhile.
    slow = site.write(site.root / "slow.yml", repositories=[{**site.repositories[0], "max_upload_kb": 50}])
    number = site.root / "backup.pid"
    job.does(f"echo $$ >{number}; exec {site.command} --config {slow} backup --type full")
    with job.start("main", "full") as hanging:
        until(lambda: site.cluster.value("SELECT count(*) FROM pg_stat_progress_basebackup"), "the backup to begin")
        os.kill(int(number.read_text()), signal.SIGSTOP)
        began = time.monotonic()
        assert job("main", "full") == 75 and job("main", "full") == 75
        watch.told("FIRING", "BackupSlow")
        timed("a backup that hangs to its mail", began)
        os.kill(int(number.read_text()), signal.SIGTERM)
        os.kill(int(number.read_text()), signal.SIGCONT)
        hanging.wait(60)
    assert "75" in job.notified()
    job.does(f"{real} --type full")
    assert job("main", "full") == 0
    watch.told("RESOLVED", "BackupSlow")
    watch.quiet()

    # The store is down: whatever else is old because of that is not mailed.
    began = time.monotonic()
    watch.proxy.inject(Fault(faultproxy.STATUS, times=10**6, status=503))
    watch.told("FIRING", "RepositoryDown")
    timed("a store that is down to its mail", began)
    time.sleep(5)
    until(lambda: watch.alerts() == {"RepositoryDown"}, "nothing else fires")
    watch.proxy.clear()
    watch.told("RESOLVED", "RepositoryDown")
    watch.quiet()

    # The host is lost: the exporter still speaks.
    began = time.monotonic()
    watch.host_lives.clear()
    watch.node[0].close()
    watch.told("FIRING", "HostSilent")
    timed("a lost host to its mail", began)
    assert answers(f"{watch.exporter_url}/metrics")
    assert 'lifeboat_repository_up{cluster="main",repository="repo0"} 1.0' in read(f"{watch.exporter_url}/metrics")
    # On a busy machine a scrape of the exporter may come too late for a moment.
    until(lambda: watch.alerts() == {"HostSilent"}, "nothing else fires")
    # Prometheus sends what goes on firing once a minute.
    until(lambda: watch.watchdog.requests, "the watchdog's message", seconds=120)


def test_a_truncated_database_is_an_anomaly_and_a_small_change_is_not(watch: Watch) -> None:
    site = watch.site
    site.cluster.execute(
        "CREATE TABLE ballast AS SELECT gen_random_uuid() AS a, gen_random_uuid() AS b, gen_random_uuid() AS c"
        " FROM generate_series(1, 400000)",
        "CHECKPOINT",
    )
    site.lifeboat("backup", "--type", "full", config_file=watch.config)
    watch.told("FIRING", "BackupSizeAnomaly")
    site.lifeboat("backup", "--type", "full", config_file=watch.config)
    watch.told("RESOLVED", "BackupSizeAnomaly")
    watch.quiet()
    began = time.monotonic()
    site.cluster.execute("TRUNCATE ballast", "CHECKPOINT")
    site.lifeboat("backup", "--type", "full", config_file=watch.config)
    watch.told("FIRING", "BackupSizeAnomaly")
    timed("a truncated database to its mail, with its backup", began)
    assert watch.alerts() == {"BackupSizeAnomaly"}


@only_all
def test_an_idle_primary_and_its_standby_are_silent(watch: Watch, tmp_path: Path) -> None:
    # For longer than may be lost nothing is written; what autovacuum commits does not wait for a segment to be full.
    watch.site.cluster.execute("ALTER SYSTEM SET archive_timeout = 2", "SELECT pg_reload_conf()")
    watch.site.write(watch.config, objectives={"rpo": 10, "rto": 3600, "max_backup_age": 90000})
    standby = Standby(watch.site, own=True)
    standby.restore()
    standby.settled()
    (tmp_path / "standby").mkdir()
    address = f"127.0.0.1:{free_port()}"
    textfile = tmp_path / "standby/lifeboat-main.prom"
    writer = threading.Thread(target=host, args=(watch, textfile, standby.config_file, 5))
    node = exporting(tmp_path / "standby", address)
    with serving(node, f"http://{address}/metrics", tmp_path / "standby.log"):
        writer.start()
        try:
            tell_hosts(tmp_path, watch.node_address, address)
            recovering = lambda: ask(watch.prometheus_url, "lifeboat_server_in_recovery == 1")  # noqa: E731
            until(recovering, "the standby to be scraped")
            watch.quiet()
            time.sleep(45)
            assert watch.firing() == ["Watchdog firing"] and watch.alerts() == set()
        finally:
            watch.host_lives.clear()
            writer.join()
