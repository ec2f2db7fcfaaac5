# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is told what, when: each rung once whatever the order of watchers, and nobody who need not be."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any, Dict, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.config.incidents import IncidentsConfig
from lifeboat.config.load import parse
from lifeboat.escalation.decide import LAPSE, PAGER_CLOSED, due, pager_due
from lifeboat.escalation.words import drafts, facts, notice_of
from lifeboat.incident.record import ACKNOWLEDGED, CLAIMED, CLOSED, NOTE, OPENED, PHASE, SENT, UPDATE, Event
from lifeboat.incident.timeline import Incident
from support.records import moment

PEOPLE: List[Dict[str, Any]] = [
    {"name": name, "roles": roles, "phone": "+49 69 1", "mail": f"{name.lower()}@example.com"}
    for name, roles in (
        ("Ann", ["commander"]), ("Bob", ["operations"]), ("Cyd", ["communications"]), ("Dan", ["manager"]),
        ("Eve", ["cto"]),
    )
]  # fmt: skip
MAIL = {"type": "smtp", "name": "mail", "relays": ["127.0.0.1:25"], "sender": "a@b", "to": ["c@d"], "tls": "none"}
MINUTE = 60.0


def whole(people: Any = PEOPLE, channels: Any = (MAIL,), **more: Any) -> IncidentsConfig:
    return parse(
        {
            "cluster": "main",
            "repositories": [{"type": "directory", "path": "/x"}],
            "notifications": {"channels": list(channels)},
            "incidents": {"contacts": people, "escalate": True, **more},
        }
    ).incidents


CONFIG = whole()


def incident(*events: Tuple[str, float, Dict[str, str]], rto: int = 4 * 3600) -> Incident:
    """Opened at 0; each further event with its minute."""
    told = [(OPENED, 0.0, {"priority": "P2", "rto": str(rto)}), *events]
    made = tuple(
        Event("i", n, None, moment(minute * MINUTE), what, {"user": "x"}, "words", details, digest=str(n))
        for n, (what, minute, details) in enumerate(told, 1)
    )
    return Incident("i", made)


def keys(found: Incident, minute: float, **more: Any) -> List[str]:
    return [d.key for d in due(found, CONFIG, moment(minute * MINUTE), **more)]


def people(found: Incident, minute: float) -> Dict[str, List[str]]:
    return {d.key: [c.name for c in d.people] for d in due(found, CONFIG, moment(minute * MINUTE))}


def test_the_ladder_and_its_people() -> None:
    now = incident()
    assert people(now, -60) == people(now, 0) == {"ladder-1-0": ["Ann"]}
    assert people(now, 14.9) == {"ladder-1-0": ["Ann"]}
    assert people(now, 15)["ladder-1-1"] == ["Bob"]
    assert people(now, 61) == {
        "ladder-1-0": ["Ann"], "ladder-1-1": ["Bob"], "ladder-1-2": ["Dan"], "ladder-1-3": ["Eve"],
        "update-1-2": ["Ann", "Cyd"],
    }  # fmt: skip


def test_an_acknowledgement_stops_it_and_lapses() -> None:
    now = incident((ACKNOWLEDGED, 20.0, {}))
    assert keys(now, 25) == [] and keys(now, 49.9) == ["update-1-1"]
    assert people(now, 50)["ladder-2-0"] == ["Ann"] and "ladder-2-1" in keys(now, 65)
    renewed = incident((ACKNOWLEDGED, 20.0, {}), (UPDATE, 45.0, {}))
    assert keys(renewed, 74.9) == [] and keys(renewed, 75) == ["ladder-3-0", "update-3-1"]
    # A note is no sign that somebody leads.
    assert "ladder-2-0" in keys(incident((ACKNOWLEDGED, 20.0, {}), (NOTE, 45.0, {})), 50)


def test_a_risk_is_told_to_the_manager_and_the_cto_at_once() -> None:
    for found, minute in (
        (incident(rto=3600), 45),
        (incident((PHASE, 10.0, {"phase": "database", "state": "began", "forecast_seconds": "3600"}), rto=3600), 10),
        (incident((ACKNOWLEDGED, 1.0, {}), rto=3600), 45),
    ):
        assert people(found, minute)["risk"] == ["Dan", "Eve"] and "risk" not in people(found, minute - 0.1)


def test_of_a_closed_one_nothing_is_due_and_a_pager_owns_its_ladder() -> None:
    assert keys(incident((CLOSED, 5.0, {})), 600) == []
    assert keys(incident(), 61, pager=True) == ["ladder-1-0", "update-1-2"]
    told: List[Tuple[str, float, Dict[str, str]]] = [(SENT, 0.0, {"key": "ladder-1-0"}), (ACKNOWLEDGED, 5.0, {})]
    assert pager_due(incident(*told), moment(600)) == ("pager-ack-3",)
    assert pager_due(incident(*told, (CLOSED, 6.0, {})), moment(600)) == (PAGER_CLOSED,)
    assert pager_due(incident(*told[1:]), moment(600)) == ()


def test_a_claim_holds_it_up_and_lapses() -> None:
    now = incident((CLAIMED, 0.0, {"key": "ladder-1-0"}))
    assert keys(now, 4.9) == [] and keys(now, LAPSE.total_seconds() / 60) == ["ladder-1-0"]
    assert keys(incident((SENT, 0.0, {"key": "ladder-1-0"})), 10) == []


class Store:
    """The record, whose numbers are taken once; and what was delivered."""

    def __init__(self) -> None:
        self.incident, self.told = incident(), Counter[str]()

    def add(self, seen: Incident, what: str, at: float, key: str = "") -> bool:
        """False where another writer was faster."""
        number = len(seen.events) + 1
        if number != len(self.incident.events) + 1:
            return False
        event = Event("i", number, None, moment(at), what, {}, "", {"key": key} if key else {}, digest=str(number))
        self.incident = replace(self.incident, events=(*self.incident.events, event))
        return True


def watcher(store: Store, at: float, dies: bool) -> Any:
    """One look of a watcher, which may be stopped between any two steps."""
    seen = store.incident
    yield
    for item in due(seen, CONFIG, moment(at)):
        while True:
            seen = store.incident
            yield
            if item.key not in {d.key for d in due(seen, CONFIG, moment(at))}:
                break
            if not store.add(seen, CLAIMED, at, item.key):
                continue
            if dies:
                return
            yield
            store.told[item.key] += 1
            yield
            while not store.add(store.incident, SENT, at, item.key):
                pass
            break


steps = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=12)


@settings(max_examples=200)
@given(steps, st.data(), st.integers(1, 3), st.one_of(st.none(), st.integers(1, 80)))
def test_each_rung_is_told_once_whatever_the_order(
    rounds: List[Tuple[int, bool]], data: st.DataObject, watchers: int, acknowledged: Optional[int]
) -> None:
    """Watchers look at odd times, overtake each other, and some are killed after a claim."""
    store, minute = Store(), 0
    for pause, dies in [*rounds, (0, False), (40, False), (40, False), (6, False)]:
        minute += pause * 3 if pause < 10 else pause
        if acknowledged and minute >= acknowledged and not store.incident.of(ACKNOWLEDGED):
            store.add(store.incident, ACKNOWLEDGED, minute * MINUTE)
        running = [watcher(store, minute * MINUTE, dies and n == 0) for n in range(watchers)]
        while running:
            one = running[data.draw(st.integers(0, len(running) - 1))]
            if next(one, running) is running:
                running.remove(one)
    assert set(store.told.values()) <= {1}
    if acknowledged is None:
        assert all(store.told[f"ladder-1-{rung}"] == 1 for rung in range(4))
    else:
        late = [r for r, after in enumerate((0, 15, 30, 60)) if after > acknowledged + 40]
        assert not any(store.told[f"ladder-1-{rung}"] for rung in late)


@given(st.lists(st.tuples(st.sampled_from([NOTE, UPDATE, ACKNOWLEDGED, CLOSED]), st.floats(0, 500)), max_size=6),
       st.floats(-100, 1000))  # fmt: skip
def test_never_after_the_end(told: List[Tuple[str, float]], minute: float) -> None:
    found = incident(*((what, at, {}) for what, at in told))
    assert not keys(found, minute) or CLOSED not in {what for what, _at in told}
    assert len(set(keys(found, minute))) == len(keys(found, minute))


@pytest.mark.parametrize(
    ("people", "channels", "words"),
    [
        ([], [MAIL], "no contact has the role commander, cto, manager, operations"),
        (PEOPLE[:-1], [MAIL], "no contact has the role cto"),
        (PEOPLE, [], "has no channel"),
        ([{**PEOPLE[0], "mail": None}, *PEOPLE[1:]], [MAIL], "no mail address of Ann"),
        ([{**PEOPLE[0], "phone": "call me"}, *PEOPLE[1:]], [MAIL], "phone is 'call me'"),
        ([{**PEOPLE[0], "mail": "a@b\nBcc: x"}, *PEOPLE[1:]], [MAIL], r"mail is 'a@b\\nBcc: x'"),
        ([{**PEOPLE[0], "roles": ["boss"]}, *PEOPLE[1:]], [MAIL], "roles has 'boss'"),
        ([PEOPLE[0], *PEOPLE], [MAIL], "share a name"),
        ([{"name": "Ann"}], [MAIL], "neither phone nor mail"),
    ],
)
def test_who_cannot_be_reached_is_found_when_the_configuration_is_read(people: Any, channels: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        whole(people, channels)


def test_the_words_tell_facts_and_no_forecast_to_customers() -> None:
    phase = {"phase": "database", "state": "began", "forecast_seconds": "99999"}
    now = incident((PHASE, 10.0, phase), (UPDATE, 20.0, {}))
    (risk, *_rest) = [d for d in due(now, CONFIG, moment(60 * MINUTE)) if d.kind == "risk"]
    notice = notice_of(now, risk, CONFIG, "main", "db1", moment(60 * MINUTE))
    assert notice.subject.startswith("P2 incident of cluster main: the recovery time objective is at risk")
    assert "Phase: database began at 02:10 UTC" in notice.text and "Ann (commander): +49 69 1" in notice.text
    assert "180 min left" not in notice.text and "3 h left" in notice.text
    internal, customers = drafts(now, "main", moment(60 * MINUTE))
    assert "objective" in internal and "objective" not in customers and "06:00" not in customers
    assert any("Last update: 02:20" in line for line in facts(now, moment(60 * MINUTE)))
    assert timedelta(0) < LAPSE
