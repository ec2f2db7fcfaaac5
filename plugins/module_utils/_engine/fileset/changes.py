# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Incremental copies of a file set: which files are read, and which copies contain the others.

A file is unchanged when its size, inode, and the times of its content and of its status are what they were when its
content was read. The time of the status (ctime) cannot be set back, and changes with owner, mode and attributes too.
Files with several names, and those that changed within two seconds of a copy, are always read. So is what is no file.
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

#: GNU tar, with what a set keeps.
TAR = ("tar", "--acls", "--xattrs", "--directory=/")
Member = Mapping[str, Any]

# A file that is written again within one tick of the clock of times looks the same.
_FRESH_NS = 2 * 10**9
_ESCAPE = re.compile(rb"\\(?:([0-7]{3})|(.))", re.DOTALL)
_NAMED = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


@dataclass(frozen=True)
class Seen:
    """A member as it is now: its name as tar prints it (bytes), its path in the index, and how it looks.

    ``looks`` is size, time of content, time of status (both ns) and inode, of a file with one name; else None.
    """

    name: bytes
    path: str
    looks: Optional[Tuple[int, int, int, int]]


@dataclass(frozen=True)
class Selection:
    """``names`` are read. ``kept`` are the index's lines of those that are not, each with the ``copy`` that holds it.

    ``looks`` are noted with what is read.
    """

    names: Tuple[bytes, ...]
    kept: Tuple[Member, ...] = ()
    looks: Mapping[str, Sequence[int]] = field(default_factory=dict)

    @property
    def parents(self) -> Tuple[str, ...]:
        """The copies that hold what is not read."""
        return tuple(sorted({str(line["copy"]) for line in self.kept}))


def tar_options(chosen: FileSetConfig) -> List[str]:
    """The options that make GNU tar leave out the excludes."""
    return ["--anchored", *(f"--exclude={e.lstrip('/')}" for e in chosen.excludes)]


def scan(chosen: FileSetConfig, tar: Sequence[str], path_of: Callable[[bytes], str]) -> List[Seen]:
    """Every member, by tar itself, which reads no content when it writes to /dev/null (GNU tar, "Archive Names").

    Memory: about 300 bytes for each.
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
    """A name as tar writes it with ``--quoting-style=escape``."""
    return _ESCAPE.sub(_unescaped, name)


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, char = match.groups()
    return bytes([int(octal, 8)]) if octal else _NAMED.get(char, char)


def _looks(path: bytes) -> Optional[Tuple[int, int, int, int]]:
    try:
        info = os.lstat(path)
    except OSError:
        return None  # tar tells.
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1:
        return None
    return info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino


@contextlib.contextmanager
def listed(names: Sequence[bytes]) -> Iterator[List[str]]:
    """The names that select just these members, for tar."""
    with tempfile.NamedTemporaryFile(prefix="lifeboat-") as listing:
        listing.write(b"".join(name + b"\0" for name in names))
        listing.flush()
        yield ["--no-recursion", "--null", "--verbatim-files-from", f"--files-from={listing.name}"]


def select(seen: Sequence[Seen], members: Iterable[Member], label: str, read_ns: int) -> Selection:
    """What to reread in a set whose copy ``label`` was started at ``read_ns`` and has these members. Pure."""
    known: Dict[str, Optional[Member]] = {}
    for member in members:
        path = str(member["path"])
        # Two names that are written alike (bytes that are no UTF-8) are not told apart.
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
    """All members of the new copy, by their paths: what was read, and what other copies hold. Pure."""
    looks = selection.looks
    now = [{**m, "looks": list(looks[m["path"]])} if m["path"] in looks else dict(m) for m in read]
    return sorted([*now, *map(dict, selection.kept)], key=lambda m: str(m["path"]))


def by_copy(members: Iterable[Member], label: str) -> Dict[str, List[Member]]:
    """Which members each copy holds, the oldest first and ``label`` itself last. Pure."""
    found: Dict[str, List[Member]] = {}
    for member in members:
        found.setdefault(str(member.get("copy", label)), []).append(member)
    return {held: found[held] for held in sorted(found, key=lambda held: (held == label, held))}


def below(members: Iterable[Member], only: Sequence[str]) -> List[Member]:
    """The members at or below the paths ``only``; all if there are none. Pure."""
    wanted = [path.strip("/") for path in only]
    found = []
    for member in members:
        path = str(member["path"]).strip("/")
        if not wanted or any(f"{path}/".startswith(f"{w}/") or f"{w}/".startswith(f"{path}/") for w in wanted):
            found.append(member)
    return found


def tar_name(member: Member) -> bytes:
    """The name by which tar knows it."""
    raw = member.get("bytes")
    return bytes.fromhex(str(raw)) if raw else str(member["path"]).lstrip("/").encode()
