# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects created according to the trail must exist, unless the trail records their removal."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, Dict, FrozenSet, List, Optional

import pytest
from lifeboat.audit.event import FAILED, OK, Event
from lifeboat.repository.layout import Layout
from lifeboat.verify.trail import There, missing

BEGAN = datetime(2026, 11, 1, tzinfo=timezone.utc)
LABEL = "20261122T000000Z-full"
NONE: FrozenSet[str] = frozenset()


def event(
    what: str, *objects: str, days: float = 10, result: str = OK, details: Optional[Dict[str, Any]] = None
) -> Event:
    at = BEGAN + timedelta(days=days)
    return Event("db1.postgres", 7, None, at, what, result, "main", {}, objects=objects, details=details or {})


def there(finished: FrozenSet[str] = NONE, records: FrozenSet[str] = NONE, unfinished: FrozenSet[str] = NONE) -> There:
    return There("near", Layout("main"), finished, unfinished, records, BEGAN)


MADE = [
    (event("backup", LABEL), f"backups/{LABEL}"),
    (event("files-backup", "app/20261122T000000Z-files"), "files/app/20261122T000000Z-files"),
    (event("dump", "20261122T000000Z-dump", details={"database": "a/b"}), "dumps/a%2Fb/20261122T000000Z-dump"),
]


@pytest.mark.parametrize(("made", "name"), MADE, ids=lambda v: str(v)[:12])
def test_a_backup_that_was_made_but_is_gone_is_missed(made: Event, name: str) -> None:
    (finding,) = missing(there(), [made])
    # Without its files no record alone is brought; where they are, it is.
    assert finding.key == "" and "event 7 of db1.postgres" in finding.error.message
    (finding,) = missing(there(unfinished=frozenset({name})), [made])
    assert finding.key == f"main/{name}/manifest.json"
    assert missing(there(finished=frozenset({name})), [made]) == []
    assert finding.error.hint.endswith(name.rsplit("/", 1)[-1] if made.what == "backup" else name)


@pytest.mark.parametrize(("made", "name"), MADE, ids=lambda v: str(v)[:12])
def test_a_backup_removed_by_retention_is_not_missed(made: Event, name: str) -> None:
    label = name.rsplit("/", 1)[-1] if made.what == "backup" else name
    by_hand = event("prune", label, days=11)
    named = event("prune", *([label] if made.what == "backup" else []), days=11, details={"copies": [name]})
    assert missing(there(), [made, by_hand]) == missing(there(), [made, named]) == []
    # A removal before it was made, or of something else, explains nothing.
    earlier, other = event("prune", label, days=9), event("prune", "x", days=11, details={"copies": []})
    assert len(missing(there(), [earlier, made, other])) == 1


def test_an_event_of_retention_that_names_no_copies_may_have_removed_any() -> None:
    old = event("prune", days=11)
    assert missing(there(), [MADE[1][0], MADE[2][0], old]) == []
    assert len(missing(there(), [MADE[0][0], old])) == 1


@pytest.mark.parametrize(
    "made",
    [
        event("backup", LABEL, result=FAILED),
        event("backup", LABEL, days=-1),
        event("backup", "../../x"),
        event("sync", "a"),
        event("drill", f"{LABEL[:16]}-server", details={"repositories": ["far"]}),
    ],
    ids=["failed", "before the repository", "no label", "nothing made", "a drill elsewhere"],
)
def test_a_backup_of_another_repository_is_not_missed(made: Event) -> None:
    assert missing(there(), [made]) == []


def records(*keys: str) -> There:
    return there(records=frozenset(keys))


@pytest.mark.parametrize(
    ("made", "key"),
    [
        (event("hold", LABEL), f"main/holds/{LABEL}/20261110T235959Z-held-aa.json"),
        (event("release", LABEL), f"main/holds/{LABEL}/20261110T235959Z-released-aa.json"),
        (event("restore test", LABEL), "main/restore_tests/20261110T235959Z-aa.json"),
        (event("erasure", "20261111T000000Z-aa"), "main/erasures/20261111T000000Z-aa.json"),
        (event("leader-claim", "7/20261110"), "main/leadership/7/20261110.json"),
    ],
    ids=["hold", "release", "report", "erasure", "epoch"],
)
def test_a_record_is_found_by_its_time(made: Event, key: str) -> None:
    assert missing(records(key), [made]) == []
    other = key.replace("2026111", "2026112").replace("-released-", "-x-")
    assert len(missing(records(other), [made])) == 1


def test_a_repository_that_took_no_hold_or_report_is_not_asked_for_it() -> None:
    hold = event("hold", LABEL, details={"repositories": ["far"]})
    report = event("restore test", LABEL, details={"unrecorded": ["near"]})
    claim = event("leader-claim", "7/00000001", details={"repositories": ["far"]})
    assert missing(there(), [hold, report, claim]) == []
    here: List[Event] = [event("hold", LABEL, details={"repositories": ["far", "near"]})]
    assert len(missing(there(), here)) == 1
