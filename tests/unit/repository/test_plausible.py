# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup's record is accepted exactly if its key, the store and its neighbors do not contradict it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Dict, List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ObjectCorrupt, RecordImplausible
from lifeboat.config.retention import RetentionConfig
from lifeboat.records.model import ArchiveFile, BackupManifest
from lifeboat.repository.chain import Break, find_chains
from lifeboat.repository.labels import label_order, make_label
from lifeboat.repository.plausible import SKEW, Claim, backup_fault, copy_fault, implausible, lacking, unnamed
from lifeboat.retention.keep import Rivals, kept_backups
from lifeboat.retention.strength import Standing
from support.records import SYSTEM, a_backup, a_line_of_backups, moment

FULL, CHILD = a_line_of_backups(["full", "incremental"], [0, 0])
HISTORY = "1\t0/3000000\tno recovery target specified\n"


def fault(backup: BackupManifest, label: str = "", **more: Any) -> str:
    label = label or CHILD.label
    claim = Claim(f"main/backups/{label}/manifest.json", label, more.get("stored", moment(200)))
    return backup_fault(backup, claim, "main", more.get("systems", {SYSTEM}), more.get("histories", {})) or ""


def test_a_genuine_one_is_believed() -> None:
    assert fault(FULL, FULL.label) == fault(CHILD) == ""
    # As it was stored here, or brought here years later by another host; and with a clock of another time zone.
    assert fault(CHILD, stored=moment(1e8)) == ""
    assert fault(CHILD, stored=CHILD.finished_at - timedelta(hours=14)) == ""
    # The server's clock has microseconds, which no label has; it may be set back a little meanwhile.
    exact = replace(CHILD, started_at=CHILD.started_at + timedelta(microseconds=999_999))
    assert fault(exact) == fault(replace(CHILD, finished_at=CHILD.started_at - timedelta(seconds=2))) == ""
    # A timeline whose history never came here, and one that began before the backup ended.
    branched = replace(CHILD, timeline=2)
    assert fault(branched) == fault(branched, histories={2: HISTORY}) == fault(branched, histories={2: "rubbish"}) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"label": FULL.label}, "claims the label"),
        ({"cluster": "other"}, "cluster other"),
        ({"type": "full"}, "claims to be a full backup"),
        ({"type": "differential"}, "claims to be a differential backup"),
        ({"started_at": CHILD.started_at + timedelta(seconds=1)}, "not that of its key"),
        ({"finished_at": CHILD.started_at - timedelta(hours=1)}, "before it began"),
        ({"finished_at": moment(200) + SKEW + timedelta(seconds=1)}, "but was stored at"),
        ({"system_identifier": "1"}, "system identifier 1"),
        ({"stop_lsn": CHILD.start_lsn}, "before it begins"),
        ({"start_lsn": 0, "stop_lsn": 2**64 - 1}, "claims WAL from 0/0 to FFFFFFFF/FFFFFFFF"),
        ({"parent": CHILD.label}, "is not earlier"),
        ({"parent": make_label(moment(150), "full")}, "is not earlier"),
        ({"parent": make_label(CHILD.started_at, "incremental")}, "is not earlier"),
        ({"parent": "something"}, "is not earlier"),
    ],
)
def test_contradictions_are_named(change: Dict[str, Any], words: str) -> None:
    assert words in fault(replace(CHILD, **change))


def test_a_backup_of_a_tiny_cluster_begins_in_the_second_of_its_parent() -> None:
    label = CHILD.label
    assert fault(replace(CHILD, parent=make_label(CHILD.started_at, "full")), label) == ""
    assert fault(replace(CHILD, parent=make_label(CHILD.started_at, "differential")), label) == ""


def test_contradictions_with_neighbors() -> None:
    assert "with a parent" in fault(replace(FULL, parent=make_label(moment(-100), "full")), FULL.label)
    assert "before its timeline began (00000002.history)" in fault(
        replace(CHILD, timeline=2), histories={2: HISTORY.replace("3000000", "9000000")}
    )
    late = replace(CHILD, label=make_label(moment(10**8), "incremental"), started_at=moment(10**8))
    assert "but was stored at" in fault(late, late.label)
    assert "not that of its key" in fault(CHILD, "99999999T999999Z-incr") or fault(CHILD, "99999999T999999Z-incr")


def test_an_implausible_record_is_a_damaged_one_with_a_code_of_its_own() -> None:
    error = implausible("main/backups/\x1b[2J/manifest.json", "it is not")
    assert isinstance(error, RecordImplausible) and isinstance(error, ObjectCorrupt)
    assert error.error_code == "record_implausible" and "\x1b" not in error.message
    assert error.details["why"] == "it is not"


@given(st.dictionaries(st.sampled_from(["base.tar.zst", "backup_manifest", "x"]), st.integers(0, 2000)))
def test_every_file_is_there_in_its_size_or_one_is_named(beside: Dict[str, int]) -> None:
    words = lacking(FULL.files, beside)
    wrong = [f.name for f in FULL.files if beside.get(f.name) != f.size]
    assert (words is None) == (not wrong) and (not wrong or wrong[0] in (words or ""))
    assert unnamed(FULL.files, beside) == [n for n in sorted(beside) if n == "x"]
    assert unnamed((ArchiveFile("x", 1, ""),), {"manifest.json": 1, "x": 1}) == []


def test_copies_and_dumps_are_what_their_keys_say() -> None:
    label, made = "20261122T020000Z-changes", moment(0)
    claim = Claim("main/files/web/20261122T020000Z-changes/manifest.json", label, moment(5))

    def of(**more: Any) -> str:
        given = {"name": "web", "cluster": "main", "label": label, "created_at": made, "whose": "web", **more}
        return copy_fault(claim=claim, here="main", **given) or ""

    assert of() == of(parents=("20261121T020000Z-files",)) == ""
    assert "claims to be of 'etc'" in of(whose="etc")
    assert "cluster other" in of(cluster="other")
    assert "claims the label" in of(label="20271122T020000Z-changes")
    assert "not that of its key" in of(created_at=moment(3600))
    for parent in (label, "20271122T020000Z-files", "nothing"):
        assert "is not earlier" in of(parents=(parent,))


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), min_size=6, max_size=6), st.booleans())
def test_no_parents_lead_to_an_endless_way(order: List[int], parents: List[int], same: bool) -> None:
    """Whatever the parents are: every chain ends, in both directions, and an intact one goes strictly backwards."""
    labels = [make_label(moment(100 * n), "incr") for n in range(6)]
    made = [
        a_backup(
            100 * n, 100 * n + 10, 100 if same else 1000 * n, 100 if same else 1000 * n + 50,
            label=labels[n], type="full" if n == parents[n] == 0 else "incremental",
            parent=None if n == parents[n] == 0 else labels[parents[n]],
        )
        for n in order
    ]  # fmt: skip
    chains = find_chains(made, {})
    for chain in chains.whole.values():
        assert all(a.start_lsn < b.start_lsn and a.stop_lsn <= b.start_lsn for a, b in zip(chain, chain[1:]))
    assert set(chains.whole) | set(chains.broken) == set(labels)
    standing = Standing(frozenset(labels))
    rivals = {SYSTEM: Rivals(list(chains.known.values()), ())}
    kept_backups(chains, standing, RetentionConfig(), dict.fromkeys(labels, timedelta()), rivals, (), {}, {})


def test_of_two_records_of_one_label_none_is_believed() -> None:
    chains = find_chains([FULL, replace(FULL, stop_lsn=FULL.stop_lsn - 1), CHILD], {})
    assert chains.known[FULL.label] is FULL and not chains.whole
    assert chains.broken[CHILD.label] == Break(CHILD.label, FULL.label, "has two records")


def test_labels_of_one_second_are_in_the_order_in_which_they_need_each_other() -> None:
    words = ["20261122T020000Z-incr", "20261122T020000Z-diff", "20261122T020000Z-full", "20261122T015959Z-incr"]
    assert sorted(words, key=label_order) == [words[3], words[2], words[1], words[0]]
    files = ["20261122T020000Z-files", "20261122T020000Z-changes", "20261122T020001Z-files"]
    assert sorted(set(files), key=label_order) == files
