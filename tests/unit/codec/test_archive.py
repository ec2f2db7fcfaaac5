# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive is read back however it is compressed and chunked; damage and a missing library are errors."""

from __future__ import annotations

import os
import sys
from typing import Iterator, List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import DependencyMissing, ObjectCorrupt
from lifeboat.codec import archive
from lifeboat.repository.layout import archive_name, compression_of, sealed_name

METHODS = ["zstd", "lz4", "none"]


def compressed(method: str, pieces: List[bytes]) -> bytes:
    made = archive.compressor(method, 1, 0)
    if made is None:
        return b"".join(pieces)
    return b"".join(made.feed(piece) for piece in pieces) + made.finish()


def cut(data: bytes, size: int) -> Iterator[bytes]:
    for begin in range(0, len(data), size):
        yield data[begin : begin + size]


@pytest.mark.parametrize("method", METHODS)
@given(pieces=st.lists(st.binary(max_size=3000), max_size=5), size=st.integers(1, 700), sealed=st.booleans())
def test_it_comes_back(method: str, pieces: List[bytes], size: int, sealed: bool) -> None:
    name = sealed_name(archive_name("16385", method), sealed)
    assert compression_of(name) == method
    # What the server makes may be more than one frame.
    stored = compressed(method, pieces) + compressed(method, pieces[:1])
    whole = b"".join([*pieces, *pieces[:1]])
    assert b"".join(archive.decompress(method, cut(stored, size), name)) == whole


@pytest.mark.parametrize("method", METHODS)
def test_pieces_are_no_larger_than_a_mebibyte(method: str) -> None:
    content = bytes(5 * 2**20)
    chunks = cut(compressed(method, [content]), 2**20)
    assert max(len(piece) for piece in archive.decompress(method, chunks, "x")) <= 2**20


@pytest.mark.parametrize("method", ["zstd", "lz4"])
def test_damage_is_reported(method: str) -> None:
    stored = bytearray(compressed(method, [os.urandom(10_000)]))
    stored[5000] ^= 1
    with pytest.raises(ObjectCorrupt, match=r"base\.tar"):
        list(archive.decompress(method, [bytes(stored)], "base.tar.x"))


def test_a_missing_library_is_reported_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    archive.require(METHODS)
    monkeypatch.setitem(sys.modules, "lz4", None)
    archive.require(["zstd", "none"])
    with pytest.raises(DependencyMissing, match="lz4"):
        archive.require(["none", "lz4"])
