# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When retention last ended well in a repository, by events that anybody with the writer's keys can put."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.audit.event import Event
from lifeboat.audit.latest import last_pruned, pruned
from lifeboat.base import clock
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.repository.repository import Repository

CHAIN = "db1.postgres"
NEAR: Dict[str, Any] = {"removing": {"near": 0, "far": 3}}


def an_event(number: int, at: datetime, **other: Any) -> Event:
    given: Dict[str, Any] = {"what": "prune", "result": "ok", "details": NEAR, **other}
    return Event(CHAIN, number, None, at, cluster="main", who={}, **given)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.open(RepositoryConfig("near", DirectoryOptions(str(tmp_path))), "main")


def put(repository: Repository, event: Event, raw: bytes = b"") -> None:
    key = repository.layout.audit_event(event.chain, event.at, event.number)
    repository.store.put(key, raw or event.record())


def test_the_newest_that_ended_well_counts(repository: Repository) -> None:
    now = clock.now().replace(microsecond=0)
    assert last_pruned(repository) is None
    put(repository, an_event(1, now - timedelta(hours=3)))
    put(repository, an_event(2, now - timedelta(hours=2), result="failed"))
    put(repository, an_event(3, now - timedelta(hours=1), what="backup"))
    put(repository, an_event(4, now), b"no record at all")
    assert last_pruned(repository) == now - timedelta(hours=3)
    # Of what was stored before then nothing is read again.
    assert last_pruned(repository, clock.now() + timedelta(minutes=1)) is None


def test_an_event_that_claims_the_future_is_as_old_as_its_object(repository: Repository) -> None:
    put(repository, an_event(1, clock.now() + timedelta(days=400)))
    found = last_pruned(repository)
    assert found is not None and found <= clock.now() + timedelta(seconds=2)


@pytest.mark.parametrize(
    ("details", "counts"),
    [
        (NEAR, True),
        ({"removing": {"far": 3}}, False),
        ({"removing": {"near": 0}, "unread": ["near"]}, False),
        ({"removing": {"near": 0}, "unread": 7}, False),
        ({"removing": "near"}, False),
        ({}, False),
    ],
)
def test_only_a_repository_that_was_looked_at_counts(details: Dict[str, Any], counts: bool) -> None:
    assert pruned(an_event(1, clock.now(), details=details), "near") is counts
