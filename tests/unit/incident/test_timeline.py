# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of an incident, from any set of events: what does not count is reported and changes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random
from typing import Any, Dict, List, Optional, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ObjectCorrupt
from lifeboat.incident.record import ACKNOWLEDGED, ACTION, CLOSED, NOTE, OPENED, PHASE, UPDATE, Event, load_event
from lifeboat.incident.timeline import Found, Incident, decide
from lifeboat.records.model import seal_record
from lifeboat.repository.layout import Layout
from support.records import moment

ID = "20261122T020000Z-1a2b3c4d"
DETAILS: Dict[str, Dict[str, str]] = {
    OPENED: {"priority": "P2", "rto": "14400"},
    PHASE: {"phase": "database", "state": "done"},
    ACTION: {"action": "0a1b2c3d", "state": "open", "owner": "ann", "due": "2026-12-24"},
}


def event(number: int, what: str, previous: Optional[Event] = None, **more: Any) -> Event:
    """An event as it is after it was stored and read."""
    made = Event(
        ID, number, previous.digest if previous else None, moment(60 * number), what, {"user": "ann", "host": "db1"},
        f"words {number}", more.pop("details", DETAILS.get(what, {})), **more,
    )  # fmt: skip
    raw = seal_record(made.as_dict())
    return replace(made, digest=hashlib.sha256(raw).hexdigest(), stored=made.at)


def chain(whats: List[str]) -> List[Event]:
    made = [event(1, OPENED)]
    for number, what in enumerate(whats, 2):
        made.append(event(number, what, made[-1]))
    return made


def held(events: List[Event], *repositories: str) -> List[Found]:
    return [Found(name, ID, e.number, e) for name in repositories or ("near",) for e in events]


def bad(number: int, repository: str = "near") -> Found:
    return Found(repository, ID, number, error=ObjectCorrupt("damaged", ""))


chains = st.lists(st.sampled_from([PHASE, ACKNOWLEDGED, NOTE, UPDATE, ACTION]), max_size=6).map(chain)


def test_a_record_is_read_as_it_was_written_and_only_under_its_key() -> None:
    layout, made = Layout("main"), event(2, PHASE, event(1, OPENED))
    raw = seal_record(made.as_dict())
    assert load_event(raw, layout.incident_event(ID, 2), moment(120)) == made
    for key in (layout.incident_event(ID, 3), layout.incident_event("20261122T020000Z-other", 2)):
        with pytest.raises(ObjectCorrupt, match="claims to be event 2"):
            load_event(raw, key)


@pytest.mark.parametrize(
    "change",
    [
        {"what": "deleted"},
        {"what": OPENED},
        {"number": 0},
        {"text": 7},
        {"text": "x" * 100_000},
        {"who": "root"},
        {"who": {"User": "x"}},
        {"details": {"phase": "database"}},
        {"details": {"phase": "database", "state": "perhaps"}},
        {"details": {"phase": "data\nbase", "state": "done"}},
        {"at": "yesterday"},
        {"previous": "0"},
    ],
)
def test_what_is_no_event_is_refused(change: Dict[str, Any]) -> None:
    made = event(2, PHASE, event(1, OPENED)).as_dict()
    with pytest.raises(ObjectCorrupt):
        load_event(seal_record({**made, **change}), Layout("main").incident_event(ID, 2))


@given(chains, st.randoms())
def test_the_order_of_reading_does_not_matter(events: List[Event], order: Random) -> None:
    found = held(events, "near", "far")
    order.shuffle(found)
    now = decide(ID, found)
    assert now.events == tuple(events) and not now.aside and not now.forked
    assert now.next == len(events) + 1 and now.last == events[-1].digest


@given(chains, st.data())
def test_what_is_forged_or_out_of_order_is_reported_and_not_obeyed(events: List[Event], data: st.DataObject) -> None:
    number = len(events) + 1
    stranger = replace(event(number, CLOSED, events[-1]), previous="f" * 64)
    candidates = [
        bad(number),
        bad(number, "far"),
        Found("near", ID, number, stranger),
        Found("near", ID, number + 3, event(number + 3, CLOSED, events[-1])),
    ]
    more = data.draw(st.lists(st.sampled_from(candidates), max_size=3, unique_by=lambda f: (f.repository, f.number)))
    # An event behind an unreadable one may refer to that; nothing else may be behind a hole.
    now = decide(ID, [*held(events), *more])
    if Found("near", ID, number, stranger) not in more or bad(number, "far") not in more:
        assert now.events == tuple(events) and now.is_open
        assert {(a.repository, a.number) for a in now.aside} == {(f.repository, f.number) for f in more}
    taken = {e.number for e in events} | {f.number for f in more}
    assert now.next not in taken


@given(chains, st.sets(st.integers(1, 7)))
def test_a_damaged_event_hides_no_later_one(events: List[Event], damaged: Set[int]) -> None:
    found = [bad(e.number) if e.number in damaged else Found("near", ID, e.number, e) for e in events]
    assert decide(ID, found).events == tuple(e for e in events if e.number not in damaged)
    assert decide(ID, [*found, *held(events, "far")]).events == tuple(events)


def test_without_its_first_event_the_worst_is_assumed() -> None:
    events = chain([NOTE])
    now = decide(ID, [bad(1), *held(events[1:])])
    assert now.is_open and now.priority == "P1" and now.rto.total_seconds() == 3600


def test_events_of_repositories_that_did_not_see_each_other_all_count() -> None:
    first = event(1, OPENED)
    near, far = event(2, ACKNOWLEDGED, first), event(2, NOTE, first)
    found = [*held([first], "near", "far"), Found("near", ID, 2, near), Found("far", ID, 2, far)]
    now = decide(ID, found)
    assert [e in now.events for e in (first, near, far)] == [True] * 3 and len(now.events) == 3
    assert now.forked == (2,) and now.next == 3
    # Its copy in the other repository does not count a second time, and counts where the first is not read.
    copy = event(3, NOTE, near, copy_of=far.digest)
    assert decide(ID, [*found, *held([copy], "near")]).of(NOTE) == (far,)
    alone = decide(ID, held([first, near, copy], "near"))
    assert alone.of(NOTE) == (copy,) and alone.next == 4


def test_actions_and_the_clock() -> None:
    events = chain([ACTION, CLOSED, ACTION])
    done = replace(event(4, ACTION, events[2], details={"action": "0a1b2c3d", "state": "done"}), text="")
    now: Incident = decide(ID, held([*events[:3], done]))
    (action,) = now.actions
    assert (action.text, action.owner, action.due, action.done) == ("words 2", "ann", "2026-12-24", True)
    assert not now.is_open and now.priority == "P2" and now.deadline == moment(60 + 14400)
    assert now.as_dict(moment(10**6))["remaining_seconds"] == 14400 - 120


def test_a_clock_ahead_of_the_store_is_not_believed() -> None:
    assert replace(event(1, OPENED), at=moment(7200), stored=moment(60)).when == moment(60)
