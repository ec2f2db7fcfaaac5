# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way back is the best: never one that is not open, and never by what is not known."""

from __future__ import annotations

import shlex
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.assess.decide import FITTING, decide, first_steps, suggested
from lifeboat.assess.facts import (
    DISASTERS,
    INDEX,
    SYSTEM,
    TABLE,
    Asked,
    Backup,
    Damage,
    Damages,
    DrillFact,
    DumpFact,
    Facts,
    Place,
    Server,
    Span,
    StandbyFact,
)
from lifeboat.assess.page import render
from lifeboat.assess.run import Assessment
from lifeboat.assess.target import nearest_moment, reaches, require_reachable
from lifeboat.assess.text import lines, span
from lifeboat.assess.way import MET, UNKNOWN, UNMET, Condition, Lasts, Loss, Way, beside_objectives, rank, ranked
from lifeboat.base.errors import ConfigError, TargetUnreachable

NOW = datetime(2026, 11, 22, 14, tzinfo=timezone.utc)
CONFIG = "/etc/lifeboat/main.yml"
AMOUNT = st.none() | st.floats(0, 1e6)
CONDITION = st.builds(Condition, st.just("c"), st.sampled_from([MET, UNMET, UNKNOWN]), st.just("why"))
WAYS = st.builds(
    Way,
    name=st.sampled_from("abcdef"),
    title=st.just("title"),
    loses=st.builds(Loss, AMOUNT, st.just("words")),
    lasts=st.builds(Lasts, AMOUNT, st.just("source")),
    conditions=st.lists(CONDITION, max_size=3).map(tuple),
    command=st.just("command"),
)
MOMENTS = st.floats(-1e5, 1e4).map(lambda s: NOW + timedelta(seconds=s))
NAME = st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True)


@st.composite
def places(draw: st.DrawFn) -> Place:
    """A repository with windows in order, or one that gave no answer."""
    name = draw(NAME)
    if draw(st.booleans()):
        return Place(name, error="it is gone", required=draw(st.booleans()))
    times = sorted(draw(st.lists(MOMENTS, max_size=4, unique=True)))
    spans = tuple(Span(n // 2 + 1, f"b{n}", times[n], times[n + 1]) for n in range(0, len(times) - 1, 2))
    backups = tuple(
        Backup(s.label, s.start, draw(st.floats(1, 1e5)), "how", draw(st.integers(0, 10**12)), s.timeline,
               proven=draw(st.none() | st.booleans()), sealed=draw(st.booleans()))
        for s in spans
    )  # fmt: skip
    dumps = tuple(DumpFact("d", draw(st.sampled_from(["shop", "x; rm"])), at, 5) for at in times[:1])
    drills = tuple(DrillFact(s, f"x-{s}", draw(st.floats(0, 1e4))) for s in draw(st.sets(st.sampled_from(DISASTERS))))
    return Place(
        name, "there", draw(st.booleans()), draw(st.booleans()), None, "", spans, backups,
        spans[-1].end - timedelta(seconds=1) if spans and draw(st.booleans()) else None,
        None, draw(st.none() | st.floats(0, 100)), dumps, drills,
    )  # fmt: skip


DAMAGE = st.builds(
    Damage, st.sampled_from(["shop", "it's"]), st.sampled_from(['"a"."b"', "\"a\".\"$(id); \"\"rm '\""]),
    st.sampled_from([INDEX, TABLE, SYSTEM]), st.sampled_from([(), (1, 2)]),
)  # fmt: skip
FACTS = st.builds(
    Facts,
    cluster=st.just("shop"),
    now=st.just(NOW),
    places=st.lists(places(), min_size=1, max_size=3, unique_by=lambda p: p.name).map(tuple),
    server=st.builds(
        Server, st.sampled_from(["primary", "standby", "silent"]), data_dir=st.booleans(),
        free=st.none() | st.integers(0, 10**12),
    ),
    standby=st.none()
    | st.builds(StandbyFact, st.sampled_from(["ok", "needs_acceptance", "refused"]), uncovered=AMOUNT),
    past=st.lists(places(), max_size=2).map(tuple),
    damages=st.none() | st.builds(Damages, st.lists(DAMAGE, max_size=3).map(tuple)),
    rpo=AMOUNT,
    rto=AMOUNT,
    identity=st.booleans(),
)  # fmt: skip
ASKED = st.builds(
    Asked,
    disaster=st.sampled_from(["", *DISASTERS]),
    target=st.none() | MOMENTS,
    as_of=st.none() | MOMENTS,
    database=st.sampled_from(["", "shop"]),
    tables=st.sampled_from([(), ("orders",)]),
    standby=st.sampled_from(["", "db2"]),
    fenced=st.booleans(),
)


@given(ways=st.lists(WAYS, max_size=6), rpo=AMOUNT, rto=AMOUNT)
def test_the_marked_way_has_no_unmet_condition_and_none_that_has_is_better(
    ways: List[Way], rpo: Optional[float], rto: Optional[float]
) -> None:
    found = ranked([beside_objectives(way, rpo, rto) for way in ways])
    least = min((w.loses.seconds for w in ways if w.possible and w.loses.seconds is not None), default=0.0)
    order = [rank(way, least) for way in found]
    assert sorted(order) == order and len(found) == len(ways)
    marked = [way for way in found if way.best]
    assert len(marked) == (1 if any(way.possible for way in ways) else 0)
    for way in marked:
        assert way is found[0] and not any(c.state == UNMET for c in way.conditions)


@given(way=WAYS, state=st.sampled_from([UNMET, UNKNOWN]), rpo=AMOUNT, rto=AMOUNT)
def test_one_more_condition_that_is_not_met_never_makes_a_way_better(
    way: Way, state: str, rpo: Optional[float], rto: Optional[float]
) -> None:
    judged = beside_objectives(way, rpo, rto)
    worse = replace(judged, conditions=(*judged.conditions, Condition("more", state, "why")))
    assert rank(worse) >= rank(judged) and (state == UNKNOWN or not worse.possible)


@given(way=WAYS, more=st.floats(0, 1e6), rpo=AMOUNT, rto=AMOUNT)
def test_more_loss_and_more_time_never_make_a_way_better(
    way: Way, more: float, rpo: Optional[float], rto: Optional[float]
) -> None:
    known = beside_objectives(way, rpo, rto)
    for worse in (
        replace(way, loses=replace(way.loses, seconds=None if way.loses.seconds is None else way.loses.seconds + more)),
        replace(way, lasts=replace(way.lasts, seconds=None if way.lasts.seconds is None else way.lasts.seconds + more)),
    ):
        assert rank(beside_objectives(worse, rpo, rto)) >= rank(known)


@given(facts=FACTS, asked=ASKED)
def test_whatever_is_known_the_decision_holds_and_can_be_shown(facts: Facts, asked: Asked) -> None:
    decision = decide(facts, asked, CONFIG)
    found = Assessment(asked, facts, decision, tuple(first_steps(facts, asked, decision, CONFIG)))
    names = [way.name for way in decision.ways]
    assert len(set(names)) == len(names)
    if decision.best is not None:
        assert decision.best.possible and decision.disaster and decision.ways[0] is decision.best
        assert decision.best.name in {maker.__name__ for maker in FITTING[decision.disaster]}
    text = "\n".join(lines(found))
    page = render(found)
    for way in decision.ways:
        # A command is one: what a record says about a database is in none.
        words = shlex.split(way.command)
        assert words[0] in ("ansible-playbook", "sudo") and "rm" not in words
        assert way.command in text and way.loses.seconds != float("inf")
    assert page.startswith("<!DOCTYPE html>") and found.as_dict()["cluster"] == "shop"


@given(found=st.lists(places(), min_size=1, max_size=3, unique_by=lambda p: p.name), target=MOMENTS)
def test_a_target_is_reached_or_refused_with_one_that_is(found: List[Place], target: datetime) -> None:
    facts = Facts("shop", NOW, tuple(found))
    usable = [place for place in found if place.backups]
    try:
        require_reachable(facts, Asked(target=target))
    except TargetUnreachable as exc:
        assert not any(reaches(place, target) for place in usable)
        nearest = nearest_moment(usable, target)
        assert (exc.details["nearest"] is None) == (nearest is None)
        if nearest is not None:
            require_reachable(facts, Asked(target=nearest))
            # No moment that is reached is closer.
            between = target + (nearest - target) / 2
            step = timedelta(milliseconds=2)
            assert abs(nearest - target) <= step or not any(reaches(place, between) for place in usable)
    else:
        assert not usable or any(reaches(place, target) for place in usable)


SILENT = Server()


def shop(server: Server = SILENT, standby: Optional[StandbyFact] = None, **more: object) -> Facts:
    start = NOW - timedelta(days=1)
    place = Place(
        "near", "s3://near/shop", True, True, None, "", (Span(1, "b1", start, NOW - timedelta(seconds=90)),),
        (Backup("b1", start, 600.0, "100 MB/s", 10**9, proven=True),), rate=2.0,
    )  # fmt: skip
    return replace(Facts("shop", NOW, (place,), server, standby), **more)  # type: ignore[arg-type]


def best(facts: Facts, **asked: object) -> Tuple[str, str]:
    decision = decide(facts, Asked(**asked), CONFIG)  # type: ignore[arg-type]
    return decision.disaster, decision.best.name if decision.best else ""


def test_a_standby_that_lacks_less_is_promoted() -> None:
    assert best(shop(standby=StandbyFact("ok", uncovered=2.0)), standby="db2") == ("server", "failover")
    assert best(shop(standby=StandbyFact("refused", ("it went another way",), 2.0)), standby="db2") == (
        "server", "rebuild",
    )  # fmt: skip
    # A standby has deleted what the primary has deleted.
    asked = {"standby": "db2", "disaster": "server", "target": NOW - timedelta(hours=1)}
    assert best(shop(standby=StandbyFact("ok", uncovered=2.0)), **asked) == ("server", "rebuild")


def test_an_objective_that_is_met_beats_less_loss() -> None:
    slow = shop(standby=StandbyFact("needs_acceptance", ("behind",), 120.0))
    assert best(slow, standby="db2") == ("server", "rebuild")
    # The rebuild loses 90 s and takes 780 s, the failover loses 120 s and takes a minute.
    assert best(replace(slow, rto=300.0), standby="db2") == ("server", "failover")
    assert best(replace(slow, rto=300.0, rpo=100.0), standby="db2") == ("server", "rebuild")


def test_transactions_are_counted_by_the_rate_of_the_archived_wal() -> None:
    (way,) = [w for w in decide(shop(), Asked("server"), CONFIG).ways if w.name == "rebuild"]
    assert (way.loses.seconds, way.loses.transactions) == (90.0, 180)
    earlier = Asked("server", disaster_at=NOW - timedelta(seconds=60))
    (way,) = [w for w in decide(shop(), earlier, CONFIG).ways if w.name == "rebuild"]
    assert (way.loses.seconds, way.loses.transactions) == (30.0, 60)
    # The report of the playbook counts from then too.
    assert f" -e dr_disaster_at={NOW - timedelta(seconds=60):%Y-%m-%dT%H:%M:%SZ}" in way.command


def test_the_duration_is_that_of_a_drill_of_this_cluster_where_there_is_one() -> None:
    facts = shop()
    drilled = replace(facts.places[0], drills=(DrillFact("server", "20261101T000000Z-server", 411.0),))
    (way,) = decide(replace(facts, places=(drilled,)), Asked("server"), CONFIG).ways
    assert (way.lasts.seconds, way.lasts.source) == (411.0, "as in the drill 20261101T000000Z-server")


def test_a_region_without_its_repository_is_rebuilt_from_the_other_and_the_lost_one_is_named() -> None:
    facts = shop()
    gone = Place("far", error="no answer within 60 s")
    found = decide(replace(facts, places=(gone, *facts.places)), Asked("region"), CONFIG)
    assert found.best is not None and found.best.command.endswith("-e lifeboat_lost_repositories=far")


def test_ransomware_asks_for_a_time_and_for_versions() -> None:
    facts = shop()
    assert best(facts, disaster="ransomware") == ("ransomware", "")
    assert best(facts, disaster="ransomware", as_of=NOW) == ("ransomware", "")
    (past,) = facts.places
    facts = replace(facts, past=(replace(past, as_of=NOW - timedelta(hours=2)),))
    (way,) = decide(facts, Asked("ransomware", as_of=NOW - timedelta(hours=2)), CONFIG).ways
    assert way.best and way.command.endswith("-e dr_as_of=2026-11-22T12:00:00Z")


def test_what_an_attacker_removed_is_a_target_where_the_past_has_it() -> None:
    facts = shop()
    (past,) = facts.places
    start = NOW - timedelta(hours=1)
    left = replace(
        past, spans=(Span(1, "b2", start, NOW),), backups=(replace(past.backups[0], label="b2", finished_at=start),)
    )
    target = NOW - timedelta(hours=3)
    facts = replace(facts, places=(left,))
    with pytest.raises(TargetUnreachable):
        require_reachable(facts, Asked("ransomware", target=target))
    moment = NOW - timedelta(hours=2)
    facts = replace(facts, past=(replace(past, as_of=moment),))
    asked = Asked("ransomware", target=target, as_of=moment)
    require_reachable(facts, asked)
    found = decide(facts, asked, CONFIG)
    assert found.best is not None and found.best.name == "as_of"


def test_a_host_with_several_clusters_is_told_which_one() -> None:
    facts = shop(Server("primary"))
    moment = NOW - timedelta(hours=1)
    (place,) = facts.places
    dumped = replace(place, dumps=(DumpFact("20261121T000000Z-dump", "my shop", moment - timedelta(hours=1), 5),))
    asked = Asked("deletion", target=moment, database="my shop", host="db1")
    made = {way.name: way for way in decide(replace(facts, places=(dumped,)), asked, CONFIG).ways}
    assert "-e lifeboat_hosts=db1 -e dr_cluster=shop -e dr_target=time" in made["in_place"].command
    # A name with a space gets to Ansible whole.
    words = shlex.split(made["database_dump"].command)
    assert "dr_cluster=shop" in words and words[-1] == '{"dr_database": "my shop"}'


@pytest.mark.parametrize("name", ["{{ lookup('pipe', 'id') }}", "a\x1b[2J"])
def test_a_database_that_ansible_would_take_for_a_template_is_left_to_be_replaced(name: str) -> None:
    asked = Asked("deletion", target=NOW - timedelta(hours=1), database=name)
    (place,) = shop().places
    dumped = replace(place, dumps=(DumpFact("d1", name, NOW - timedelta(hours=2), 5),))
    (way,) = [w for w in decide(shop(places=(dumped,)), asked, CONFIG).ways if w.name == "database_dump"]
    assert "-e dr_database=DATABASE" in way.command


def test_a_standby_is_not_restored_in_place() -> None:
    ways = {way.name: way for way in decide(shop(Server("standby", data_dir=True)), Asked("corruption"), CONFIG).ways}
    assert not ways["in_place"].possible and not ways["in_place_delta"].possible


def test_the_other_repository_is_the_first_that_is_left() -> None:
    facts = shop()
    (place,) = facts.places
    empty = replace(place, name="empty", required=False, spans=(), backups=())
    far = replace(place, name="far", spans=(replace(place.spans[0], end=NOW - timedelta(seconds=10)),))
    found = decide(replace(facts, places=(empty, place, far)), Asked("server"), CONFIG)
    assert found.best is not None and found.best.repository == "far"
    assert found.best.command.endswith("-e lifeboat_lost_repositories=empty,near")


def test_a_repository_that_does_not_answer_is_given_up_only_by_who_knows_that_it_is_gone() -> None:
    facts = shop(standby=StandbyFact("ok", uncovered=2.0))
    gone = Place("far", error="no answer within 60 s")
    ways = decide(replace(facts, places=(gone, *facts.places)), Asked("region", standby="db2"), CONFIG).ways
    for way in ways:
        assert way.command.endswith("-e lifeboat_lost_repositories=far")
        assert "lost" in {c.name for c in way.conditions if c.state == UNKNOWN}
    # Not all can be given up.
    ways = decide(replace(facts, places=(gone,)), Asked("region", standby="db2"), CONFIG).ways
    assert not any("lifeboat_lost_repositories" in way.command for way in ways)


def test_against_damage_the_backup_that_is_told_is_the_one_that_the_command_takes() -> None:
    facts = shop()
    (place,) = facts.places
    newer = Backup("b2", NOW - timedelta(hours=1), 600.0, "100 MB/s", 10**9)
    both = replace(place, backups=(*place.backups, newer))
    empty, one = replace(place, name="empty", spans=(), backups=()), replace(both, name="one")
    facts = replace(facts, places=(empty, one))
    (way,) = [w for w in decide(facts, Asked("corruption"), CONFIG).ways if w.name == "other_repository"]
    assert "-e restore_label=b1" in way.command and way.conditions[0].reason.startswith("b1 ")
    # A restore to a time takes the newest backup before it, proven or not.
    facts = replace(facts, places=(both,))
    asked = Asked("corruption", target=NOW - timedelta(minutes=5))
    (way,) = [w for w in decide(facts, asked, CONFIG).ways if w.name == "in_place"]
    assert "restore_label" not in way.command and (way.conditions[0].state, "b2" in way.conditions[0].reason) == (
        UNKNOWN, True,
    )  # fmt: skip


def test_only_what_differs_is_rewritten_from_a_full_backup() -> None:
    facts = shop()
    (place,) = facts.places
    more = replace(place.backups[0], label="20261122T120000Z-incr", finished_at=NOW - timedelta(hours=2))
    for target in (None, NOW - timedelta(hours=1)):
        asked = Asked("deletion", target=target)
        both = replace(facts, places=(replace(place, backups=(*place.backups, more)),))
        (way,) = [w for w in decide(both, asked, CONFIG).ways if w.name == "in_place_delta"]
        assert way.command.endswith(" --label b1")
        only = replace(facts, places=(replace(place, backups=(more,)),))
        (way,) = [w for w in decide(only, asked, CONFIG).ways if w.name == "in_place_delta"]
        assert not way.possible and "This needs a full one." in way.conditions[0].reason


def test_indexes_are_not_all_that_is_damaged_for_sure_where_a_database_was_not_checked() -> None:
    damage = Damage("shop", '"s"."i"', INDEX)
    cases: List[Tuple[Tuple[str, ...], str]] = [((), MET), (("other",), UNKNOWN)]
    for unread, state in cases:
        facts = shop(Server("primary"), damages=Damages((damage,), unread))
        decision = decide(facts, Asked("corruption"), CONFIG)
        assert decision.best is not None and decision.best.name == "reindex"
        assert decision.best.conditions[0].state == state


def test_no_control_character_gets_to_the_terminal() -> None:
    facts = shop(places=(Place("near", error="it says\n\t\x1b[2J"),))
    told = lines(Assessment(Asked("server"), facts, decide(facts, Asked("server"), CONFIG), ()))
    assert any(line.endswith("it says \\x1b[2J") for line in told)
    assert not set("\n\t\x1b") & set("".join(told))


@pytest.mark.parametrize("name", ["a b", "$(id)", "x'y", "{{ lookup('pipe', 'id') }}", "-e", "", "a\nb"])
def test_a_name_that_shell_or_ansible_reads_as_something_else_is_refused(name: str) -> None:
    asked = Asked("server", new_host=name)
    if name:
        with pytest.raises(ConfigError):
            decide(shop(), asked, CONFIG)
    else:
        assert "NEW_HOST" in decide(shop(), asked, CONFIG).ways[0].command


@pytest.mark.parametrize(
    ("state", "asked", "disaster"),
    [
        ("primary", Asked(), ""),
        ("silent", Asked(), "server"),
        ("primary", Asked(target=NOW), "deletion"),
        ("primary", Asked(as_of=NOW), "ransomware"),
    ],
)
def test_what_the_facts_look_like(state: str, asked: Asked, disaster: str) -> None:
    assert suggested(shop(Server(state)), asked) == disaster


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "not known"), (0, "nothing"), (0.2, "0.20 s"), (59, "59 s"), (200, "3 min 20 s"), (3600, "1 h"),
     (3601, "1 h"), (187_200, "2 days 4 h")],
)  # fmt: skip
def test_durations(seconds: Optional[float], words: str) -> None:
    assert span(seconds) == words
