# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checksums of data pages (source ``checksum_impl.h``: 32 interleaved FNV-1a hashes, folded to 16 bits).

The hashes of many pages are computed at once: by numpy if it is installed, which also lets other threads work, or
else in the digits of Python's long integers, about as fast as SHA-256.
"""

from __future__ import annotations

import functools
import importlib
import struct
from typing import Any, List, Tuple

_PRIME = 16777619
_BASE = (
    0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A, 0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
    0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA, 0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
    0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE, 0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
    0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E, 0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
)  # fmt: skip
_ROW = 4 * len(_BASE)
# pd_lsn (two halves), pd_checksum, pd_flags, pd_lower, pd_upper (source ``bufpage.h``).
_HEADER = struct.Struct("=IIHHHH")
_CHECKSUM_AT = 8


@functools.lru_cache(maxsize=1)
def fast() -> bool:
    """Whether numpy is installed."""
    return _numpy() is not None


@functools.lru_cache(maxsize=1)
def _numpy() -> Any:
    try:
        return importlib.import_module("numpy")
    except ImportError:
        return None


def checksums(pages: bytes, first: int, size: int) -> List[int]:
    """The checksum that each page should have. ``pages``: whole pages of ``size`` bytes, the first number ``first``."""
    clean = bytearray(pages)
    count = len(pages) // size
    for at in (_CHECKSUM_AT, _CHECKSUM_AT + 1):
        clean[at::size] = bytes(count)
    hashes = hashes_by_numpy(_numpy(), clean, size) if fast() else hashes_by_integers(clean, size)
    return [((value ^ (first + i)) & 0xFFFFFFFF) % 65535 + 1 for i, value in enumerate(hashes)]


def hashes_by_numpy(numpy: Any, pages: bytearray, size: int) -> List[int]:
    """The folded hash of each page."""
    words = numpy.frombuffer(pages, dtype="<u4").reshape(-1, size // _ROW, len(_BASE))
    sums = numpy.broadcast_to(numpy.array(_BASE, dtype="<u4"), (words.shape[0], len(_BASE)))
    prime, shift = numpy.uint32(_PRIME), numpy.uint32(17)
    for row in range(size // _ROW + 2):
        mixed = sums ^ words[:, row, :] if row < size // _ROW else sums
        sums = (mixed * prime) ^ (mixed >> shift)
    return [int(value) for value in numpy.bitwise_xor.reduce(sums, axis=1)]


@functools.lru_cache(maxsize=4)
def _start(count: int) -> Tuple[int, int, int, int]:
    """The initial hashes of ``count`` pages in even and odd places, and masks for 32 and 15 of each 64 bits."""
    whole = int.from_bytes(struct.pack(f"<{len(_BASE)}I", *_BASE) * count, "little")
    low = int.from_bytes(b"\xff\xff\xff\xff\0\0\0\0" * (count * len(_BASE) // 2), "little")
    shifted = int.from_bytes(b"\xff\x7f\0\0\0\0\0\0" * (count * len(_BASE) // 2), "little")
    return whole & low, (whole >> 32) & low, low, shifted


def hashes_by_integers(pages: bytearray, size: int) -> List[int]:
    """The folded hash of each page; every second hash has 64 bits of a long integer, so that products fit."""
    count = len(pages) // size
    even, odd, low, shifted = _start(count)
    view = memoryview(pages)
    for row in range(size // _ROW + 2):
        if row < size // _ROW:
            rows = b"".join([view[at : at + _ROW] for at in range(row * _ROW, len(pages), size)])
            words = int.from_bytes(rows, "little")
            even, odd = even ^ (words & low), odd ^ ((words >> 32) & low)
        even = ((even * _PRIME) & low) ^ ((even >> 17) & shifted)
        odd = ((odd * _PRIME) & low) ^ ((odd >> 17) & shifted)
    folded = (even ^ odd).to_bytes(count * _ROW, "little")
    return [
        functools.reduce(lambda a, b: a ^ b, struct.unpack_from(f"<{len(_BASE)}I", folded, at))
        for at in range(0, len(folded), _ROW)
    ]


def bad_pages(pages: bytes, first: int, start_lsn: int, size: int) -> List[int]:
    """The positions of pages whose checksum is wrong, as ``BASE_BACKUP`` decides it.

    A page that is new (``pd_upper`` is 0) has none, and one that was written since the backup began (its LSN is not
    before ``start_lsn``) may be torn: WAL replay replaces it.
    """
    found = []
    for i, right in enumerate(checksums(pages, first, size)):
        high, low, checksum, _flags, _lower, upper = _HEADER.unpack_from(pages, i * size)
        if checksum != right and upper and (high << 32 | low) < start_lsn:
            found.append(i)
    return found
