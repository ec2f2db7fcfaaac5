# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums of pages, computed at once for many, against the plain algorithm."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.postgres import pages
from support.choice import examples

SIZE = 8192


def plain(page: bytes, block: int) -> int:
    """``pg_checksum_page`` as the source has it."""
    page = page[:8] + b"\0\0" + page[10:]
    sums = list(pages._BASE)
    words = struct.unpack(f"<{len(page) // 4}I", page)
    for i in range(len(words) + 64):
        mixed = sums[i % 32] ^ (words[i] if i < len(words) else 0)
        sums[i % 32] = ((mixed * 16777619) & 0xFFFFFFFF) ^ (mixed >> 17)
    return (functools.reduce(lambda a, b: a ^ b, sums) ^ block) % 65535 + 1


def a_page(seed: int, block: int, lsn: int = 7, upper: int = 8000) -> bytes:
    rest = random.Random(seed).randbytes(SIZE - 16)
    page = struct.pack("=IIHHHH", lsn >> 32, lsn & 0xFFFFFFFF, 0, 0, 0, upper) + rest
    return page[:8] + struct.pack("=H", plain(page, block)) + page[10:]


@settings(max_examples=examples(24), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.integers(0, 2**31), st.sampled_from([4096, 8192, 32768]))
def test_the_checksums_are_those_of_the_plain_algorithm(seed: int, count: int, first: int, size: int) -> None:
    data = random.Random(seed).randbytes(count * size)
    wanted = [plain(data[i * size : (i + 1) * size], first + i) for i in range(count)]
    assert pages.checksums(data, first, size) == wanted


@pytest.mark.skipif(not importlib.util.find_spec("numpy"), reason="numpy is optional")
@settings(max_examples=examples(24), deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4), st.sampled_from([4096, 8192, 32768]))
def test_numpy_and_integers_agree(seed: int, count: int, size: int) -> None:
    numpy = importlib.import_module("numpy")
    data = bytearray(random.Random(seed).randbytes(count * size))
    assert pages.hashes_by_numpy(numpy, data, size) == pages.hashes_by_integers(data, size)


def test_a_page_is_bad_if_its_checksum_is_wrong_and_replay_does_not_replace_it() -> None:
    whole = [a_page(i, 10 + i) for i in range(4)]
    assert pages.bad_pages(b"".join(whole), 10, 100, SIZE) == []
    assert pages.bad_pages(b"".join(whole), 11, 100, SIZE) == [0, 1, 2, 3]
    torn = whole[2][:5000] + bytes(3192)
    assert pages.bad_pages(b"".join([*whole[:2], torn, whole[3]]), 10, 100, SIZE) == [2]
    # Written at the start of the backup, or after it.
    for lsn, bad in ((99, [0]), (100, []), (2**40, [])):
        changed = bytearray(a_page(1, 0, lsn))
        changed[-1] ^= 1
        assert pages.bad_pages(bytes(changed), 0, 100, SIZE) == bad
    # A new page has no checksum.
    assert pages.bad_pages(bytes(SIZE), 0, 100, SIZE) == []
    new = bytearray(a_page(1, 0, upper=0))
    new[-1] ^= 1
    assert pages.bad_pages(bytes(new), 0, 100, SIZE) == []
