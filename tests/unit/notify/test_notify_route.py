# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is notified, when again, and what is recorded: without input or output."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Dict, List, Sequence, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ObjectCorrupt
from lifeboat.config.notifications import SEVERITIES, ChannelConfig, CommandOptions, NotificationsConfig
from lifeboat.notify import Delivery, read_deliveries
from lifeboat.notify.notice import ACKNOWLEDGED, OPEN, RESOLVED, Notice, of_job
from lifeboat.notify.route import Told, after, pauses, route
from lifeboat.notify.state import State, held, read_state, write_state
from lifeboat.records.model import open_record

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
NAMES = ("mail", "pager", "chat")


def section(**severities: Sequence[str]) -> NotificationsConfig:
    options = CommandOptions(("true",))
    return NotificationsConfig(tuple(ChannelConfig(name, options, tuple(s)) for name, s in severities.items()))


SECTION = section(mail=["warning", "critical"], pager=["critical"], chat=[])


def notice(severity: str = "critical", state: str = OPEN, status: str = "1", at: datetime = NOW) -> Notice:
    return Notice(severity, "words", at, key="k", state=state, status=status)


def now(told: Dict[str, Told], of: Notice) -> List[str]:
    return [channel.name for channel in route(SECTION, of, told).now]


def test_a_problem_goes_to_the_channels_of_its_severity_in_their_order_and_the_others_are_the_reserve() -> None:
    way = route(SECTION, notice(), {})
    assert [c.name for c in way.now] == ["mail", "pager"]
    assert [c.name for c in way.reserve] == ["chat"]
    warning = route(SECTION, notice("warning"), {})
    assert ([c.name for c in warning.now], [c.name for c in warning.reserve]) == (["mail"], ["pager", "chat"])


def test_the_same_news_is_not_told_again_until_a_day_has_passed() -> None:
    told = after({}, notice(), ["mail"], NAMES)
    assert now(told, notice(at=NOW + timedelta(hours=23, minutes=59))) == ["pager"]
    assert now(told, notice(at=NOW + timedelta(hours=24))) == ["mail", "pager"]
    assert route(SECTION, notice(), told).quiet == ("mail",)


def test_another_status_or_severity_is_news() -> None:
    told = after({}, notice(), ["mail", "pager"], NAMES)
    assert now(told, notice(status="137")) == ["mail", "pager"]
    assert now(told, notice("warning", status="10")) == ["mail"]
    assert now(told, notice()) == []


def test_the_end_is_reported_to_whoever_was_told_of_the_problem_once() -> None:
    told = after({}, notice(), ["chat", "pager"], NAMES)
    over = notice("info", RESOLVED)
    assert now(told, over) == ["pager", "chat"]
    assert route(SECTION, over, told).reserve == ()
    half = after(told, over, ["chat"], NAMES)
    assert now(half, over) == ["pager"]
    assert after(half, over, ["pager"], NAMES) == {}


def test_an_acknowledgement_is_sent_once_and_keeps_the_problem() -> None:
    told = after({}, notice(), ["pager"], NAMES)
    seen = notice(state=ACKNOWLEDGED)
    assert now(told, seen) == ["pager"]
    told = after(told, seen, ["pager"], NAMES)
    assert now(told, replace(seen, at=NOW + timedelta(days=9))) == []
    assert now(told, notice(state=RESOLVED)) == ["pager"]


def test_an_end_of_which_nobody_knows_the_beginning_goes_by_severity() -> None:
    assert now({}, notice("critical", RESOLVED)) == ["mail", "pager"]


def test_a_notice_without_a_key_is_always_sent_and_never_remembered() -> None:
    message = replace(notice(), key="")
    assert now({"mail": Told(message.news, NOW)}, message) == ["mail", "pager"]
    assert after({"mail": Told(message.news, NOW)}, message, ["mail"], NAMES) == {}


def test_a_channel_that_was_left_out_is_not_told() -> None:
    assert [c.name for c in route(SECTION, notice(), {}, ["mail"]).now] == ["pager"]


names = st.sets(st.sampled_from(NAMES))
notices = st.builds(
    notice, st.sampled_from(SEVERITIES), st.sampled_from([OPEN, ACKNOWLEDGED, RESOLVED]), st.sampled_from(["1", "2"]),
    st.integers(0, 200).map(lambda hours: NOW + timedelta(hours=hours)),
)  # fmt: skip


@given(st.lists(st.tuples(notices, names), max_size=12), notices)
def test_whatever_happened_before_nobody_is_forgotten_and_nobody_told_twice(
    history: List[tuple[Notice, Set[str]]], last: Notice
) -> None:
    told: Dict[str, Told] = {}
    for one, working in history:
        due = [c.name for c in route(SECTION, one, told).now]
        told = after(told, one, [name for name in due if name in working], NAMES)
    way = route(SECTION, last, told)
    due, reserve = {c.name for c in way.now}, {c.name for c in way.reserve}
    assert not due & set(way.quiet) and not reserve & (due | set(way.quiet))
    if last.state == OPEN:
        assert due | set(way.quiet) | reserve == set(NAMES)
        assert due | set(way.quiet) == {c.name for c in SECTION.channels if last.severity in c.severities}
    elif told:
        assert due | set(way.quiet) == set(told)
    # All of them deliver: the same notice has nothing left to tell, and an end leaves nothing.
    then = after(told, last, list(due), NAMES)
    assert (then == {}) if last.resolved else not route(SECTION, last, then).now


@given(st.floats(0, 3600))
def test_attempts_are_bounded_in_time(patience: float) -> None:
    found = pauses(patience)
    assert sum(found) <= patience and all(a <= b for a, b in zip(found, found[1:]))
    assert found or patience <= 1


@pytest.mark.parametrize(
    ("status", "severity", "state", "words"),
    [
        ("0", "critical", RESOLVED, "works again"),
        ("10", "warning", OPEN, "warns"),
        ("75", "critical", OPEN, "was still running"),
        ("3", "critical", OPEN, "ended with status 3"),
        ("KILL", "critical", OPEN, "was ended by signal KILL"),
    ],
)
def test_how_a_job_ended(status: str, severity: str, state: str, words: str) -> None:
    found = of_job("main", "db1", "full", status, "text", NOW)
    assert (found.severity, found.state) == (severity, state)
    assert words in found.subject and found.key == "lifeboat/db1/main/full"


# --- state --------------------------------------------------------------------------------------------------------


def test_the_state_comes_back_as_it_was_written(tmp_path: Path) -> None:
    place = f"{tmp_path}/a/b"
    delivery = Delivery().after(NOW, None).after(NOW + timedelta(hours=1), "channel_refused")
    state = State({"k": {"mail": Told("critical:1", NOW)}}, {"mail": delivery})
    with held(place):
        write_state(place, state)
    assert read_state(place) == state
    assert read_deliveries(place) == {"mail": delivery}
    assert (delivery.last_success, delivery.failures, delivery.delivered) == (NOW, 1, 1)


def test_a_state_that_is_missing_or_damaged_is_empty(tmp_path: Path) -> None:
    place, path = str(tmp_path), tmp_path / "state.json"
    assert read_deliveries(place) == {}
    with held(place):
        write_state(place, State({}, {"mail": Delivery()}))
    path.write_bytes(path.read_bytes().replace(b'"failures": 0', b'"failures": 7'))
    with pytest.raises(ObjectCorrupt):
        open_record(path.read_bytes(), "x")
    assert read_state(place) == State()


def test_old_problems_are_forgotten() -> None:
    state = State({"old": {"mail": Told("critical:1", NOW - timedelta(days=91))}, "k": {"mail": Told("x", NOW)}})
    assert set(state.knowing("new", {"mail": Told("y", NOW)}, NOW).told) == {"k", "new"}
    assert set(state.knowing("k", {}, NOW).told) == set()
