# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Follow a log file that grows, is renamed, copied and truncated, or removed, from the last position on.

A file is identified by its inode and the digest of its first bytes. If another file has its name, the known one is
searched for beside it (``app.log.1``, ``app.log-20261123``) and read to its end, then later ones, then the new one.
Bytes that can no longer be found are counted.

The shipper is root, and others can write where logs are, so files are opened by :mod:`..base.files` and identified by
descriptor.
"""

from __future__ import annotations

import glob
import hashlib
import os
import re
from dataclasses import dataclass, replace
from typing import IO, Iterable, List, Optional, Tuple

from ..base.errors import UntrustedPath
from ..base.files import open_to_read

#: Bytes at which longer lines are cut.
LONGEST = 1024 * 1024
_HEAD = 256
# How long to wait for more lines in a renamed file: its writer may not have opened the new one yet.
SETTLE_NS = 5 * 10**9
_ROTATED = re.compile(r"[.-]\d[\d.:T_-]*\Z", re.ASCII)


@dataclass(frozen=True)
class Position:
    """How far a file was read: ``offset`` bytes of the file with this inode, whose first ``head_size`` bytes have the
    SHA-256 ``head``. ``size`` (bytes) and ``written`` (ns): size and modification time when it was last seen.
    """

    inode: int
    offset: int
    size: int
    written: int
    head: str
    head_size: int


@dataclass(frozen=True)
class Followed:
    """New content of a log: its lines, the new position, and how many bytes were lost (at least).

    ``more``: there is more to read immediately. ``trouble``: why it could not be read.
    """

    lines: Tuple[bytes, ...] = ()
    position: Optional[Position] = None
    lost: int = 0
    more: bool = False
    trouble: str = ""


def matching(patterns: Iterable[str]) -> List[str]:
    """The files that match the patterns, each once, without files that were rotated away from another match."""
    found = sorted({path for pattern in patterns for path in glob.glob(pattern) if os.path.isfile(path)})
    names = set(found)
    return [path for path in found if _ROTATED.sub("", path) not in names - {path}]


def follow(path: str, known: Optional[Position], budget: int, now_ns: int) -> Followed:
    """The next lines of the log ``path``, about ``budget`` bytes of them; an unfinished line is left for later.

    Memory: the budget, and one line.
    """
    try:
        if known is None:
            return _read_from(path, 0, budget)
        if known.offset == 0:
            # The beginning of an unread file is unknown, so files that were rotated away since come first.
            later = _later(path, known)
            if later and os.stat(later[0][1]).st_ino != known.inode:
                return _turn(path, (), known)
        current = _stat(path)
        if current is not None and _is_known(path, current, known):
            return _read_from(path, known.offset, budget)
        older = _find(path, known)
        if older is not None:
            # Until then it may still grow.
            last = now_ns - os.stat(older).st_mtime_ns > SETTLE_NS
            done = _read_from(older, known.offset, budget, last)
            if not last or done.more or done.position is None:
                return done
            return _turn(path, done.lines, done.position)
        went = _turn(path, (), known)
        # Forget a file that was removed and has not come back.
        position = None if went.position is known else went.position
        return replace(went, position=position, lost=max(0, known.size - known.offset))
    except OSError as exc:
        return Followed(position=known, trouble=f"{path}: {exc.strerror}")
    except UntrustedPath as exc:
        return Followed(position=known, trouble=f"{path} is not shipped: {exc.message}")


def look(path: str, known: Position) -> Position:
    """The current size of the file, without reading it."""
    try:
        info = os.stat(path)
    except OSError:
        return known
    return replace(known, size=info.st_size) if info.st_ino == known.inode and info.st_size > known.size else known


def _turn(path: str, lines: Tuple[bytes, ...], done: Position) -> Followed:
    """Continue with the file after the finished one; stay if there is none yet."""
    later = _later(path, done)
    if not later and not os.path.exists(path):
        return Followed(lines, done)
    following = later[0][1] if later else path
    info = os.stat(following)
    # Everything written until then has been read.
    fresh = Position(info.st_ino, 0, info.st_size, done.written, *_head(following, 0))
    return Followed(lines, fresh, more=info.st_size > 0)


def _later(path: str, known: Position) -> List[Tuple[int, str]]:
    """Files that were rotated away after the known one was last written: their modification times and paths."""
    found = [(os.stat(p).st_mtime_ns, p) for p in _rotated(path)]
    return sorted((written, p) for written, p in found if written > known.written)


def _read_from(path: str, offset: int, budget: int, last: bool = False) -> Followed:
    """Lines from ``offset`` on; with ``last``, also a last line without a newline."""
    with open_to_read(path) as stream:
        info = os.fstat(stream.fileno())
        stream.seek(offset)
        data = stream.read(budget)
        end = offset + len(data)
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) < budget and (not last or not data):
            lines: List[bytes] = []
        elif not whole or (last and len(data) < budget):
            whole = len(data)
            lines = data.split(b"\n")
        else:
            lines = data[:whole].split(b"\n")
        lines = lines[:-1] if lines and not lines[-1] else lines
        end = offset + whole
        head, head_size = _head_of(stream, end)
    position = Position(info.st_ino, end, info.st_size, info.st_mtime_ns, head, head_size)
    return Followed(tuple(_cut(lines)), position, more=bool(whole) and len(data) == budget)


def _cut(lines: Iterable[bytes]) -> Iterable[bytes]:
    for line in lines:
        yield from (line[i : i + LONGEST] for i in range(0, max(len(line), 1), LONGEST))


def _is_known(path: str, info: os.stat_result, known: Position) -> bool:
    same = info.st_ino == known.inode and info.st_size >= known.offset
    return same and _head(path, known.head_size)[0] == known.head


def _find(path: str, known: Position) -> Optional[str]:
    """The known file under another name: the same inode (renamed), or the same beginning (copied, then truncated)."""
    fitting = []
    for candidate in _rotated(path):
        info = _stat(candidate)
        if info is None or info.st_size < known.offset or _head(candidate, known.head_size)[0] != known.head:
            continue
        if info.st_ino == known.inode:
            return candidate
        if known.head_size:
            fitting.append(candidate)
    return fitting[0] if fitting else None


def _rotated(path: str) -> List[str]:
    """Readable files beside the log with its name followed by a number or a date."""
    directory, name = os.path.split(path)
    try:
        entries = os.listdir(directory)
    except FileNotFoundError:
        return []
    names = [e for e in entries if e.startswith(name) and _ROTATED.fullmatch(e[len(name) :])]
    return [p for p in (os.path.join(directory, e) for e in sorted(names)) if os.path.isfile(p) and _trusted(p)]


def _trusted(path: str) -> bool:
    """Whether the file can belong to the log; others are treated as removed."""
    try:
        open_to_read(path).close()
    except (UntrustedPath, FileNotFoundError):
        return False
    return True


def _stat(path: str) -> Optional[os.stat_result]:
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _head(path: str, offset: int) -> Tuple[str, int]:
    with open_to_read(path) as stream:
        return _head_of(stream, offset)


def _head_of(stream: IO[bytes], offset: int) -> Tuple[str, int]:
    """The digest of the first bytes, at most as many as were read, and their number."""
    stream.seek(0)
    found = stream.read(min(offset, _HEAD))
    return hashlib.sha256(found).hexdigest(), len(found)
