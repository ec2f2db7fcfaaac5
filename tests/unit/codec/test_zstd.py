# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zstandard streams return what was compressed, or an error."""

from __future__ import annotations

import random
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ObjectCorrupt
from lifeboat.codec.zstd import Compressor, compress, decompress, decompress_stream

MIB = 2**20
KEY = "main/wal/7/x.zst"


def mixed(size: int, seed: int = 7) -> bytes:
    """Half noise, half zeros."""
    return random.Random(seed).randbytes(size // 2) + bytes(size - size // 2)


@given(st.binary(max_size=5000), st.integers(1, 6))
def test_one_frame_comes_back(data: bytes, level: int) -> None:
    assert decompress(compress(data, level), KEY, 5000) == data


@given(st.lists(st.binary(max_size=2000), max_size=8), st.sampled_from([0, 2]), st.integers(1, 700))
def test_a_stream_comes_back_however_it_is_cut(pieces: List[bytes], threads: int, cut: int) -> None:
    compressor = Compressor(1, threads)
    stored = b"".join(compressor.feed(p) for p in pieces) + compressor.finish()
    chunks = [stored[i : i + cut] for i in range(0, len(stored), cut)]
    assert b"".join(decompress_stream(chunks, KEY)) == b"".join(pieces)


def test_a_stream_of_several_frames_comes_back() -> None:
    assert b"".join(decompress_stream([compress(b"one "), b"", compress(b""), compress(b"two")], KEY)) == b"one two"


def test_pieces_stay_small_however_well_the_data_compressed() -> None:
    compressor = Compressor(1, 0)
    stored = b"".join(compressor.feed(bytes(MIB)) for _ in range(64)) + compressor.finish()
    assert len(stored) < 64 * 1024
    sizes = [len(piece) for piece in decompress_stream([stored], KEY)]
    assert sum(sizes) == 64 * MIB
    assert max(sizes) <= MIB


def test_every_truncation_of_a_frame_is_noticed() -> None:
    stored = compress(mixed(3000))
    for length in range(len(stored)):
        with pytest.raises(ObjectCorrupt, match=KEY):
            decompress(stored[:length], KEY, MIB)


def test_every_flipped_bit_is_noticed_or_means_nothing() -> None:
    data = mixed(1200)
    stored = compress(data)
    harmless = 0
    for index in range(len(stored)):
        for bit in range(8):
            flipped = bytearray(stored)
            flipped[index] ^= 1 << bit
            try:
                assert decompress(bytes(flipped), KEY, MIB) == data
                harmless += 1
            except ObjectCorrupt as exc:
                assert KEY in exc.message
    # The frame header has one bit without a meaning, and the window size may be larger than needed.
    assert harmless <= 8


@given(st.data())
def test_a_flipped_byte_in_a_stream_is_noticed(data: st.DataObject) -> None:
    content = mixed(200_000)
    compressor = Compressor(1, 0)
    stored = bytearray(compressor.feed(content) + compressor.finish())
    stored[data.draw(st.integers(8, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        assert b"".join(decompress_stream([bytes(stored)], KEY)) != content
    except ObjectCorrupt as exc:
        assert KEY in exc.message
        return
    # Only a frame that seems to go on gets here: whoever reads an object checks its size and SHA-256 too.
    assert len(b"".join(decompress_stream([bytes(stored)], KEY))) < len(content)


@pytest.mark.parametrize("stored", [b"", b"x", bytes(100), b"not zstd at all " * 10, compress(b"a")[:-1]])
def test_anything_else_is_not_a_frame(stored: bytes) -> None:
    with pytest.raises(ObjectCorrupt, match=KEY):
        decompress(stored, KEY, MIB)


def test_what_follows_the_frame_is_noticed() -> None:
    for rest in (b"garbage", compress(b"more"), bytes(4)):
        with pytest.raises(ObjectCorrupt, match=KEY):
            decompress(compress(b"content") + rest, KEY, MIB)


def test_more_than_the_limit_is_refused_by_its_header() -> None:
    with pytest.raises(ObjectCorrupt, match="announces 2000 bytes of content, more than 1999"):
        decompress(compress(bytes(2000)), KEY, 1999)


def test_a_frame_that_does_not_tell_its_size_is_refused() -> None:
    compressor = Compressor(1, 0)
    with pytest.raises(ObjectCorrupt, match=KEY):
        decompress(compressor.feed(b"content") + compressor.finish(), KEY, MIB)
