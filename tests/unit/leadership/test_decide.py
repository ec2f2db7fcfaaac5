# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leads, from any set of epochs: what does not count deposes nobody, and two looks never see two leaders."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from random import Random
from typing import List, Optional, Set, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError, LeadershipTaken, LeadershipUnsure, ObjectCorrupt
from lifeboat.check.answer import CRITICAL, OK, WARNING
from lifeboat.check.leadership import judge
from lifeboat.leadership.decide import Found, Leadership, Request, begun_already, decide
from lifeboat.leadership.read import Seen
from lifeboat.leadership.record import FAILOVER, FIRST, KINDS, SWITCHOVER, Epoch, load_epoch
from lifeboat.records.model import seal_record
from lifeboat.repository.layout import Layout
from support.records import SYSTEM, moment

SITES = ("east", "west", "north")


def epoch(number: int, site: str, previous: Optional[Epoch] = None, token: str = "") -> Epoch:
    """An epoch as it is after it was stored and read."""
    made = Epoch(
        SYSTEM, number, site, token or f"token-{number}-{site}", FAILOVER if previous else FIRST, number, None,
        previous.digest if previous else None, moment(number),
    )  # fmt: skip
    return replace(made, digest=hashlib.sha256(seal_record(made.as_dict())).hexdigest())


def chain(sites: List[str]) -> List[Epoch]:
    made: List[Epoch] = []
    for number, site in enumerate(sites, 1):
        made.append(epoch(number, site, made[-1] if made else None))
    return made


def bad(number: int, repository: str = "near") -> Found:
    return Found(repository, number, error=ObjectCorrupt("damaged", ""))


def held(epochs: List[Epoch], *repositories: str) -> List[Found]:
    return [Found(name, e.number, e) for name in repositories or ("near",) for e in epochs]


chains = st.lists(st.sampled_from(SITES), max_size=6).map(chain)


def test_a_record_is_read_as_it_was_written_and_only_under_its_key() -> None:
    layout, made = Layout("main"), replace(epoch(2, "east", epoch(1, "west")), handover=0x3000028)
    raw = seal_record(made.as_dict())
    read = load_epoch(raw, layout.epoch(SYSTEM, 2))
    assert replace(read, digest=None) == replace(made, digest=None)
    assert read.digest == hashlib.sha256(raw).hexdigest() and layout.epoch(SYSTEM, 26).endswith("/0000001A.json")
    for key in (layout.epoch(SYSTEM, 3), layout.epoch("7", 2)):
        with pytest.raises(ObjectCorrupt, match="claims to be epoch 2"):
            load_epoch(raw, key)


@given(chains, st.randoms())
def test_the_site_of_the_last_epoch_leads_whatever_the_order(epochs: List[Epoch], order: Random) -> None:
    found = held(epochs, "near", "far")
    order.shuffle(found)
    now = decide(found)
    assert now.epochs == tuple(epochs) and not now.aside and not now.conflicts and now.next == len(epochs) + 1
    assert {site for site in SITES if now.deposes(site)} == (set(SITES) - {epochs[-1].site} if epochs else set())


@given(chains, st.data())
def test_an_older_epoch_does_not_depose(epochs: List[Epoch], data: st.DataObject) -> None:
    """Damaged, forged, with a hole before it, or with another epoch before it: the leader stays who it was."""
    number = len(epochs) + 1
    stranger = epoch(number, data.draw(st.sampled_from(SITES)), epoch(number - 1, "elsewhere") if number > 1 else None)
    more = data.draw(
        st.lists(
            st.sampled_from(
                [
                    bad(number), bad(number, "far"), bad(number + 1),
                    Found("near", number + 3, epoch(number + 3, "west", epoch(number + 2, "west"))),
                    Found("near", number, replace(stranger, previous="f" * 64)),
                ]
            ),
            max_size=4,
            unique_by=lambda found: (found.repository, found.number),
        )
    )  # fmt: skip
    now = decide([*held(epochs), *more])
    assert now.epochs == tuple(epochs)
    assert {(a.repository, a.number) for a in now.aside} == {(f.repository, f.number) for f in more}
    # The next claim takes a number that nothing lies under, with all before it taken.
    taken = {e.number for e in epochs} | {f.number for f in more}
    assert now.next not in taken and set(range(1, now.next)) <= taken


@given(chains.filter(len), st.sets(st.integers(1, 6)))
def test_a_damaged_epoch_hides_no_later_one(epochs: List[Epoch], damaged: Set[int]) -> None:
    found = [bad(e.number) if e.number in damaged else Found("near", e.number, e) for e in epochs]
    now = decide(found)
    whole = [e for e in epochs if e.number not in damaged]
    assert now.epochs == tuple(whole) and now.leader == (whole[-1] if whole else None)
    # What another repository has intact counts as if nothing were damaged.
    assert decide([*found, *held(epochs, "far")]).epochs == tuple(epochs)


@given(chains.filter(len), st.sets(st.integers(1, 6)))
def test_a_site_that_sees_fewer_epochs_is_not_deposed(epochs: List[Epoch], unseen: Set[int]) -> None:
    """Whatever a blind look misses, the site that leads in truth does not stop, as long as it sees its own epoch."""
    seen = [e for e in epochs if e.number not in unseen]
    if epochs[-1].number not in unseen:
        assert not decide(held(seen)).deposes(epochs[-1].site)


def test_two_different_epochs_of_one_number_are_a_conflict_and_count_for_nothing() -> None:
    first = epoch(1, "east")
    west, north = epoch(2, "west", first), epoch(2, "north", first)
    found = [*held([first], "near", "far"), Found("near", 2, west), Found("far", 2, north)]
    now = decide(found)
    assert now.conflicts == (2,) and now.leader == first and now.next == 3 and not now.deposes("east")
    assert [a.why for a in now.aside] == [
        "it is that of north, but near that of west",
        "it is that of west, but far that of north",
    ]
    # The next claim settles it.
    third = epoch(3, "north", first)
    assert decide([*found, *held([third], "near", "far")]).leader == third
    told = {c.status for c in judge("east", Seen(SYSTEM, now), False)}
    assert told == {OK, CRITICAL}


def test_permitted_claims() -> None:
    nobody, east = decide([]), decide(held(chain(["east"])))
    assert begun_already(nobody, Request("east", FIRST, 1)) is None
    for kind in (SWITCHOVER, FAILOVER):
        with pytest.raises(ConfigError, match="No site leads yet"):
            begun_already(nobody, Request("east", kind, 1))
        assert begun_already(east, Request("west", kind, 1)) is None
    with pytest.raises(LeadershipTaken) as caught:
        begun_already(east, Request("west", FIRST, 1))
    assert caught.value.details["site"] == "east"
    # Again by the same site, or by the same attempt: it goes on. By another attempt: it was beaten.
    for token in (None, "token-1-east"):
        assert begun_already(east, Request("east", FAILOVER, 1, token=token)) == east.leader
    with pytest.raises(LeadershipTaken, match="another attempt"):
        begun_already(east, Request("east", FAILOVER, 1, token="another-token"))
    # What the claim was decided upon must still be so.
    assert begun_already(nobody, Request("east", FIRST, 1, after=0)) is None
    assert begun_already(east, Request("west", FAILOVER, 1, after=1)) is None
    with pytest.raises(LeadershipTaken, match="not by epoch 0"):
        begun_already(east, Request("west", FAILOVER, 1, after=0))
    with pytest.raises(LeadershipUnsure, match="no epoch that counts"):
        begun_already(nobody, Request("west", FIRST, 1, after=1))
    with pytest.raises(LeadershipUnsure):
        begun_already(replace(east, next=2**32), Request("west", FAILOVER, 1))


def answers(site: str, now: Leadership, standby: bool = False) -> List[Tuple[str, Optional[float]]]:
    return [(c.status, c.value) for c in judge(site, Seen(SYSTEM, now), standby)]


def test_the_answers_of_check() -> None:
    now = decide(held(chain(["east", "west"])))
    assert answers("west", now) == [(OK, 2)] and answers("east", now) == [(CRITICAL, 2)]
    assert answers("east", now, standby=True) == [(OK, 2)]
    assert answers("east", decide([])) == [(WARNING, 0)] and answers("east", decide([]), standby=True) == [(OK, 0)]
    assert answers("west", decide([*held(chain(["east", "west"])), bad(3)])) == [(OK, 2), (WARNING, None)]
    assert set(KINDS) == {FIRST, SWITCHOVER, FAILOVER}
