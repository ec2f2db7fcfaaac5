# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watchers as processes, with a clock 60 times as fast: every minute of the ladder is a second."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Tuple

import pytest
from lifeboat.config.load import S3Options, parse
from lifeboat.repository.repository import Repositories
from support import faultproxy
from support.clocks import wrong_clock
from support.faultproxy import Fault, FaultProxy
from support.postgres import LIBRARY, entry
from support.processes import until
from support.records import SYSTEM
from support.sinks import MailSink, WebSink

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROLES = {"ann": "commander", "bob": "operations", "cyd": "communications", "dan": "manager", "eve": "cto"}
PEOPLE = [
    {"name": name, "roles": [role], "phone": "+49 69 123", "mail": f"{name}@example.com"}
    for name, role in ROLES.items()
]
#: The ladder of 0, 15, 30 and 60 minutes, updates each 30 minutes and an objective of one hour.
FAST = {
    "ladder": [
        {"after": after, "roles": [role]}
        for after, role in ((0, "commander"), (15, "operations"), (30, "manager"), (60, "cto"))
    ],
    "update_interval": 30,
    "p1": 60,
}


def begin(repository: Dict[str, Any]) -> None:
    """The repository is one of a cluster that archives."""
    opened = Repositories.open(parse({"cluster": "main", "repositories": [repository]}))
    opened.items[0].adopt(SYSTEM)
    opened.close()


class Host:
    """A host with its own configuration of the same cluster."""

    def __init__(self, place: Path, repository: Dict[str, Any], channels: List[Dict[str, Any]], **more: Any) -> None:
        place.mkdir()
        begin(repository)
        self.config, self.place = place / "main.yml", place
        incidents = {"contacts": PEOPLE, "escalate": True, "spool_dir": str(place / "spool"), **more}
        self.config.write_text(
            json.dumps(
                {
                    "cluster": "main",
                    "repositories": [repository],
                    "notifications": {"channels": channels, "state_dir": str(place / "state"), "patience": 1},
                    "incidents": incidents,
                    "audit": {"file": str(place / "audit.jsonl"), "syslog": ""},
                }
            )
        )

    def start(self, *words: str, env: Optional[Dict[str, str]] = None) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "lifeboat.run", "--config", str(self.config), *words]
        whole = {**os.environ, "PYTHONPATH": str(LIBRARY), **(env or {})}
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=whole)

    def run(self, *words: str) -> Dict[str, Any]:
        done = self.start(*words, "--json")
        out, err = done.communicate(timeout=120)
        assert done.returncode == 0, err
        found: Dict[str, Any] = json.loads(out)
        return found


@pytest.fixture
def mail() -> Iterator[MailSink]:
    with MailSink() as sink:
        yield sink


def by_mail(sink: MailSink) -> Dict[str, Any]:
    relay = f"127.0.0.1:{sink.port}"
    return {"name": "mail", "type": "smtp", "relays": [relay], "sender": "lifeboat@example.com",
            "to": ["nobody@example.com"], "tls": "none"}  # fmt: skip


def told(sink: MailSink) -> List[Tuple[str, str]]:
    """To whom, and what, without the incident's title."""
    kinds = {"update is due": "update", "at risk": "risk"}
    return [
        (
            str(m["To"]).replace("@example.com", ""),
            next((kind for words, kind in kinds.items() if words in m["Subject"]), "ladder"),
        )
        for m in list(sink.mails)
    ]


LADDER = [
    ("ann", "ladder"), ("bob", "ladder"), ("dan", "ladder"), ("ann, cyd", "update"), ("dan, eve", "risk"),
    ("eve", "ladder"), ("ann, cyd", "update"),
]  # fmt: skip


def test_a_fast_clock_shows_the_ladder_once_to_the_right_people(
    s3_options: S3Options, tmp_path: Path, mail: MailSink
) -> None:
    """Two watchers, one of them on a host whose clock is an hour ahead."""
    hosts = [Host(tmp_path / name, entry(0, s3_options), [by_mail(mail)], **FAST) for name in ("db1", "db2")]
    incident = hosts[0].run("incident", "open", "the database is wrong")["incident"]
    watchers = [
        host.start("incident-watch", "--interval", "0.5", env=env)
        for host, env in zip(hosts, ({}, wrong_clock(tmp_path, 3600)))
    ]
    try:
        until(lambda: len(mail.mails) >= len(LADDER), "all mails", lambda: str(told(mail)), 150)
        hosts[1].run("incident", "ack", "--as", "ann")
        # Whoever sends twice does so at once.
        time.sleep(5)
        assert Counter(told(mail)) == Counter(LADDER)
        # In its order; what is due at the same time may overtake.
        assert [t for t in told(mail) if t[1] == "ladder"] == [t for t in LADDER if t[1] == "ladder"]
        first = mail.mails[0].get_content()
        assert "+49 69 123" in first and f"incident ack --incident {incident}" in first.replace("=\n", "")
        assert "Draft, customers:" in next(m for m in mail.mails if "update" in m["Subject"]).get_content()
        # The acknowledgement lapses: the ladder begins again.
        until(lambda: told(mail).count(("ann", "ladder")) == 2, "the second ladder", lambda: str(told(mail)), 60)
        hosts[0].run("incident", "close", "it was a test")
        before = len(mail.mails)
        time.sleep(5)
        assert len(mail.mails) - before <= 1
    finally:
        for watcher in watchers:
            watcher.terminate()
        texts = [watcher.communicate(timeout=60) for watcher in watchers]
    assert all(watcher.returncode == 0 for watcher in watchers), texts
    events = hosts[0].run("incident", "show", "--incident", incident)["events"]
    sent = [e["details"]["key"] for e in events if e["what"] == "sent"]
    assert len(sent) == len(set(sent)) and {"ladder-1-0", "ladder-1-1", "ladder-1-2", "ladder-1-3", "risk"} <= set(sent)


def test_a_watcher_that_is_killed_between_claim_and_delivery_loses_nothing(
    s3_options: S3Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, killer = tmp_path / "told", tmp_path / "killer"
    killer.write_text("#!/bin/sh\nkill -9 $PPID\n")
    killer.chmod(0o755)
    teller = tmp_path / "teller"
    teller.write_text(f"#!/bin/sh\ncat >>{out}\n")
    teller.chmod(0o755)
    dies = Host(tmp_path / "db1", entry(0, s3_options), [{"name": "c", "type": "command", "argv": [str(killer)]}])
    lives = Host(tmp_path / "db2", entry(0, s3_options), [{"name": "c", "type": "command", "argv": [str(teller)]}])
    dies.run("incident", "open", "the database is wrong")
    killed = dies.start("incident-watch", "--once")
    killed.communicate(timeout=60)
    assert killed.returncode == -9
    whats = [e["what"] for e in lives.run("incident", "show")["events"]]
    assert whats == ["opened", "claimed"]
    assert lives.run("incident-watch", "--once")["told"] == [], "somebody else may be sending it"
    in_process(lives, monkeypatch)
    (only,) = out.read_text().splitlines()
    assert "the database is wrong" in json.loads(only)["subject"]
    assert [e["what"] for e in lives.run("incident", "show")["events"]] == ["opened", "claimed", "claimed", "sent"]
    assert lives.run("incident-watch", "--once")["told"] == []


def in_process(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look once claims lapse at once: five minutes are too long for a test."""
    from datetime import timedelta

    from lifeboat.config.load import load
    from lifeboat.escalation import Watcher, decide
    from lifeboat.incident.places import opened

    monkeypatch.setattr(decide, "LAPSE", timedelta(0))
    config = load(str(host.config))
    with opened(config) as places:
        assert [one.error for one in Watcher(config, places).once()] == [None]


def test_without_any_repository_the_host_tells_and_the_record_follows(
    s3_options: S3Options, tmp_path: Path, mail: MailSink, fault_proxy: FaultProxy
) -> None:
    away = replace(s3_options, endpoint_url=fault_proxy.endpoint_url)
    host = Host(tmp_path / "db1", entry(0, away), [by_mail(mail)])
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6, status=503))
    assert host.run("incident", "open", "the store is gone")["spooled"]
    assert [t["key"] for t in host.run("incident-watch", "--once")["told"]] == ["ladder-1-0"]
    assert told(mail) == [("ann", "ladder")]
    fault_proxy.clear()
    laptop = Host(tmp_path / "laptop", entry(0, s3_options), [by_mail(mail)])
    for _ in range(2):
        assert host.run("incident-watch", "--once")["told"] == []
    assert [e["what"] for e in laptop.run("incident", "show")["events"]] == ["opened", "claimed", "sent"]
    assert laptop.run("incident-watch", "--once")["told"] == [] and len(mail.mails) == 1


def test_what_nobody_got_is_not_sent_and_pagerduty_has_its_own_ladder(
    s3_options: S3Options, tmp_path: Path, mail: MailSink
) -> None:
    mail.refused.append("ann@example.com")
    with WebSink(then=202) as sink:
        pager = {"name": "pager", "type": "pagerduty", "routing_key": "k" * 32, "endpoint": sink.url}
        alone = Host(tmp_path / "db1", entry(0, s3_options), [by_mail(mail)])
        alone.run("incident", "open", "the database is wrong")
        failed = alone.start("incident-watch", "--once")
        assert "NOT NOTIFIED" in failed.communicate(timeout=60)[0] and failed.returncode == 1
        assert [e["what"] for e in alone.run("incident", "show")["events"]] == ["opened", "claimed"]
        alone.run("incident", "close", "again")
        both = Host(tmp_path / "db2", entry(0, s3_options), [by_mail(mail), pager])
        incident = both.run("incident", "open", "the database is wrong")["incident"]
        for words in (("ack",), ("close", "done"), None):
            both.run("incident-watch", "--once")
            if words:
                both.run("incident", words[0], "--incident", incident, *words[1:])
        events = [json.loads(request.body) for request in sink.requests]
        assert [e["event_action"] for e in events] == ["trigger", "acknowledge", "resolve"]
        assert {e["dedup_key"] for e in events} == {f"lifeboat/incident/{incident}"}
