# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Zstandard frames as byte streams. Every frame has a checksum of its content, which the decoder verifies."""

from __future__ import annotations

import threading
from typing import Any, Iterable, Iterator

from ..base.errors import ObjectCorrupt
from ..base.libraries import library
from ..base.pipeline import Readable

_CHUNK = 1024 * 1024


def _zstandard() -> Any:
    return library("zstandard", "python3-zstandard", "zstandard", "zstandard")


class Compressor:
    """A push compressor: ``feed`` it bytes for compressed bytes; ``finish`` returns the rest of the frame."""

    def __init__(self, level: int = 1, threads: int = 0) -> None:
        self._stream = _zstandard().ZstdCompressor(level=level, threads=threads, write_checksum=True).compressobj()

    def feed(self, data: bytes) -> bytes:
        """The compressed bytes that are ready, often none."""
        out: bytes = self._stream.compress(data)
        return out

    def finish(self) -> bytes:
        """The end of the frame."""
        out: bytes = self._stream.flush()
        return out


# Setting up a compressor takes a third of the time of a WAL segment; each thread keeps one.
_kept = threading.local()


def compress(data: bytes, level: int = 1) -> bytes:
    """One frame of ``data`` with content size and checksum."""
    if getattr(_kept, "level", None) != level:
        _kept.compressor = _zstandard().ZstdCompressor(level=level, write_checksum=True)
        _kept.level = level
    out: bytes = _kept.compressor.compress(data)
    return out


_DAMAGED = (
    "The stored object is damaged: heal it from another repository (lifeboat verify --repair), or use another backup."
)


def decompress(data: bytes, name: str, limit: int) -> bytes:
    """The content of one frame made by :func:`compress`, at most ``limit`` bytes.

    ObjectCorrupt (naming ``name``) if it is empty, damaged, truncated or too large.
    """
    zstandard = _zstandard()
    try:
        size = zstandard.get_frame_parameters(data).content_size
        if not 0 <= size <= limit:
            raise ObjectCorrupt(f"{name} announces {size} bytes of content, more than {limit}.", _DAMAGED, key=name)
        out: bytes = zstandard.ZstdDecompressor().decompress(data, allow_extra_data=False)
    except zstandard.ZstdError as exc:
        raise ObjectCorrupt(f"{name} ({len(data)} bytes) is damaged: {exc}.", _DAMAGED, key=name) from exc
    return out


def decompress_stream(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The content of a sequence of frames, as it arrives, in pieces of at most 1 MiB.

    A frame with a wrong checksum raises ObjectCorrupt. A truncated stream simply ends: readers of an object also
    check its size and SHA-256. Memory: one incoming chunk and one piece.
    """
    zstandard = _zstandard()
    try:
        with zstandard.ZstdDecompressor().stream_reader(
            Readable(chunks), read_across_frames=True, read_size=_CHUNK // 8
        ) as reader:
            while True:
                piece = reader.read(_CHUNK)
                if not piece:
                    return
                yield piece
    except zstandard.ZstdError as exc:
        raise ObjectCorrupt(f"{name} is damaged: {exc}.", _DAMAGED, key=name) from exc
