# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a standby may be promoted: what is lost, what is not known, and what somebody accepted."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.failover.judge import NEEDS_ACCEPTANCE, OK, REFUSED, Known, Limit, judge, read_limit
from lifeboat.wal.contact import Contact, newer

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
KNOWN = st.builds(
    Known,
    lsn=st.integers(1, 100),
    primary=st.none() | st.integers(1, 200),
    uncovered=st.none() | st.floats(0, 200),
    missing=st.just(()) | st.just(("000000010000000000000005",)),
    left=st.just("") | st.just("it went another way"),
)
LIMIT = st.builds(Limit, bytes=st.none() | st.floats(0, 100), seconds=st.none() | st.floats(0, 100))


@pytest.mark.parametrize(
    ("known", "limit", "accepted", "word"),
    [
        (Known(100, 100, 5.0), Limit(bytes=0), None, OK),
        (Known(100, 101, 5.0), Limit(bytes=0), None, NEEDS_ACCEPTANCE),
        (Known(100, 101, 5.0), Limit(bytes=1), None, OK),
        # What is not known is not within a limit.
        (Known(100, None, 5.0), Limit(bytes=10**9), None, NEEDS_ACCEPTANCE),
        (Known(100, None, 5.0), Limit(seconds=60), None, OK),
        (Known(100, 100, 61.0), Limit(seconds=60), None, NEEDS_ACCEPTANCE),
        (Known(100, 100, None), Limit(seconds=60), None, NEEDS_ACCEPTANCE),
        (Known(100, 100, 0.0, ("5",)), Limit(bytes=0), None, REFUSED),
        (Known(100, 100, 0.0, ("5",)), Limit(bytes=0), 100, OK),
        (Known(100, 500, 90.0), Limit(bytes=0), 100, OK),
        (Known(100, 500, 90.0), Limit(bytes=0), 99, REFUSED),
        # A stale number is refused even where nothing is lost any more.
        (Known(100, 100, 0.0), Limit(bytes=0), 99, REFUSED),
        (Known(100, 100, 0.0, left="another way"), Limit(bytes=0), 100, REFUSED),
    ],
)
def test_verdicts(known: Known, limit: Limit, accepted: Optional[int], word: str) -> None:
    verdict = judge(known, limit, accepted)
    assert verdict.word == word
    assert verdict.reasons or word == OK


@given(known=KNOWN, limit=LIMIT, accepted=st.none() | st.integers(1, 100))
def test_only_the_present_number_accepts_and_nothing_else_lifts_a_limit(
    known: Known, limit: Limit, accepted: Optional[int]
) -> None:
    verdict = judge(known, limit, accepted)
    if known.left or (accepted is not None and accepted != known.lsn):
        assert verdict.word == REFUSED
    elif accepted is not None:
        assert verdict.word == OK
    elif known.missing:
        assert verdict.word == REFUSED
    else:
        bytes_ok = limit.bytes is None or (known.lost_bytes is not None and known.lost_bytes <= limit.bytes)
        seconds_ok = limit.seconds is None or (known.uncovered is not None and known.uncovered <= limit.seconds)
        assert verdict.word == (OK if bytes_ok and seconds_ok else NEEDS_ACCEPTANCE)


def test_limits() -> None:
    assert read_limit("60s", None) == Limit(seconds=60) and read_limit("2min", 5) == Limit(seconds=120)
    assert read_limit("16MB", None) == Limit(bytes=16_000_000) and read_limit("0B", 5) == Limit(bytes=0)
    assert read_limit(None, 30.0) == Limit(seconds=30) and read_limit(None, None) == Limit(bytes=0)
    for wrong in ("60", "s", "-1s", "1e3s", "nan s", "16 MB", "1TB", ""):
        with pytest.raises(ConfigError):
            read_limit(wrong, None)


@given(
    one=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(0, 9)),
    other=st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(0, 9)),
)
def test_what_was_heard_is_never_forgotten(one: tuple[int, int, int], other: tuple[int, int, int]) -> None:
    made = [Contact(lsn, timeline, NOW + timedelta(seconds=at)) for timeline, lsn, at in (one, other)]
    found = newer(*made)
    assert found is not None and found == newer(*made[::-1])
    assert (found.timeline, found.lsn) == max(one[:2], other[:2])
    assert found.at == max(c.at for c in made)
    assert newer(None, made[0]) == made[0] == newer(made[0], None)
