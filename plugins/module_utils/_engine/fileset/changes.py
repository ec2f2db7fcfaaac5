# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental copies of a file set: which files are read, and which copies contain the others.

A file is unchanged if its size, inode, mtime and ctime are the same as when its content was read. ctime cannot be set
back, and also changes with owner, mode and attributes. Files with several names, those that changed within two seconds
of a copy, and members that are not regular files are always read.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ..base.process import Drain
from ..config.load import FileSetConfig

#: GNU tar, with the attributes that a set keeps.
TAR = ("tar", "--acls", "--xattrs", "--directory=/")
Member = Mapping[str, Any]

# A file that is written again within one tick of the file system's clock looks unchanged.
_FRESH_NS = 2 * 10**9
_ESCAPE = re.compile(rb"\\(?:([0-7]{3})|(.))", re.DOTALL)
_NAMED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(frozen=True)
class Seen:
    """A member as it is now: its name in tar (bytes), its path in the index, and its ``looks``.

    ``looks`` are size, mtime and ctime (both ns) and inode of a file with one name; None for any other member.
    """

    name: bytes
    path: str
    looks: Optional[Tuple[int, int, int, int]]


@dataclass(frozen=True)
class Selection:
    """``names`` are the members to read. ``kept`` are the index lines of the others, each with the ``copy`` it is in.

    ``looks`` by path go into the index lines of the members that are read.
    """

    names: Tuple[bytes, ...]
    kept: Tuple[Member, ...] = ()
    looks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def parents(self) -> Tuple[str, ...]:
        """The copies that have the members that are not read."""
        return tuple(sorted({str(line["copy"]) for line in self.kept}))


def tar_options(chosen: FileSetConfig) -> List[str]:
    """The options of GNU tar for the excludes of the set."""
    return ["--anchored", *(f"--exclude={e.lstrip('/')}" for e in chosen.excludes)]


def scan(chosen: FileSetConfig, tar: Sequence[str], path_of: Callable[[bytes], str]) -> List[Seen]:
    """Every member, as listed by tar, which reads no content if it writes to /dev/null (GNU tar, "Archive Names").

    Memory: about 300 bytes for each member.
    """
    argv = [*tar, "--create", "--file=/dev/null", "--verbose", "--quoting-style=escape", *tar_options(chosen)]
    argv += ["--", *(p.strip("/") for p in chosen.paths)]
    with tempfile.TemporaryFile() as words:
        told = b"".join(Drain(argv, words, accept=(0, 1)).chunks())
    names = (name.rstrip(b"/") for name in listed_names(told))
    return [Seen(name, path_of(name), _looks(b"/" + name)) for name in names]


def listed_names(told: bytes) -> List[bytes]:
    """The names in tar's listing with ``--quoting-style=escape``. Pure."""
    return [unescaped(line) for line in told.split(b"\n") if line]


def unescaped(name: bytes) -> bytes:
    """The name that tar prints as this with ``--quoting-style=escape``."""
    return _ESCAPE.sub(_unescaped, name)


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, char = match.groups()
    return bytes([int(octal, 8)]) if octal else _NAMED.get(char, char)


def _looks(path: bytes) -> Optional[Tuple[int, int, int, int]]:
    try:
        info = os.lstat(path)
    except OSError:
        return None  # tar reports it.
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
        return None
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino


@contextlib.contextmanager
def listed(names: Sequence[bytes]) -> Iterator[List[str]]:
    """The arguments with which tar selects exactly these members."""
    with tempfile.NamedTemporaryFile(prefix="lifeboat-") as listing:
        listing.write(b"".join(name + b"\0" for name in names))
        listing.flush()
        yield ["--no-recursion", "--null", "--verbatim-files-from", f"--files-from={listing.name}"]


def select(seen: Sequence[Seen], members: Iterable[Member], label: str, read_ns: int) -> Selection:
    """The selection for a set whose copy ``label`` was started at ``read_ns`` and has these members. Pure."""
    known: Dict[str, Optional[Member]] = {}
    for member in members:
        path = str(member["path"])
        # Two names with the same path (bytes that are not UTF-8) cannot be told apart, so both are read.
        known[path] = None if path in known else member
    names, kept, looks = [], [], {}
    for item in seen:
        before = known.get(item.path)
        if item.looks is not None:
            looks[item.path] = item.looks
        same = before is not None and item.looks is not None and list(item.looks) == list(before.get("looks", ()))
        if before is None or item.looks is None or not same or max(item.looks[1:3]) > read_ns - _FRESH_NS:
            names.append(item.name)
        else:
            kept.append({**before, "copy": before.get("copy", label)})
    return Selection(tuple(names), tuple(kept), looks)


def merged(read: Iterable[Member], selection: Selection) -> List[Dict[str, Any]]:
    """All members of the new copy, by path: those that were read, and those in other copies. Pure."""
    looks = selection.looks
    now = [{**m, "looks": list(looks[m["path"]])} if m["path"] in looks else dict(m) for m in read]
    return sorted([*now, *map(dict, selection.kept)], key=lambda m: str(m["path"]))


def by_copy(members: Iterable[Member], label: str) -> Dict[str, List[Member]]:
    """The members in each copy, the oldest copy first and ``label`` itself last. Pure."""
    found: Dict[str, List[Member]] = {}
    for member in members:
        found.setdefault(str(member.get("copy", label)), []).append(member)
    return {held: found[held] for held in sorted(found, key=lambda held: (held == label, held))}


def below(members: Iterable[Member], only: Sequence[str]) -> List[Member]:
    """The members at, below or above the paths ``only``; all members without such paths. Pure."""
    wanted = [path.strip("/") for path in only]
    found = []
    for member in members:
        path = str(member["path"]).strip("/")
        if not wanted or any(f"{path}/".startswith(f"{w}/") or f"{w}/".startswith(f"{path}/") for w in wanted):
            found.append(member)
    return found


def tar_name(member: Member) -> bytes:
    """The member's name in the archive."""
    raw = member.get("bytes")
    return bytes.fromhex(str(raw)) if raw else str(member["path"]).lstrip("/").encode()
