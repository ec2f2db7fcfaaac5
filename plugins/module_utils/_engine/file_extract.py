# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of a file set, and what is on the disk: GNU tar compares them, or writes the one over the other."""

from __future__ import annotations

import contextlib
import os
import tempfile
from dataclasses import dataclass
from typing import Collection, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Tuple

from .errors import DiskFull, ProcessFailed
from .file_changes import listed_names, unescaped
from .process import Feed

_FULL = ("No space left", "Wrote only", "Disk quota exceeded")


@dataclass(frozen=True)
class Compared:
    """What differs in tar's words, the names of all members, and of those that differ; None: that cannot be told."""

    words: Tuple[str, ...]
    names: Tuple[bytes, ...]
    differing: Optional[FrozenSet[bytes]]


def compare(tar: Sequence[str], what: Sequence[str], chunks: Iterable[bytes]) -> Compared:
    """Hold an archive against what is there. Memory: about 200 bytes for each member, and tar's words.

    ``tar`` is the program with where it works; ``what`` are its words for the members that are meant.
    """
    told = b""
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as trouble:
        how, env = ["--quoting-style=escape", *what], {**os.environ, "LC_ALL": "C"}
        # As they are: an absolute one would lose its slash.
        lister = Feed([*tar, "--list", "--absolute-names", *how], trouble, stdout=names, env=env)
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
        found = tuple(listed_names(names.read()))
    lines = told.splitlines()
    return Compared(tuple(line.decode(errors="replace") for line in lines), found, differing_of(lines, found))


def differing_of(lines: Sequence[bytes], names: Iterable[bytes]) -> Optional[FrozenSet[bytes]]:
    """Of which members tar's lines speak (``NAME: what differs``, the name escaped); None where one is not understood.

    Pure. The names come without a slash at their end.
    """
    known = {name.rstrip(b"/") for name in names}
    found = set()
    for line in lines:
        if b"Exiting with failure" in line:
            continue
        said = line[5:] if line.startswith(b"tar: ") else line
        parts = said.split(b": ")
        # The longest beginning that is a name: a name may have a colon.
        candidates = (unescaped(b": ".join(parts[:count])).rstrip(b"/") for count in range(len(parts) - 1, 0, -1))
        name = next((candidate for candidate in candidates if candidate in known), None)
        if name is None:
            return None
        found.add(name)
    return frozenset(found)


def to_write(names: Iterable[bytes], differing: Collection[bytes], groups: Iterable[Collection[bytes]]) -> List[bytes]:
    """The members to extract where these differ: they, the names of the same file (``groups``), and the directories
    above them, whose times change with them. Pure; names without a slash at their end, in the order of the archive.
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
    """Write these members below ``target``; what is there gets ``keep`` after its name. DiskFull, ProcessFailed."""
    how = ["--extract", "--same-owner", "--preserve-permissions", "--backup=simple", f"--suffix={keep}"]
    with tempfile.TemporaryFile() as words:
        try:
            _feed(Feed([*tar, *how, *what], words), chunks)
        except ProcessFailed as exc:
            if any(said in exc.message for said in _FULL):
                raise DiskFull(
                    f"The disk of {target} became full during the restore: {exc.message}",
                    f"What was there is as it was, or has {keep} after its name. Free some space and restore again.",
                    path=target,
                ) from exc
            raise


def _feed(program: Feed, chunks: Iterable[bytes]) -> None:
    try:
        sum(program.pour(chunks))
    finally:
        program.kill()


def _also(other: Feed, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks, which the other program gets too as long as it takes them."""
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
