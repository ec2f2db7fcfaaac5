# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of backups: intact ones lead to a full backup, broken ones name the faulty link."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Set, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.records.model import BackupManifest
from lifeboat.repository.chain import find_chains
from support.records import a_line_of_backups


@st.composite
def histories(draw: st.DrawFn) -> List[BackupManifest]:
    """Possible backups: the first is full, each later one is based on any earlier one."""
    types = ["full", *draw(st.lists(st.sampled_from(["full", "differential", "incremental"]), max_size=7))]
    return a_line_of_backups(types, [draw(st.integers(0, max(n - 1, 0))) for n in range(len(types))])


def ancestors(backup: BackupManifest, known: Dict[str, BackupManifest]) -> List[str]:
    out = [backup.label]
    while (parent := known[out[0]].parent) is not None:
        out.insert(0, parent)
    return out


@given(histories(), st.data())
def test_a_chain_is_whole_exactly_when_all_its_ancestors_are_there_and_sound(
    made: List[BackupManifest], data: st.DataObject
) -> None:
    known = {b.label: b for b in made}
    gone: Set[str] = set(data.draw(st.lists(st.sampled_from(sorted(known)), max_size=3)))
    bad: Set[str] = set(data.draw(st.lists(st.sampled_from(sorted(known)), max_size=3)))
    there = data.draw(st.permutations([b for b in made if b.label not in gone]))
    chains = find_chains(there, dict.fromkeys(bad, "has a damaged record"))

    assert set(chains.whole) | set(chains.broken) == {b.label for b in there}
    assert not set(chains.whole) & set(chains.broken)
    for backup in there:
        line = ancestors(backup, known)
        faulty = [label for label in line if label in gone | bad]
        if faulty:
            # The link that is nearest to the backup is the one that is named.
            broken = chains.broken[backup.label]
            assert (broken.label, broken.link) == (backup.label, faulty[-1])
            assert faulty[-1] in str(broken)
        else:
            assert [b.label for b in chains.whole[backup.label]] == line
            assert chains.whole[backup.label][0].type == "full"


def broken_by(made: List[BackupManifest]) -> Tuple[str, str]:
    (found,) = find_chains(made, {}).broken.values()
    return found.link, str(found)


def test_a_parent_of_another_cluster_or_of_later_is_none() -> None:
    full, child = a_line_of_backups(["full", "incremental"], [0, 0])
    assert find_chains([full, child], {}).whole[child.label] == (full, child)
    link, words = broken_by([replace(full, system_identifier="1"), child])
    assert link == full.label
    assert "another cluster's" in words
    assert "later" in broken_by([replace(full, stop_lsn=child.start_lsn + 1), child])[1]


def test_a_backup_that_should_have_a_parent_and_has_none_is_broken() -> None:
    _, child = a_line_of_backups(["full", "incremental"], [0, 0])
    assert "has no parent although" in broken_by([replace(child, parent=None)])[1]


def test_the_error_names_both_ends() -> None:
    made = a_line_of_backups(["full", "differential", "incremental"], [0, 0, 1])
    error = find_chains(made[1:], {}).broken[made[2].label].error("/mnt/x", "Choose another.")
    assert error.error_code == "chain_broken"
    assert made[0].label in error.message
    assert made[2].label in error.message
    assert error.details == {"label": made[2].label, "link": made[0].label}
    itself = find_chains(made, {made[0].label: "lacks its file x"}).broken[made[0].label].error("/mnt/x", "")
    assert "itself lacks its file x" in itself.message
