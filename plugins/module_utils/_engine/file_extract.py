# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive of a file set, and what is on the disk: GNU tar compares them, or writes the one over the other."""

from __future__ import annotations

import contextlib
import tempfile
from typing import Iterable, Iterator, List, Sequence, Tuple

from .errors import DiskFull, ProcessFailed
from .file_changes import listed_names
from .process import Feed

_FULL = ("No space left", "Wrote only", "Disk quota exceeded")


def compare(tar: Sequence[str], what: Sequence[str], chunks: Iterable[bytes]) -> Tuple[Tuple[str, ...], List[bytes]]:
    """What differs in tar's words, at most 1000 lines, and the names of the members that :func:`extract` writes.

    ``tar`` is the program with where it works; ``what`` are its words for the members that are meant.
    """
    told: Tuple[str, ...] = ()
    with tempfile.TemporaryFile() as words, tempfile.TemporaryFile() as names, tempfile.TemporaryFile() as trouble:
        lister = Feed([*tar, "--list", "--quoting-style=escape", *what], trouble, stdout=names)
        try:
            _feed(Feed([*tar, "--compare", *what], words, stdout=words), _also(lister, chunks))
        except ProcessFailed as exc:
            if exc.details.get("status") not in (1, 2):
                raise
            told = tuple(str(exc.details["output"]).splitlines()[:1000])
        finally:
            lister.kill()
        names.seek(0)
        return told, listed_names(names.read())


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
