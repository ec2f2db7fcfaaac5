# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The compressions of a base backup's archives: zstd, lz4, none."""

from __future__ import annotations

from typing import Iterable, Iterator, Optional, Protocol

from . import lz4, zstd


class PushCompressor(Protocol):
    """Bytes in, compressed bytes out."""

    def feed(self, data: bytes) -> bytes:
        """The compressed bytes that are ready, often none."""

    def finish(self) -> bytes:
        """The remaining compressed bytes."""


def compressor(method: str, level: int, threads: int) -> Optional[PushCompressor]:
    """The compressor for this compression; None for none."""
    if method == "zstd":
        return zstd.Compressor(level, threads)
    return lz4.Compressor(level) if method == "lz4" else None


def require(methods: Iterable[str]) -> None:
    """DependencyMissing unless the libraries for these compressions are installed."""
    if "lz4" in methods:
        lz4.library()


def decompress(method: str, chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The content of the archive ``name``, in pieces. ObjectCorrupt if it is damaged; a truncated one simply ends."""
    if method == "zstd":
        return zstd.decompress_stream(chunks, name)
    return lz4.decompress_stream(chunks, name) if method == "lz4" else iter(chunks)
