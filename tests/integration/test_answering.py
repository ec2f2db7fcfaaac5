# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is down costs its timeouts once in a command, and not at every request."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import StoreAccessDenied, StoreUnavailable
from lifeboat.config.load import Config, DirectoryOptions, S3Options, parse
from lifeboat.escalation.watch import Watcher
from lifeboat.incident import actions
from lifeboat.incident.places import opened
from lifeboat.repository import silence
from lifeboat.repository.hasty import open_answering
from lifeboat.repository.repository import Repositories
from lifeboat.wal import feed
from lifeboat.wal.fetch import Source
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.postgres import entry
from support.records import SYSTEM

pytestmark = pytest.mark.integration


@pytest.fixture
def config(tmp_path: Path, s3_options: S3Options, fault_proxy: FaultProxy) -> Config:
    """A store that faults can be injected into, and a directory beside it. Both belong to the cluster."""
    (tmp_path / "near").mkdir()
    away = replace(s3_options, endpoint_url=fault_proxy.endpoint_url)
    found = made(tmp_path, entry(0, away), entry(1, DirectoryOptions(str(tmp_path / "near"))))
    with Repositories.open(found) as repositories:
        for repository in repositories.items:
            repository.adopt(SYSTEM)
    return found


def made(tmp_path: Path, *entries: Dict[str, Any]) -> Config:
    incidents = {"spool_dir": str(tmp_path / "spool")}
    return parse({"cluster": "main", "repositories": list(entries), "incidents": incidents})


def down(proxy: FaultProxy, **more: Any) -> None:
    proxy.inject(Fault(faultproxy.STATUS, times=10_000, **more))
    proxy.requests.clear()


def test_a_repository_that_does_not_answer_is_asked_once(config: Config, fault_proxy: FaultProxy) -> None:
    down(fault_proxy)
    with open_answering(config) as repositories:
        asked = len(fault_proxy.requests)
        assert 1 <= asked <= 2
        away, near = repositories.items
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                away.systems()
        assert near.systems() == [SYSTEM] and repositories.readable() is near
        assert [u.repository for u in repositories.passed_over] == ["repo0"]
        assert len(fault_proxy.requests) == asked


def test_one_that_did_not_answer_a_moment_ago_is_not_asked(config: Config, fault_proxy: FaultProxy) -> None:
    fault_proxy.requests.clear()
    with open_answering(config, ["repo0"]) as repositories:
        assert list(repositories.silent) == ["repo0"] and repositories.readable().name == "repo1"
        with pytest.raises(StoreUnavailable):
            repositories.items[0].systems()
    assert not fault_proxy.requests
    with open_answering(config, ["repo0", "repo1"]) as repositories:
        assert not repositories.silent, "no other is left, so all are asked"
    assert fault_proxy.requests


def test_the_next_commands_of_a_standby_do_not_wait_for_a_store_that_is_down(
    config: Config, fault_proxy: FaultProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "read_system_identifier", lambda _: SYSTEM)
    data = tmp_path / "data"
    (data / "pg_wal").mkdir(parents=True)
    (data / "standby.signal").touch()
    down(fault_proxy)

    def ask(number: int) -> int:
        """How many requests the store that is down gets for one segment."""
        fault_proxy.requests.clear()
        told = feed.feed(config, f"00000001000000000000000{number}", "pg_wal/RECOVERYXLOG", Source("repo0"), str(data))
        assert told.fetched is None and "cannot be fetched now" in " ".join(told.notes)
        return len(fault_proxy.requests)

    assert ask(1) > 0
    assert [ask(2), ask(3)] == [0, 0]
    # The commands of a failover, and their audit trail, ask it only if it is required.
    here = replace(config, data_dir=str(data))
    given_up = replace(here, repositories=(replace(config.repositories[0], required=False), config.repositories[1]))
    for chosen, asked in ((given_up, False), (here, True)):
        fault_proxy.requests.clear()
        with open_answering(chosen) as repositories:
            assert list(repositories.silent) == ["repo0"]
        actions.open_incident(chosen, "the site is gone")
        assert bool(fault_proxy.requests) == asked
    # Without the mark, once it is too old, or where doubt could end a recovery, it is asked.
    mark = data / "pg_wal" / silence.STATE
    old = {key: since - silence.LIFETIME for key, since in json.loads(mark.read_text()).items()}
    mark.write_text(json.dumps(old))
    assert ask(2) > 0 and ask(3) == 0
    (data / "standby.signal").unlink()
    fault_proxy.requests.clear()
    with pytest.raises(StoreUnavailable):
        feed.feed(config, "000000010000000000000002", "pg_wal/RECOVERYXLOG", Source("repo0"), str(data))
    assert fault_proxy.requests


def test_one_that_misses_a_request_or_refuses_it_is_asked_on(config: Config, fault_proxy: FaultProxy) -> None:
    fault_proxy.inject(Fault(faultproxy.STATUS, method="HEAD"))
    with open_answering(config) as repositories:
        assert repositories.items[0].systems() == [SYSTEM]
    fault_proxy.inject(Fault(faultproxy.STATUS, method="HEAD", status=403))
    with open_answering(config) as repositories:
        assert repositories.items[0].systems() == [SYSTEM]
        fault_proxy.inject(Fault(faultproxy.STATUS, method="HEAD", status=403))
        with pytest.raises(StoreAccessDenied):
            repositories.items[0].owns(SYSTEM)


def test_one_that_is_alone_keeps_all_its_attempts(config: Config, fault_proxy: FaultProxy) -> None:
    alone = replace(config, repositories=config.repositories[:1])
    fault_proxy.inject(Fault(faultproxy.STATUS, times=3))
    with open_answering(alone) as repositories:
        assert repositories.items[0].systems() == [SYSTEM]


def test_an_event_of_an_incident_waits_once_for_a_store_that_is_down(config: Config, fault_proxy: FaultProxy) -> None:
    added = actions.open_incident(config, "the site is gone")
    down(fault_proxy)
    done, new = actions.phase_once(config, added.incident.id, "claim", "began")
    assert new and done.places == ("repo1",)
    # Two attempts for the event and one for the audit trail.
    assert len(fault_proxy.requests) <= 3


def test_a_watcher_asks_at_each_turn(config: Config, fault_proxy: FaultProxy) -> None:
    actions.open_incident(config, "the site is gone")
    with opened(config) as places:
        watcher = Watcher(config, places)
        down(fault_proxy)
        watcher.once()
        before = len(fault_proxy.requests)
        fault_proxy.clear()
        watcher.once()
        assert len(fault_proxy.requests) > before and not places.look().unread
