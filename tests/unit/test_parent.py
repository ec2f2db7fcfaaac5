# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The parent of a new backup: the newest that every repository can restore and the server descends from."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.backup.parent import choose_parent
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.records.model import BackupManifest
from lifeboat.repository.chain import Chains, find_chains
from support.records import SYSTEM, a_line_of_backups

ONE = TimelinePath((Step(1, None),))
FAR = 1 << 40


def labels(made: List[BackupManifest]) -> Dict[str, BackupManifest]:
    return {b.label: b for b in made}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Dict[str, Chains], List[BackupManifest], TimelinePath, int]:
    """Repositories with a common history, each with its own losses, and a server somewhere along it."""
    types = ["full", *draw(st.lists(st.sampled_from(["full", "differential", "incremental"]), max_size=6))]
    made = a_line_of_backups(types, [draw(st.integers(0, max(n - 1, 0))) for n in range(len(types))])
    fork = draw(st.integers(0, len(made)))
    made = [replace(b, timeline=1 if n < fork else 2) for n, b in enumerate(made)]
    switch = 0x2000000 + 0x1000000 * draw(st.integers(0, 8))
    path = draw(st.sampled_from([ONE, TimelinePath((Step(2, None),)), TimelinePath((Step(1, switch), Step(2, None)))]))
    contents = {}
    for name in ("a", "b")[: draw(st.integers(1, 2))]:
        lost = set(draw(st.lists(st.sampled_from([b.label for b in made]), max_size=2)))
        bad = dict.fromkeys(draw(st.lists(st.sampled_from([b.label for b in made]), max_size=1)), "is bad")
        contents[name] = find_chains([b for b in made if b.label not in lost], bad)
    return contents, made, path, draw(st.sampled_from([FAR, 0x5000000, 0x2000100]))


@given(worlds(), st.sampled_from(["differential", "incremental"]))
def test_the_parent_is_the_newest_that_will_do(
    world: tuple[Dict[str, Chains], List[BackupManifest], TimelinePath, int], kind: str
) -> None:
    contents, made, path, position = world

    def will_do(b: BackupManifest) -> bool:
        return (
            (kind == "incremental" or b.type == "full")
            and all(b.label in c.whole for c in contents.values())
            and path.contains(b.timeline, b.stop_lsn)
            and b.stop_lsn <= position
        )

    choice = choose_parent(kind, contents, SYSTEM, path, position)
    good = [b for b in made if will_do(b)]
    if not good:
        assert choice.chain == ()
    else:
        assert choice.chain[-1] == good[-1]
        assert choice.chain[0].type == "full"
    # Every newer candidate was passed over with a reason, and none that would have done.
    assert not {label for label, _ in choice.passed_over} & {b.label for b in good}
    assert all(why for _, why in choice.passed_over)
    newer = [label for label, _ in choice.passed_over]
    assert newer == sorted(newer, reverse=True)


def reason(contents: Dict[str, Chains], path: TimelinePath = ONE, position: int = FAR, system: str = SYSTEM) -> str:
    choice = choose_parent("incremental", contents, system, path, position)
    assert choice.chain == ()
    ((_, why),) = choice.passed_over
    return why


def test_why_a_backup_is_no_parent() -> None:
    made = a_line_of_backups(["full"], [0])
    (full,) = made
    chains = find_chains(made, {})
    assert "another cluster" in reason({"a": chains}, system="1")
    assert "does not descend" in reason({"a": chains}, TimelinePath((Step(2, None),)))
    assert "this server is only at 0/1" in reason({"a": chains}, position=1)
    assert "repository b does not have it" in reason({"a": chains, "b": Chains({}, {}, {})})
    assert "repository b cannot restore it" in reason({"a": chains, "b": find_chains(made, {full.label: "is bad"})})
    other = [replace(full, files=full.files[:1])]
    assert "another backup of that name" in reason({"a": chains, "b": find_chains(other, {})})
