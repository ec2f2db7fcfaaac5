# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A timeline history without a digest is compared with everything else about its timeline."""

from __future__ import annotations

from typing import Dict, List

import pytest
from lifeboat.base.errors import WalInvalid
from lifeboat.base.wal_names import Segment, format_lsn
from lifeboat.postgres.timeline import parse_history
from lifeboat.repository.histories import Histories
from lifeboat.verify.histories import contradictions

SIZE = 16 * 2**20


def text(*steps: int) -> str:
    """Timelines 1, 2, …, each left after a number of segments."""
    return "".join(f"{n}\t{format_lsn(at * SIZE + 40)}\tno reason\n\n" for n, at in enumerate(steps, 1))


def found(texts: Dict[int, str], unchecked: List[int]) -> Histories:
    return Histories(texts, set(unchecked))


def test_histories_that_fit_are_not_contradicted() -> None:
    texts = {2: text(5), 3: text(5, 9), 4: text(5, 9, 12)}
    segments = [Segment(1, n, SIZE) for n in range(7)]
    segments += [Segment(2, 5, SIZE), Segment(3, 9, SIZE), Segment(4, 12, SIZE)]
    assert contradictions(found(texts, [2, 3, 4]), segments, []) == {}


def test_wal_from_before_a_timeline_contradicts_its_history() -> None:
    texts = {2: text(5)}
    assert 2 in contradictions(found(texts, [2]), [Segment(2, 4, SIZE)], [])
    assert contradictions(found(texts, []), [Segment(2, 4, SIZE)], []) == {}


def test_of_two_that_differ_the_one_with_a_digest_is_right() -> None:
    texts = {2: text(5), 3: text(6, 9)}
    assert set(contradictions(found(texts, [3]), [], [])) == {3}
    assert set(contradictions(found(texts, [2]), [], [])) == {2}
    assert set(contradictions(found(texts, [2, 3]), [], [])) == {2, 3}


ODD = [
    "+1\t0/3000000\tx", "1_0\t0/3000000\tx", "1\t0/30000zz\tx", "1", "1\t0/3000000x", "0\t0/3000000\tx",
    "\uff11\t0/3\tx",
]  # fmt: skip


@pytest.mark.parametrize("line", ODD)
def test_a_line_that_postgresql_would_not_write_is_refused(line: str) -> None:
    with pytest.raises(WalInvalid):
        parse_history(20, f"{line}\n")


def test_a_reason_may_hold_anything() -> None:
    path = parse_history(2, "1\t0/3000000\tat restore point \"a\x0bb\u2028c\"\n")
    assert [s.timeline for s in path.steps] == [1, 2]
