# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare an archive of a file set with the files on disk, or extract it, with GNU tar."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from dataclasses import dataclass
from typing import Collection, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Tuple

from ..base.errors import DiskFull, ProcessFailed
from ..base.process import Feed
from .changes import TAR, listed_names, unescaped
from .place import named_in, needs_care, place_members
from .scope import LISTING, Listed, listed_members

_FULL = ("No space left", "Wrote only", "Disk quota exceeded")


@dataclass(frozen=True)
class Compared:
    """The differences as tar prints them, all members, and the names of the ``differing`` ones; None if unknown."""

    words: Tuple[str, ...]
    members: Tuple[Listed, ...]
    differing: Optional[FrozenSet[bytes]]

    @property
    def names(self) -> Tuple[bytes, ...]:
        """The names of all members."""
        return tuple(member.name for member in self.members)


def compare(tar: Sequence[str], what: Sequence[str], chunks: Iterable[bytes], listing: Sequence[str]) -> Compared:
    """Compare an archive with the files on disk. Memory: about 400 bytes for each member, and tar's output.

    ``tar`` is the command with its directory; ``what`` are its arguments for the members to compare, ``listing`` those
    for the members to list.
    """
    told = b""
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as trouble:
        how, env = ["--quoting-style=escape", *what], {**os.environ, "LC_ALL": "C"}
        # Lists names as stored, with the slash of absolute ones. It needs no target, which may not exist yet.
        lister = Feed([*TAR, "--file=-", *LISTING, *listing], trouble, stdout=names, env=env)
        try:
            _feed(Feed([*tar, "--compare", *how], words, stdout=words, env=env), _also(lister, chunks))
        except ProcessFailed as exc:
            if exc.details.get("status") not in (1, 2):
                raise
            words.seek(0)
            told = words.read()
        finally:
            lister.kill()
        names.seek(0)
        found = listed_members(names.read())
    lines = told.splitlines()
    differing = differing_of(lines, [member.name for member in found])
    return Compared(tuple(line.decode(errors="replace") for line in lines), found, differing)


def differing_of(lines: Sequence[bytes], names: Iterable[bytes]) -> Optional[FrozenSet[bytes]]:
    """The members named in tar's lines (``NAME: what differs``, the name escaped); None if a line cannot be parsed.

    Pure. The result has no slash at the end of names.
    """
    known = {name.rstrip(b"/") for name in names}
    found = set()
    for line in lines:
        if b"Exiting with failure" in line:
            continue
        said = line[5:] if line.startswith(b"tar: ") else line
        parts = said.split(b": ")
        # The longest prefix that is a name, because a name may contain colons.
        candidates = (unescaped(b": ".join(parts[:count])).rstrip(b"/") for count in range(len(parts) - 1, 0, -1))
        name = next((candidate for candidate in candidates if candidate in known), None)
        if name is None:
            return None
        found.add(name)
    return frozenset(found)


def to_write(names: Iterable[bytes], differing: Collection[bytes], groups: Iterable[Collection[bytes]]) -> List[bytes]:
    """The members to extract if these differ: also other names of the same file (``groups``), and the directories
    above, whose times change with them. Pure; names without a slash at the end, in the order of the archive.
    """
    wanted = set(differing)
    for group in groups:
        if not wanted.isdisjoint(group):
            wanted.update(group)
    for name in list(wanted):
        parts = name.split(b"/")
        wanted.update(b"/".join(parts[:count]) for count in range(1, len(parts)))
    return [name.rstrip(b"/") for name in names if name.rstrip(b"/") in wanted]


def extract(tar: Sequence[str], what: Sequence[str], chunks: Iterable[bytes], target: str, keep: str) -> None:
    """Write these members below ``target``; existing files get the suffix ``keep``. DiskFull, ProcessFailed."""
    how = ["--extract", "--same-owner", "--preserve-permissions"]
    with tempfile.TemporaryFile() as words:

        def unpack(place: str) -> List[bytes]:
            with tempfile.TemporaryFile() as names:
                telling = [f"--directory={place}", "--verbose", "--quoting-style=escape"]
                env = {**os.environ, "LC_ALL": "C"}
                _feed(Feed([*tar, *telling, *how, *what], words, stdout=names, env=env), chunks)
                names.seek(0)
                return listed_names(names.read())

        try:
            if needs_care(target, what):
                place_members(unpack, target, named_in(what), keep)
            else:
                _feed(Feed([*tar, *how, "--backup=simple", f"--suffix={keep}", *what], words), chunks)
        except OSError as exc:
            full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
            raise (DiskFull if full else ProcessFailed)(
                f"The restore below {target} failed: {exc.filename or ''} {exc.strerror}.",
                f"Correct it and restore again. Existing files are unchanged, or have {keep} after their names.",
                path=target,
            ) from exc
        except ProcessFailed as exc:
            if any(said in exc.message for said in _FULL):
                raise DiskFull(
                    f"The disk of {target} became full during the restore: {exc.message}",
                    f"Free some space and restore again. Existing files are unchanged, or have {keep} after their"
                    " names.",
                    path=target,
                ) from exc
            raise


def _feed(program: Feed, chunks: Iterable[bytes]) -> None:
    try:
        sum(program.pour(chunks))
    finally:
        program.kill()


def _also(other: Feed, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the chunks, and also pass them to the other program as long as it accepts them."""
    going = True
    for chunk in chunks:
        if going:
            try:
                other.write(chunk)
            except ProcessFailed:
                going = False
        yield chunk
    if going:
        with contextlib.suppress(ProcessFailed):
            other.finish()
