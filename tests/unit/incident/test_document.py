# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The document after an incident, and what ``lifeboat check`` asks after."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Tuple

from lifeboat.check.answer import OK, WARNING
from lifeboat.check.incidents import of_incidents
from lifeboat.config.sections import ObjectivesConfig
from lifeboat.incident.document import document, markdown, page
from lifeboat.incident.record import ACKNOWLEDGED, ACTION, CLOSED, NOTE, OPENED, PHASE, Event
from lifeboat.incident.timeline import Incident, SetApart
from support.records import moment

Told = Tuple[str, float, str, Dict[str, str]]
ACT = {"action": "0a1b2c3d", "state": "open", "owner": "Bob", "due": "2026-12-24"}
STORY: List[Told] = [
    (ACKNOWLEDGED, 4, "", {"contact": "Ann"}),
    (PHASE, 10, "", {"phase": "database", "state": "done"}),
    (ACTION, 12, "mend | the runbook", ACT),
    (NOTE, 13, "the | standby <script>alert(1)</script>", {"review": "lucky"}),
    (CLOSED, 90, "restored *all*", {"went_well": "the drill helped", "lost_seconds": "12", "lost_transactions": "7"}),
]


def incident(*told: Told) -> Incident:
    first = (OPENED, 0.0, "the <b>database</b> is wrong", {"priority": "P1", "rto": "3600"})
    events = tuple(
        Event("20261122T020000Z-db1", n, None, moment(minute * 60), what, {"user": "x", "host": "h"}, text, details)
        for n, (what, minute, text, details) in enumerate((first, *told), 1)
    )
    return Incident("20261122T020000Z-db1", events)


def test_it_tells_what_happened_and_what_it_cost() -> None:
    told = document(incident(*STORY), "main", ObjectivesConfig(rpo=10), moment(10**6))
    facts, impact, review = dict(told.facts), dict(told.impact), dict(told.review)
    assert facts["Acknowledged"] == "by Ann on h, after 4 min" and facts["Ended"] == "2026-11-22 03:30:00 UTC"
    assert impact["Downtime"] == "1 h 30 min, MISSED the objective of 1 h"
    assert impact["Seconds lost"] == "12 s, MISSED the objective of 10 s" and impact["Transactions lost"] == "7"
    assert review["What went well"] == ("the drill helped",) and review["What went badly"] == ()
    assert told.actions == (("0a1b2c3d", "mend | the runbook", "Bob", "2026-12-24", "open"),)
    assert [words for _at, words, _who in told.timeline][2] == "Phase database: done"


def test_what_people_wrote_is_no_markup() -> None:
    told = document(incident(*STORY), "main", ObjectivesConfig(), moment(10**6))
    html, text = page(told, moment(0)), markdown(told)
    assert "<script>" not in html and "<b>database" not in html and "&lt;script&gt;" in html
    assert "<script>" not in text and "| mend \\| the runbook |" in text and "restored \\*all\\*" in text


def test_of_an_open_one_as_far_as_it_is_known() -> None:
    told = document(incident(), "main", ObjectivesConfig(), moment(120))
    assert told.lead == "The incident is not closed yet." and dict(told.facts)["Acknowledged"] == "by nobody"
    assert dict(told.impact)["Seconds lost"] == "not told" and "Nobody has told yet." in markdown(told)


def test_check_asks_after_open_incidents_and_overdue_actions() -> None:
    def asked(*found: Incident, day: float = 0) -> List[Tuple[str, str]]:
        return [(c.status, c.message) for c in of_incidents(found, moment(day * 86400))]

    assert asked() == []
    (is_open, counted) = asked(incident())
    assert is_open[0] == WARNING and "has been open since" in is_open[1] and counted[0] == OK
    closed = incident(*STORY)
    assert asked(closed) == [(OK, "1 incidents are on record, with 1 actions yet to be due")]
    (late, _counted) = asked(closed, day=40)
    assert late[0] == WARNING and "Action 0a1b2c3d of Bob was due at 2026-12-24: mend | the runbook" in late[1]
    done = (ACTION, 100.0, "", {"action": "0a1b2c3d", "state": "done"})
    assert [status for status, _words in asked(incident(*STORY, done), day=40)] == [OK]
    apart = replace(closed, aside=(SetApart("near", 9, "forged"),))
    assert [status for status, _words in asked(apart)] == [WARNING, OK]
