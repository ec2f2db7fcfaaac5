# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of a ledger."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.drill.records import Commit, Ledger, parse_ledger

TIMES = st.integers(1_600_000_000_000_000, 3_000_000_000_000_000).map(
    lambda tick: datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=tick)
)
LSNS = st.integers(0, 2**63 - 1)
COMMITS = st.builds(Commit, st.integers(1, 2**62), TIMES, TIMES, LSNS, st.none() | LSNS)


@given(st.lists(COMMITS), st.none() | st.builds(Commit, st.integers(1, 9), TIMES, st.none(), LSNS, st.none()))
def test_what_is_written_is_read(commits: list[Commit], in_flight: Commit | None) -> None:
    ended = Ledger((), "server vanished", datetime(2026, 1, 1, tzinfo=timezone.utc), in_flight)
    lines = [json.dumps(c.as_dict()) for c in commits] + [json.dumps(ended.end_dict())]
    ledger = parse_ledger("\n".join(lines) + "\n")
    assert ledger.commits == tuple(commits)
    assert ledger.in_flight == in_flight
    assert ledger.ended == "server vanished"
    assert len(ledger.records) == len(commits) + (in_flight is not None)


@pytest.mark.parametrize("line", ["{", "[]", '{"id": 1}', '{"id": 1, "started_at": "x", "acked_at": null}', "7"])
def test_a_line_that_is_no_record_is_named(line: str) -> None:
    good = json.dumps(Commit(1, datetime(2026, 1, 1, tzinfo=timezone.utc), None, 0, None).as_dict())
    with pytest.raises(ConfigError, match="line 2"):
        parse_ledger(f"{good}\n{line}\n")
