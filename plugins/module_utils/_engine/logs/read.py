# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read shipped logs back, by time, stream, host and text."""

from __future__ import annotations

import hashlib
import heapq
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from ..audit.scope import audited
from ..base.errors import ConfigError, LifeboatError, ObjectCorrupt
from ..codec import zstd
from ..config.load import Config
from ..repository.layout import is_sealed
from ..repository.log_names import LogChunk, log_chunk
from ..repository.repository import Repositories, Repository
from .line import Line, parse, time_of

# Bytes, more than any chunk that was written here: 4 MiB of lines of each source, as JSON.
_LARGEST = 256 * 1024 * 1024


@dataclass(frozen=True)
class Query:
    """Lines from ``since`` on and before ``until`` (aware), of these streams (empty: all) and this host, in which the
    regular expression ``grep`` is found.
    """

    since: datetime
    until: Optional[datetime] = None
    streams: Tuple[str, ...] = ()
    host: Optional[str] = None
    grep: Optional[str] = None


@dataclass
class Reading:
    """The result besides the lines: chunks that are intact in no repository, and the number of lines."""

    damaged: List[str] = field(default_factory=list)
    lines: int = 0


def read_logs(config: Config, query: Query, show: Callable[[Line], bool]) -> Reading:
    """Pass the lines to ``show``, in the order of their chunks, until it returns False; a line may come twice.

    Records an event in the audit trail. Memory: one chunk of each stream. IdentityMissing if logs are sealed and this
    host has no identity.
    """
    try:
        wanted = re.compile(query.grep) if query.grep else None
    except re.error as exc:
        raise ConfigError(
            f"{query.grep!r} is not a regular expression: {exc}.", "Correct it, for example: --grep 'ERROR|FATAL'."
        ) from exc
    reading = Reading()
    with audited(config, "logs-read", query.streams) as note:
        repositories = Repositories.open(config)
        try:
            repository = repositories.readable()
            others = repositories.beginning_with(repository.name)
            names = [n.rstrip("/") for n in repository.store.list_names(repository.layout.logs)]
            unknown = sorted(set(query.streams) - set(names))
            if unknown:
                raise ConfigError(
                    f"Repository {repository.location} has no stream {', '.join(unknown)}.",
                    f"Choose from the existing streams: {', '.join(names) or 'none'}.",
                )
            streams = [_stream(others, name, query, reading) for name in names if name in (query.streams or names)]
            for line in heapq.merge(*streams, key=lambda line: str(line["time"])):
                if wanted is None or wanted.search(line["message"]):
                    reading.lines += 1
                    if not show(line):
                        break
        finally:
            repositories.close()
            note.details.update(lines=reading.lines)
    return reading


def overlaps(chunk: LogChunk, query: Query) -> bool:
    """Whether a chunk may contain requested lines: all its lines were written before it was stored. Pure."""
    return chunk.stored >= query.since and (query.until is None or chunk.first < query.until)


def _stream(repositories: Sequence[Repository], stream: str, query: Query, reading: Reading) -> Iterator[Line]:
    first = repositories[0]
    for day in first.store.list_names(first.layout.log_stream(stream)):
        if day.rstrip("/") < f"{query.since:%Y%m%d}":
            continue
        for info in first.store.list(first.layout.log_stream(stream, day.rstrip("/"))):
            chunk = log_chunk(info.key)
            if chunk is None or not overlaps(chunk, query):
                continue
            for line in sorted(_chunk(repositories, info.key, chunk, reading), key=lambda line: str(line["time"])):
                moment = time_of(line)
                inside = query.since <= moment and (query.until is None or moment < query.until)
                if inside and query.host in (None, line["host"]):
                    yield line


def _chunk(repositories: Sequence[Repository], key: str, chunk: LogChunk, reading: Reading) -> List[Line]:
    """Its lines, from the first repository that has it intact."""
    for repository in repositories:
        try:
            raw = repository.store.get(key)
            if hashlib.sha256(raw).hexdigest()[:16] != chunk.digest:
                raise ObjectCorrupt(f"{key} does not match the digest in its name.", "Try another repository.", key=key)
            data = repository.seal.open_bytes(raw, key) if is_sealed(key) else raw
            return parse(zstd.decompress(data, key, _LARGEST))
        except ObjectCorrupt:
            continue
        except LifeboatError:
            if repository is repositories[0]:
                raise
    reading.damaged.append(key)
    return []
