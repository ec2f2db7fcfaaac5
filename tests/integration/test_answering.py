# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store that is down costs its timeouts once in a command, and not at every request."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import StoreAccessDenied, StoreUnavailable
from lifeboat.config.load import Config, DirectoryOptions, S3Options, parse
from lifeboat.escalation.watch import Watcher
from lifeboat.incident import actions
from lifeboat.incident.places import opened
from lifeboat.repository.hasty import open_answering
from lifeboat.repository.repository import Repositories
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
