# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans cover exactly the segments that they were made of, and are as few as possible."""

from __future__ import annotations

from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.spans import Span, join
from lifeboat.base.wal_names import Segment

SEGMENTS = st.lists(st.builds(Segment, st.integers(1, 3), st.integers(0, 600), st.just(16 * 2**20)))


@given(SEGMENTS)
def test_the_same_segments_come_back(segments: List[Segment]) -> None:
    spans = [Span.parse(span.as_dict()) for span in join(segments)]
    told = [segment for span in spans for segment in span.segments()]
    assert told == sorted(set(segments))
    # No two of them could be one.
    assert all((a.timeline, a.last + 1) != (b.timeline, b.first) for a, b in zip(spans, spans[1:]))


def test_a_hundred_thousand_segments_are_one_span() -> None:
    (span,) = join(Segment(1, number) for number in range(100_000))
    assert span.as_dict() == {
        "first": "000000010000000000000000", "last": "00000001000001860000009F", "segment_size": 16 * 2**20,
    }  # fmt: skip


@pytest.mark.parametrize("last", ["000000020000000000000005", "000000010000000000000000", "nothing"])
def test_what_is_no_span_is_refused(last: str) -> None:
    with pytest.raises(ValueError):
        Span.parse({"first": "000000010000000000000003", "last": last, "segment_size": 16 * 2**20})
