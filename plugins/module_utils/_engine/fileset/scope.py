# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limit a restore of a file set to the paths that the configuration or the operator gives.

The content of a copy is only a claim of somebody who can write to the repository. So its record, its index and the
members of its archive, as listed by GNU tar, are all checked against paths that come from this host. Pure.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ..base.errors import ConfigError, FileSetOutside, ObjectCorrupt
from ..config.load import Config
from .changes import Member, tar_name, unescaped

#: Arguments for tar to list members with names quoted as in C, so that they cannot be mistaken for anything else.
LISTING = ("--list", "--absolute-names", "--verbose", "--full-time", "--quoting-style=c")
_LINE = re.compile(
    rb"([-dlhbcpsC][-rwxsStT]{9})[.+*]? (.+?) +\d+(?:,\d+)? \S+ \S+ +"
    rb'"((?:[^"\\]|\\.)+)"(?: (?:->|link to) "((?:[^"\\]|\\.)*)")?',
    re.DOTALL,
)
_KINDS = {"d": "directory", "l": "symlink", "h": "hardlink", "b": "device", "c": "device", "p": "fifo"}
_BITS = "rwxrwxrwx"


@dataclass(frozen=True)
class Listed:
    """A member as listed by tar: its name (with ``/`` after a directory's), permissions (``-rwxr-xr-x``), owner
    (``user/group``), and the target of a link.
    """

    name: bytes
    permissions: str
    owner: str
    target: bytes = b""

    @property
    def kind(self) -> str:
        """The kind of the member, as in the index."""
        return _KINDS.get(self.permissions[0], "file")

    @property
    def mode(self) -> str:
        """The mode in octal digits, as in the index."""
        word = self.permissions[1:]
        plain = sum(1 << (8 - i) for i, char in enumerate(word) if char not in "-ST")
        special = sum(bit for i, bit in ((2, 4), (5, 2), (8, 1)) if word[i] in "sStT")
        return f"{special * 0o1000 + plain:04o}"

    @property
    def changes_user(self) -> bool:
        """Whether it is setuid or setgid, so that a program runs as its owner or group."""
        return self.kind in ("file", "hardlink") and bool({"s", "S"} & {self.permissions[3], self.permissions[6]})


def listed_members(told: bytes) -> Tuple[Listed, ...]:
    """The members in tar's output by :data:`LISTING`; ObjectCorrupt for a line that cannot be parsed."""
    found = []
    for line in told.split(b"\n"):
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise ObjectCorrupt(
                f"The copy has a member that cannot be parsed: {line.decode(errors='backslashreplace')}.",
                "Restore another copy (--label), and find out who changed this one. Nothing was written.",
            )
        permissions, owner, name, target = match.groups()
        owned = owner.decode(errors="replace").strip()
        found.append(Listed(unescaped(name), permissions.decode(), owned, unescaped(target or b"")))
    return tuple(found)


@dataclass(frozen=True)
class Scope:
    """The absolute paths at or below which file set ``file_set`` may write, and whether it may have setuid files."""

    file_set: str
    paths: Tuple[str, ...]
    setuid: bool = False

    def covers(self, name: bytes) -> bool:
        """Whether this name, relative to the target of the restore, is at or below the paths."""
        parts = _parts(name)
        return b".." not in parts and any(parts[: len(p)] == p for p in map(_parts, map(os.fsencode, self.paths)))

    def require_paths(self, label: str, names: Iterable[str]) -> None:
        """FileSetOutside if the record of the copy names a path outside."""
        wrong = [f"/{name.strip('/')}" for name in names if not self.covers(os.fsencode(name))]
        if wrong:
            raise self._outside(label, wrong[0], "which is outside of it", wrong)

    def covered(self, label: str, members: Iterable[Member], only: Sequence[str]) -> List[Member]:
        """These members of the index. FileSetOutside if one is outside, and not a directory above ``only``."""
        found, wrong = [], []
        wanted = [_parts(os.fsencode(path)) for path in only]
        for member in members:
            name = tar_name(member)
            parts = _parts(name)
            if self.covers(name):
                found.append(member)
            elif not any(parts == w[: len(parts)] for w in wanted):
                wrong.append(os.fsdecode(name))
        if wrong:
            raise self._outside(label, wrong[0], "which is outside of it", wrong)
        return found

    def require(self, label: str, members: Sequence[Listed]) -> None:
        """FileSetOutside if the archive has a member that a copy of this set cannot have."""
        directories = {_whole(m.name) for m in members if m.kind == "directory"}
        wrong = [(m, why) for m in members for why in [self._refusal(m, directories)] if why]
        if wrong:
            names = [os.fsdecode(m.name) for m, _why in wrong]
            raise self._outside(label, names[0], wrong[0][1], names)

    def _refusal(self, member: Listed, directories: Iterable[bytes]) -> Optional[str]:
        if member.name.startswith(b"/"):
            return "which is an absolute name"
        if b".." in member.name.split(b"/"):
            return "which contains '..'"
        if not self.covers(member.name):
            return "which is outside of it"
        if member.kind == "device":
            return "which is a device"
        if member.kind == "hardlink" and (member.target.startswith(b"/") or not self.covers(member.target)):
            return f"which is a hard link to {os.fsdecode(member.target)}, outside of it"
        if member.kind != "directory" and _whole(member.name) in directories:
            return "which is in it twice, as a directory and as something else"
        if member.changes_user and not self.setuid:
            return f"which would run as {member.owner.replace('/', ':')} (setuid or setgid)"
        return None

    def _outside(self, label: str, first: str, why: str, wrong: Sequence[str]) -> FileSetOutside:
        more = f"; {len(wrong) - 1} more are not allowed either" if len(wrong) > 1 else ""
        setuid = " allow_setuid: true in file_sets permits setuid files." if "setuid" in why else ""
        return FileSetOutside(
            f"File set {self.file_set} may only write at or below {', '.join(self.paths)}, but copy {label} has"
            f" {first}, {why}{more}. Nothing was written.",
            "Find out who wrote this copy. If it is yours and older than the configuration, give the paths: --path."
            + setuid,
            file_set=self.file_set,
            label=label,
            allowed=list(self.paths),
            refused=list(wrong[:100]),
        )


def scope_of(config: Config, name: str, paths: Sequence[str], only: Sequence[str]) -> Scope:
    """Where the set may write: ``paths`` if given, else the configured ones, or ``only`` if the set is not configured.

    ConfigError if there are no such paths.
    """
    chosen = next((s for s in config.file_sets if s.name == name), None)
    allowed = tuple(paths) or (chosen.paths if chosen else tuple(only))
    if not allowed:
        raise ConfigError(
            f"File set {name!r} is not configured here, so it is unknown where it may write.",
            "Add it to file_sets, or give the paths: --path /etc/nginx.",
        )
    for path in allowed:
        if not os.path.isabs(path) or ".." in path.split("/"):
            raise ConfigError(f"File set {name}: the path {path!r} is not absolute.", "Use an absolute path.")
    return Scope(name, allowed, bool(chosen and chosen.allow_setuid))


def setuid_files(members: Iterable[Member]) -> List[str]:
    """The paths of the files in an index that are setuid or setgid."""
    return [str(m["path"]) for m in members if m["kind"] in ("file", "hardlink") and int(str(m["mode"]), 8) & 0o6000]


def planned_writes(members: Iterable[Listed], names: Iterable[bytes], target: str) -> List[Dict[str, Any]]:
    """The path, kind, mode, owner and ``action`` (create or change) of each member with one of these names."""
    wanted = set(names)
    return [
        {
            "action": "change" if os.path.lexists(os.path.join(os.fsencode(target), _whole(m.name))) else "create",
            "kind": m.kind,
            "mode": m.mode,
            "owner": m.owner.replace("/", ":"),
            "path": os.path.join(target, _whole(m.name).decode(errors="backslashreplace")),
            **({"target": m.target.decode(errors="backslashreplace")} if m.target else {}),
        }
        for m in members
        if m.name.rstrip(b"/") in wanted
    ]


def write_line(write: Mapping[str, Any]) -> str:
    """One of :func:`planned_writes` as a line of text."""
    link = f" -> {write['target']}" if "target" in write else ""
    return f"{write['action']} {write['kind']} {write['mode']} {write['owner']} {write['path']}{link}"


def _parts(name: bytes) -> List[bytes]:
    return [part for part in name.split(b"/") if part not in (b"", b".")]


def _whole(name: bytes) -> bytes:
    return b"/".join(_parts(name))
