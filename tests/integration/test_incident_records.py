# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of an incident: many writers, lost repositories, forged events, and a directory of the host."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from lifeboat.base.errors import IncidentMissing, IncidentRefused, IncidentUnrecorded, StoreUnavailable
from lifeboat.config.load import Config, DirectoryOptions, S3Options, parse
from lifeboat.incident import actions
from lifeboat.incident.places import opened
from lifeboat.incident.record import NOTE
from lifeboat.incident.timeline import Incident
from lifeboat.records.model import seal_record
from lifeboat.repository.layout import Layout
from lifeboat.repository.repository import Repositories
from lifeboat.sync.run import apply as sync
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.postgres import entry
from support.records import SYSTEM
from support.signing import key_pair

pytestmark = pytest.mark.integration

Make = Callable[..., Config]


@pytest.fixture
def near(tmp_path: Path) -> DirectoryOptions:
    (tmp_path / "near").mkdir()
    return DirectoryOptions(str(tmp_path / "near"))


@pytest.fixture
def config_of(tmp_path: Path) -> Make:
    def make(*entries: Dict[str, Any], host: str = "host", **more: Any) -> Config:
        incidents = {"spool_dir": str(tmp_path / host / "spool")}
        return parse({"cluster": "main", "repositories": list(entries), "incidents": incidents, **more})

    def begin(*entries: Dict[str, Any], **more: Any) -> Config:
        """Its repositories are those of a cluster that archives, as far as they answer."""
        config = make(*entries, **more)
        repositories = Repositories.open(config)
        for repository in repositories.items:
            repository.adopt(SYSTEM)
        repositories.close()
        return config

    return begin


def through(options: S3Options, proxy: FaultProxy) -> S3Options:
    return replace(options, endpoint_url=proxy.endpoint_url, max_attempts=1)


def seen(config: Config) -> Incident:
    return actions.show(config)[0]


def texts(incident: Incident) -> List[str]:
    return [event.text for event in incident.events]


def test_two_writers_each_get_a_number_of_their_own(
    config_of: Make, s3_options: S3Options, near: DirectoryOptions
) -> None:
    both = [entry(0, s3_options), entry(1, near)]
    config = config_of(*both)
    added = actions.open_incident(config, "the database is wrong", "P2")
    assert added.places == ("repo0", "repo1") and not added.spooled
    gate, failed = threading.Barrier(4), []

    def write(name: str) -> None:
        gate.wait()
        try:
            for number in range(5):
                actions.note(config, f"{name} {number}")
        except Exception as exc:
            failed.append(exc)

    writers = [threading.Thread(target=write, args=(name,)) for name in ("ann", "bob", "eve", "tom")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not failed
    for some in (both, both[:1], both[1:]):
        incident = seen(config_of(*some))
        assert [e.number for e in incident.events] == list(range(1, 22)) and not incident.aside and not incident.forked
        assert sorted(texts(incident)[1:]) == sorted(f"{n} {i}" for n in ("ann", "bob", "eve", "tom") for i in range(5))


def test_while_no_repository_answers_the_host_has_it_and_it_is_adopted_once(
    config_of: Make, s3_options: S3Options, fault_proxy: FaultProxy
) -> None:
    config = config_of(entry(0, through(s3_options, fault_proxy)))
    other = config_of(entry(0, s3_options), host="laptop")
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6, status=503))
    added = actions.open_incident(config, "the store is gone")
    assert added.spooled
    actions.note(config, "called the provider")
    assert texts(seen(config)) == ["the store is gone", "called the provider"]
    with pytest.raises(IncidentMissing):
        seen(other)
    fault_proxy.clear()
    for _ in range(2):
        with opened(config) as places:
            places.adopt(added.incident.id)
    assert texts(seen(other)) == texts(seen(config)) == ["the store is gone", "called the provider"]
    # Both go on while they do not see each other: both count, once.
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6, status=503))
    actions.note(config, "from the host")
    actions.acknowledge(other)
    fault_proxy.clear()
    for _ in range(2):
        actions.note(config, "together again")
    for incident in (seen(config), seen(other)):
        assert sorted(texts(incident))[-5:] == [
            "called the provider", "from the host", "the store is gone", "together again", "together again",
        ]  # fmt: skip
        assert incident.acknowledgement and not incident.aside


def test_nothing_is_known_is_not_nothing(
    config_of: Make, s3_options: S3Options, fault_proxy: FaultProxy, tmp_path: Path
) -> None:
    config = config_of(entry(0, through(s3_options, fault_proxy)))
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6, status=503))
    with pytest.raises(StoreUnavailable):
        seen(config)
    (tmp_path / "host").write_text("a file where the directory of this host would be")
    with pytest.raises(IncidentUnrecorded):
        actions.open_incident(config, "lost")


def test_a_forged_event_is_set_apart_and_the_next_number_is_taken(
    config_of: Make, near: DirectoryOptions, tmp_path: Path
) -> None:
    key = key_pair(tmp_path, "db1")
    signing = {"key_file": str(key.key_file), "signers": [key.signer()]}
    config = config_of(entry(0, near), signing=signing)
    incident = actions.open_incident(config, "who is this").incident.id
    layout, forger = Layout("main"), config_of(entry(0, near))
    repositories = Repositories.open(forger)
    store = repositories.items[0].store
    genuine = actions.show(config)[0].events[0]
    closed = {**genuine.as_dict(), "number": 2, "what": "closed", "previous": genuine.digest, "details": {}}
    store.put(layout.incident_event(incident, 2), seal_record(closed))
    store.put(layout.incident_event(incident, 3), b"[")
    store.put(layout.incident_event(incident, 9), store.get(layout.incident_event(incident, 1)))
    repositories.close()
    assert seen(forger).closed is not None, "without signatures it would count"
    now = seen(config)
    assert now.is_open and [a.number for a in now.aside] == [2, 3, 9]
    assert actions.note(config, "still here").event.number == 4
    assert seen(config).is_open and texts(seen(config)) == ["who is this", "still here"]
    # The forger cannot write what counts either.
    actions.say(forger, NOTE, "I am ann", incident)
    assert "I am ann" not in texts(seen(config))


def test_what_is_over_is_over(config_of: Make, near: DirectoryOptions) -> None:
    config = config_of(entry(0, near))
    with pytest.raises(IncidentMissing, match="No incident is open"):
        actions.note(config, "nothing to note")
    first = actions.open_incident(config, "one").incident.id
    assert actions.open_incident(config, "one again", join=True).places == ()
    with pytest.raises(IncidentRefused):
        actions.open_incident(config, "one", incident=first)
    actions.open_incident(config, "two")
    with pytest.raises(IncidentMissing, match="2 incidents are open"):
        actions.note(config, "of which")
    action = actions.add_action(config, "mend the\x1b[2J runbook", "ann", "2026-12-24", first).incident.actions[0]
    assert action.text == "mend the[2J runbook"
    actions.close(config, "done", first)
    with pytest.raises(IncidentRefused):
        actions.acknowledge(config, first)
    assert actions.finish_action(config, action.id).incident.actions[0].done
    assert not actions.note(config, "afterwards", first).incident.is_open


def test_sync_brings_it_to_a_repository_that_was_added(
    config_of: Make, s3_options: S3Options, near: DirectoryOptions
) -> None:
    first = config_of(entry(0, s3_options))
    actions.open_incident(first, "one")
    actions.note(first, "more")
    assert all(one.whole for one in sync(config_of(entry(0, s3_options), entry(1, near)))[1])
    assert texts(seen(config_of(entry(1, near)))) == ["one", "more"]


def test_a_mount_point_without_its_mount_gets_nothing(config_of: Make, tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    config = config_of(entry(0, DirectoryOptions(str(tmp_path / "mount"))))
    mounted = (tmp_path / "mount").rename(tmp_path / "elsewhere")
    (tmp_path / "mount").mkdir()
    assert actions.open_incident(config, "the mount is gone").spooled
    assert not list((tmp_path / "mount").rglob("*.json")) and mounted.exists()
