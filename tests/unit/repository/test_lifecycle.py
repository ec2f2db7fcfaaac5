# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle rules: ours never affect kept objects, and others that would are reported."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.provision.lifecycle import harms, with_abort, with_old_versions

PREFIX = "pg/main/"


def rule(begins: Optional[str] = "", **action: Any) -> Dict[str, Any]:
    narrowed = {} if begins is None else {"Prefix": begins}
    return {"ID": "theirs", "Status": "Enabled", "Filter": narrowed, **action}


DELETES = {"Expiration": {"Days": 30}}
FREEZES = {"Transitions": [{"Days": 10, "StorageClass": "GLACIER"}]}


@pytest.mark.parametrize(
    ("given_rule", "says"),
    [
        (rule("", **DELETES), "theirs deletes objects 30 days old."),
        (rule(None, **DELETES), "30 days old"),
        (rule("pg/", **DELETES), "30 days old"),
        (rule("pg/main/wal/", **DELETES), "30 days old"),
        (rule("", Expiration={"Date": "2027-01-01"}), "from 2027-01-01 on"),
        (rule("", **FREEZES), "10 days old to GLACIER, where they"),
        (rule("", Transitions=[{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}]), "0 days old to DEEP_ARCHIVE"),
        ({"Status": "Enabled", "Prefix": "pg/", **DELETES}, "(without a name) deletes"),
        ({**rule(), "Filter": {"Tag": {"Key": "tier", "Value": "old"}}, **DELETES}, "those tagged tier=old"),
        (
            {**rule(), "Filter": {"And": {"Prefix": "pg/", "ObjectSizeGreaterThan": 5}}, **DELETES},
            "those larger than 5 bytes",
        ),
    ],
)
def test_rules_that_undermine_retention_are_reported(given_rule: Dict[str, Any], says: str) -> None:
    (told,) = harms([given_rule], PREFIX)
    assert says in told


@pytest.mark.parametrize(
    "given_rule",
    [
        rule("logs/", **DELETES),
        rule("pg/other/", **DELETES),
        {**rule("", **DELETES), "Status": "Disabled"},
        rule("", NoncurrentVersionExpiration={"NoncurrentDays": 1}),
        rule("", Expiration={"ExpiredObjectDeleteMarker": True}),
        rule("", AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1}),
        rule("", Transitions=[{"Days": 30, "StorageClass": "STANDARD_IA"}]),
        rule("", Transitions=[{"Days": 30, "StorageClass": "GLACIER_IR"}]),
        {"Status": "Enabled", "Filter": {"And": {"Prefix": "logs/", "Tags": []}}, **DELETES},
    ],
)
def test_rules_that_spare_backups_are_not_reported(given_rule: Dict[str, Any]) -> None:
    assert harms([given_rule], PREFIX) == []


ACTIONS: List[Dict[str, Any]] = [
    DELETES, FREEZES, {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}},
    {"NoncurrentVersionExpiration": {"NoncurrentDays": 9}},
]  # fmt: skip
PREFIXES = st.text("abp/", max_size=4)


@given(
    st.lists(st.tuples(PREFIXES, st.sampled_from(ACTIONS), st.sampled_from(["a", "b", "c"]))),
    PREFIXES.map(lambda p: f"{p.strip('/')}/" if p.strip("/") else ""),
    st.integers(1, 400),
)
def test_ours_are_added_once_and_harm_nothing(theirs: List[Any], prefix: str, days: int) -> None:
    found = [{**rule(begins, **action), "ID": name} for begins, action, name in theirs]
    once = with_old_versions(with_abort(found, prefix, days), prefix, days)
    assert with_old_versions(with_abort(once, prefix, days), prefix, days) == once
    assert [r for r in once if not r["ID"].startswith("lifeboat-")] == found
    assert harms(once, prefix) == harms(found, prefix)
    assert harms([r for r in once if r["ID"].startswith("lifeboat-")], prefix) == []


@given(PREFIXES, PREFIXES)
def test_a_rule_is_reported_exactly_where_a_key_can_meet_it(begins: str, prefix: str) -> None:
    some = [prefix + tail for tail in ("", begins[len(prefix) :], "x")]
    meets = any(key.startswith(begins) for key in some)
    assert bool(harms([rule(begins, **DELETES)], prefix)) == meets
