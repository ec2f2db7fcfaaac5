# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The changes that a restore of a file set would make in text files, in the format of ``diff -u``."""

from __future__ import annotations

import difflib
import os
import tarfile
from typing import IO, Iterable, Iterator, Optional, cast

from ..base.errors import ObjectCorrupt, UntrustedPath
from ..base.files import open_to_read
from ..base.pipeline import Readable
from ..config.file_sets import named_like_secrets
from .index import path_of

#: A larger file is only reported to differ.
LARGEST = 64 * 1024


def text_changes(chunks: Iterable[bytes], wanted: Iterable[bytes], target: str) -> Iterator[str]:
    """Lines of the difference between files below ``target`` and members of this tar archive.

    ``wanted`` are the names of the members to compare. The content of files whose names suggest secrets is not
    shown. Memory: 64 KiB for a file, and its lines.
    """
    names = set(wanted)
    try:
        with tarfile.open(fileobj=cast(IO[bytes], Readable(chunks)), mode="r|", errors="surrogateescape") as archive:
            for info in archive:
                name = os.fsencode(info.name).strip(b"/")
                if info.isreg() and name in names:
                    content = archive.extractfile(info)
                    stored = content.read(LARGEST + 1) if content and info.size <= LARGEST else None
                    yield from _changes(path_of(name), os.path.join(os.fsencode(target), name), stored, info.size)
    except tarfile.TarError as exc:
        raise ObjectCorrupt(f"The archive of the copy is damaged: {exc}.", "Run lifeboat verify.") from exc


def _changes(path: str, place: bytes, stored: Optional[bytes], size: int) -> Iterator[str]:
    now: Optional[bytes] = None
    try:
        there = os.path.getsize(place) if os.path.isfile(place) else None
        if there is not None and (stored is None or there > LARGEST):
            if there != size:
                yield f"{path}: {there} bytes now, {size} bytes in the copy"
            return
        if there is not None:
            with open_to_read(os.fsdecode(place)) as stream:
                now = stream.read(LARGEST + 1)
    except UntrustedPath:
        yield f"{path}: differs (not shown, because the existing file may belong to somebody else)"
        return
    except OSError:
        pass
    if stored is None or now == stored:
        return
    if named_like_secrets([path]):
        yield f"{path}: differs (content not shown)"
        return
    try:
        before, after = (now or b"").decode().splitlines(), stored.decode().splitlines()
    except UnicodeDecodeError:
        yield f"{path}: differs (not text)"
        return
    word = "now" if now is not None else "missing"
    yield from difflib.unified_diff(before, after, f"{path} ({word})", f"{path} (in the copy)", lineterm="")
