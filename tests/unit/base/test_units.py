# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.units import about, duration


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "0 s"), (0, "0 s"), (0.42, "0.42 s"), (0.999, "1.0 s"), (3.14, "3.1 s"), (9.97, "10 s"), (59.4, "59 s"),
        (59.6, "1 min"), (61, "1 min 1 s"), (900, "15 min"), (3599.7, "1 h"), (3605, "1 h"), (7260, "2 h 1 min"),
        (90_000, "25 h"), (172_800, "2 days"), (187_200, "2 days 4 h"),
    ],
)  # fmt: skip
def test_a_duration_has_its_two_largest_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (0, "0 s"), (119.9, "119 s"), (120, "2 min"), (7199, "119 min"), (172_800, "2 days")],
)
def test_roughly_it_has_one(seconds: float, words: str) -> None:
    assert about(seconds) == words


@given(st.floats(min_value=0, max_value=1e9))
def test_both_are_close(seconds: float) -> None:
    sizes = {"days": 86400, "h": 3600, "min": 60, "s": 1}

    def read(words: str) -> float:
        parts = words.split()
        return sum(float(count) * sizes[unit] for count, unit in zip(parts[::2], parts[1::2]))

    assert abs(read(duration(seconds)) - seconds) <= max(0.5, seconds / 24)
    assert 0 <= seconds - read(about(seconds)) <= max(1, seconds / 2)
