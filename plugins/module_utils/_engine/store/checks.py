# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks that all stores share: of keys to write, and of bytes read."""

from __future__ import annotations

import hashlib
from typing import Iterable, Iterator, Optional

from ..base.errors import ObjectCorrupt, StoreError

_MAX_KEY_BYTES = 1024  # S3's limit, for the whole key


def check_key(key: str) -> str:
    """The key itself; ``StoreError`` if some store could not keep an object under exactly this name."""
    parts = key.split("/")
    if not key or "\0" in key or any(part in ("", ".", "..") for part in parts):
        raise StoreError(
            f"{key!r} is not a valid object key.",
            "Use a relative key without NUL, empty components, '.' and '..'.",
            key=key,
        )
    if len(key.encode("utf-8", "surrogateescape")) > _MAX_KEY_BYTES:
        raise StoreError(f"The object key {key!r} is longer than {_MAX_KEY_BYTES} bytes.", "Shorten it.", key=key)
    return key


def key_order(key: str) -> bytes:
    """The sort key of keys: their UTF-8 bytes, as in S3 ``ListObjectsV2``."""
    return key.encode("utf-8", "surrogateescape")


def check_size(what: str, found: int, expected: Optional[int]) -> None:
    """Raise ``ObjectCorrupt`` if an object's size in bytes is not the size it was written with."""
    if expected is not None and found != expected:
        raise ObjectCorrupt(
            f"{what} has {found} bytes instead of {expected}.",
            "It was truncated or replaced after it was written: heal it from another repository (lifeboat verify"
            " --repair), or use an older backup.",
            size=found,
            expected_size=expected,
        )


def verified(chunks: Iterable[bytes], what: str, sha256: Optional[str], size: Optional[int]) -> Iterator[bytes]:
    """Pass chunks on, and raise ``ObjectCorrupt`` at the end unless they had this SHA-256 (hex) and size."""
    digest, total = hashlib.sha256(), 0
    for chunk in chunks:
        total += len(chunk)
        if sha256 is not None:
            digest.update(chunk)
        yield chunk
    check_size(what, total, size)
    if sha256 is not None and digest.hexdigest() != sha256.lower():
        raise ObjectCorrupt(
            f"{what} has the SHA-256 {digest.hexdigest()} instead of {sha256}.",
            "Its bytes changed after they were written: heal it from another repository (lifeboat verify --repair),"
            " or use an older backup.",
            sha256=digest.hexdigest(),
            expected_sha256=sha256,
        )
