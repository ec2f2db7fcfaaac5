# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Store one object in several repositories at once, compressed by zstd, and sealed if configured."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Callable, Iterable, Sequence

from ..codec.age import Seal
from ..codec.zstd import Compressor
from ..records.model import ArchiveFile
from .layout import sealed_name
from .repository import Repository

_LEVEL = 3


def store_stream(
    repositories: Sequence[Repository],
    seal: Seal,
    key_of: Callable[[Repository, str], str],
    name: str,
    chunks: Iterable[bytes],
) -> ArchiveFile:
    """Store ``chunks`` as ``name`` (or its sealed form) below each repository's own key.

    Nothing is visible before everything is stored. Memory: the stores' bounds and about 1 MiB. Passes on the errors of
    the chunks and the stores, and leaves nothing behind then.
    """
    stored = sealed_name(name, seal.seals)
    compressor = Compressor(_LEVEL)
    with ExitStack() as opened:
        # Uncommitted writers are aborted, even if a later one cannot be opened.
        writers = [opened.enter_context(r.store.writer(key_of(r, stored))) for r in repositories]

        def store(out: bytes) -> None:
            for writer in writers:
                writer.write(out)

        sealer = seal.stream(store) if seal.seals else None
        if sealer:
            opened.callback(sealer.kill)
        pass_on = sealer.write if sealer else store
        for chunk in chunks:
            pass_on(compressor.feed(chunk))
        pass_on(compressor.finish())
        if sealer:
            sealer.finish()
        written = [writer.commit() for writer in writers]
    return ArchiveFile(stored, written[0].size, written[0].sha256)
