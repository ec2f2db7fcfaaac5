# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last event of each backup decides whether it is held."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.records.model import FORMAT, seal_record
from lifeboat.repository.holds import HoldEvent, current, read_event
from lifeboat.repository.labels import make_label
from lifeboat.repository.layout import Layout
from lifeboat.repository.records import StoredRecord
from lifeboat.store.protocol import ObjectInfo
from support.records import moment

LAYOUT = Layout("main")
LABEL, OTHER = make_label(moment(0), "full"), make_label(moment(1), "full")
APART = LAYOUT.release(LABEL, moment(9), "0a1b2c3d")
BESIDE = LAYOUT.hold(LABEL, moment(9), "0a1b2c3d").replace("-held-", "-released-")
HOLD = HoldEvent(LABEL, True, "legal hold 7", "db", moment(5), True, moment(5))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.booleans(), st.integers(0, 5))))
def test_the_last_word_counts_and_in_doubt_the_hold(said: List[Tuple[str, bool, int]]) -> None:
    events = [HoldEvent(label, held, "why", "who", moment(second)) for label, held, second in said]
    for label in "ab":
        own = [(e.at, e.held) for e in events if e.label == label]
        assert (label in current(events)) == (bool(own) and max(own)[1])
    assert current(events) == current(events[::-1])


def stored(key: str, event: HoldEvent, at: float, raw: Optional[bytes] = None) -> StoredRecord:
    """The record as received by the store this many seconds after the start."""
    raw = raw or seal_record({"format": FORMAT, **event.as_dict()})
    return StoredRecord(ObjectInfo(key, len(raw), moment(at)), raw)


def released(key: str, event: HoldEvent, at: float, hold: HoldEvent = HOLD) -> bool:
    """Whether this record ends the hold."""
    found, _aside = read_event(stored(key, event, at))
    return LABEL not in current([hold] if found is None else [hold, found])


RELEASE = HoldEvent(LABEL, False, "", "me", moment(9), apart=True)


def test_only_a_release_that_lies_apart_ends_a_hold() -> None:
    assert released(APART, RELEASE, 9)
    # Whatever a record says where holds lie, and whoever puts it there: of older versions' holds it is the release.
    assert not released(BESIDE, RELEASE, 9) and not released(BESIDE, replace(RELEASE, apart=False), 9)
    assert released(BESIDE, RELEASE, 9, hold=replace(HOLD, apart=False))
    assert released(APART, RELEASE, 9, hold=replace(HOLD, apart=False))


@pytest.mark.parametrize(
    ("key", "event", "at"),
    [
        (APART, replace(RELEASE, at=moment(4)), 4),
        (APART, replace(RELEASE, at=moment(5)), 5),
        (APART, replace(RELEASE, at=moment(9) + timedelta(days=400)), 4),
        (APART, replace(RELEASE, label=OTHER), 9),
        (APART, replace(RELEASE, held=True), 9),
        (LAYOUT.release(OTHER, moment(9), "0a1b2c3d"), RELEASE, 9),
        (LAYOUT.hold(LABEL, moment(9), "0a1b2c3d"), RELEASE, 9),
    ],
    ids=["before it", "with it", "dated ahead", "of another", "a hold", "under another", "under a hold's name"],
)
def test_a_release_that_cannot_be_true_ends_nothing(key: str, event: HoldEvent, at: float) -> None:
    assert not released(key, event, at)


def test_a_hold_that_cannot_be_read_holds_until_it_is_released() -> None:
    for raw in (b"{}", b"rubbish", seal_record({"format": FORMAT, "label": OTHER})):
        found, aside = read_event(stored(LAYOUT.hold(LABEL, moment(7), "00"), HOLD, 7, raw))
        assert found is not None and aside is not None and "-held-00.json" in found.reason
        assert list(current([found])) == [LABEL]
        release, aside = read_event(stored(APART, RELEASE, 9, raw))
        assert release is None and aside is not None
        assert not current([found, replace(RELEASE, stored=moment(9))])


def test_a_hold_from_the_future_can_be_released() -> None:
    ahead = replace(HOLD, at=moment(5) + timedelta(days=36500))
    assert released(APART, RELEASE, 9, hold=ahead)
