# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy one file of a running cluster into a tar archive, with the checksums of its pages and of itself.

A member of an archive has the size that was announced before it. So a file that grows is truncated and one that
shrinks is padded with zeros, as by ``BASE_BACKUP``: the WAL since the start of the backup has what happened to it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from dataclasses import dataclass, field
from typing import IO, Callable, List, Optional, Tuple

from ..base import clock
from ..base.files import located, open_in
from ..postgres.left_out import first_block
from ..postgres.manifest_writer import CopiedFile
from ..postgres.pages import bad_pages

_CHUNK = 1024 * 1024
_BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * _BLOCK)
# Seconds between two reads of a page that may have been caught while it was written.
_AGAIN = (0.0, 0.01, 0.1, 0.5)
# Damaged pages in one read after which others are only read once more: they are not caught, the file is damaged.
_ENOUGH = 5

Take = Callable[[bytes], None]


@dataclass(frozen=True)
class PageRules:
    """How pages are checked: their size, the pages of a whole file, and the LSN of the start of the backup."""

    start: int
    size: int
    in_segment: int


@dataclass
class Findings:
    """What a volume has: its files, and the damaged pages (path and number of the page)."""

    files: List[CopiedFile] = field(default_factory=list)
    bad: List[Tuple[str, int]] = field(default_factory=list)


def member(name: str, found: os.stat_result, size: int = 0) -> bytes:
    """The header of a member: a file or a directory."""
    info = tarfile.TarInfo(name)
    info.mode, info.mtime = stat.S_IMODE(found.st_mode), int(found.st_mtime)
    info.uid, info.gid = found.st_uid, found.st_gid
    if stat.S_ISDIR(found.st_mode):
        info.type = tarfile.DIRTYPE
    else:
        info.size = size
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def padding(size: int) -> bytes:
    """What follows the content of a member."""
    return bytes(-size % _BLOCK)


def open_file(data_dir: str, path: str) -> Optional[IO[bytes]]:
    """A file below the data directory; None if it is gone. UntrustedPath for a link, or anything else that is none."""
    whole = os.path.join(data_dir, path)
    try:
        with located(whole, last=False) as (parent, base):
            return os.fdopen(open_in(parent, base, whole), "rb", buffering=0)
    except FileNotFoundError:
        return None


def copy_file(
    data_dir: str,
    path: str,
    name: str,
    take: Take,
    rules: Optional[PageRules],
    out: Findings,
    limit: Optional[int] = None,
) -> None:
    """Copy a file (``path`` below the data directory) as the member ``name``, unless it is gone.

    At most ``limit`` bytes of it. Without ``rules`` no pages are checked. UntrustedPath as :func:`open_file`.
    """
    opened = open_file(data_dir, path)
    if opened is None:
        return
    with opened as stream:
        found = os.fstat(stream.fileno())
        whole = found.st_size if limit is None else min(found.st_size, limit)
        take(member(name, found, whole))
        digest = hashlib.sha256()
        for offset in range(0, whole, _CHUNK):
            size = min(_CHUNK, whole - offset)
            chunk, bad = read_checked(stream.fileno(), path, offset, size, rules)
            out.bad += bad
            digest.update(chunk)
            take(chunk)
        take(padding(whole))
    out.files.append(copied(path, whole, found, digest.hexdigest()))


def copied(path: str, size: int, found: os.stat_result, checksum: str) -> CopiedFile:
    """The file's line in the manifest."""
    return CopiedFile(os.fsencode(path), size, found.st_mtime, checksum)


def read_checked(
    descriptor: int, path: str, offset: int, size: int, rules: Optional[PageRules]
) -> Tuple[bytes, List[Tuple[str, int]]]:
    """These bytes of a file, and its damaged pages among them; ``offset`` is a multiple of the size of a page."""
    chunk = read_at(descriptor, offset, size)
    block = first_block(path, rules.in_segment) if rules else None
    if rules is None or block is None:
        return chunk, []
    chunk, bad = _checked(descriptor, chunk, offset, block, rules)
    return chunk, [(path, number) for number in bad]


def read_at(descriptor: int, offset: int, size: int) -> bytes:
    """These bytes of a file; zeros for what it no longer has."""
    parts: List[bytes] = []
    left = size
    while left:
        part = os.pread(descriptor, left, offset + size - left)
        if not part:
            parts.append(bytes(left))
            break
        parts.append(part)
        left -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _checked(descriptor: int, chunk: bytes, offset: int, block: int, rules: PageRules) -> Tuple[bytes, List[int]]:
    """The chunk with each bad page as it was read last, and the numbers of those that remained bad."""
    size = rules.size
    whole = chunk if len(chunk) % size == 0 else chunk[: len(chunk) // size * size]
    first = block + offset // size
    bad = bad_pages(whole, first, rules.start, size) if whole else []
    if not bad:
        return chunk, []
    pages = bytearray(chunk)
    remain: List[int] = []
    for index in bad:
        for pause in _AGAIN if len(remain) < _ENOUGH else _AGAIN[:1]:
            clock.sleep(pause)
            page = os.pread(descriptor, size, offset + index * size)
            # A short read: the file has been truncated, and replay does so too.
            if len(page) < size:
                break
            pages[index * size : (index + 1) * size] = page
            if not bad_pages(page, first + index, rules.start, size):
                break
        else:
            remain.append(first + index)
    return bytes(pages), remain
