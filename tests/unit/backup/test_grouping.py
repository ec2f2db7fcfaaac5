# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files in volumes."""

from __future__ import annotations

from typing import List

from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.backup.grouping import Listed, group
from support.choice import examples

listed = st.lists(
    st.builds(Listed, st.text("abc/", min_size=1, max_size=6), st.integers(0, 120), st.sampled_from([None, "16384"])),
    max_size=60,
    unique_by=lambda file: (file.tablespace, file.path),
)


@settings(max_examples=examples(200), deadline=None)
@given(listed, st.integers(1, 100))
def test_every_file_is_in_one_volume_which_is_not_too_large(files: List[Listed], most: int) -> None:
    volumes = group(files, most)
    assert {f for v in volumes for f in v} == set(files)
    assert sum(len(v) for v in volumes) == len(files)
    for volume in volumes:
        assert len({f.tablespace for f in volume}) == 1
        assert sum(f.size for f in volume) <= most or len(volume) == 1
        assert [f.path for f in volume] == sorted(f.path for f in volume)
    totals = [sum(f.size for f in v) for v in volumes]
    assert totals == sorted(totals, reverse=True)


@settings(max_examples=examples(200), deadline=None)
@given(listed, st.integers(1, 100))
def test_the_order_of_the_files_does_not_matter(files: List[Listed], most: int) -> None:
    assert group(files, most) == group(files[::-1], most)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=14))
def test_small_files_share_volumes(sizes: List[int]) -> None:
    volumes = group([Listed(str(i), size) for i, size in enumerate(sizes)], 100)
    # All but the emptiest are half full: two that are not would have become one.
    assert sum(2 * sum(f.size for f in v) <= 100 for v in volumes) <= 1
