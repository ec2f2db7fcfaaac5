# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ship logs: new lines of each stream are stored as a chunk in every required repository, at least once.

Every round reads files and the journal from the last positions on, writes chunks to the spool, then the positions, and
puts the chunks, oldest first. While a store is unavailable, chunks wait in the spool; once it is full, nothing more is
read, so lines wait in the log files. Lines that were rotated away unread are counted, and reported in the stream.

Memory: about 4 MiB of lines of each source at a time, and about ten times that as JSON.
"""

from __future__ import annotations

import hashlib
import platform
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Callable, Dict, List, Optional, Sequence, Set

from ..base import clock
from ..base.errors import ConfigError, LifeboatError, ObjectExists
from ..base.progress import Progress
from ..codec import zstd
from ..config.load import Config
from ..config.logs import SECURITY, LogSource, is_security_entry
from ..repository.log_names import log_name
from ..repository.repository import Repositories, Repository
from ..wal.spool import configured_at
from .journal import read_journal
from .line import Line, as_text, dump, file_line, journal_line, lost_line, own_time, time_of
from .spool import Chunk, Positions, Spool
from .tail import follow, look, matching

_BUDGET = 4 * 1024 * 1024
_TICK = 0.2
_LEVEL = 3
_MB = 1000 * 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass
class Shipped:
    """The result: lines read, chunks that are now in every repository, bytes lost since the first run."""

    lines: int = 0
    stored: int = 0
    lost: int = 0
    errors: List[LifeboatError] = field(default_factory=list)


class Shipper:
    """Ships the logs of one configuration. ``stopping`` is called several times a second.

    :raises ConfigError: there is nothing to ship
    """

    def __init__(self, config: Config, progress: Progress, stopping: Callable[[], bool] = lambda: False) -> None:
        if not config.logs.sources:
            raise ConfigError(
                f"{config.source or 'configuration'}: logs.sources is empty.", "List the logs to ship there."
            )
        self._config, self._progress, self._stopping = config, progress, stopping
        self._security = re.compile(config.logs.security, re.IGNORECASE)
        self._host = platform.node()
        self._told: Set[str] = set()
        self._had: Dict[str, Set[str]] = {}

    def run(self, on_ready: Callable[[], None]) -> None:
        """Ship until ``stopping`` or until the configuration file changes; wait for unavailable stores."""
        with Spool(self._config.logs.directory(self._config.cluster)) as spool:
            repositories = Repositories.open(self._config)
            try:
                repositories.seal.require()
                on_ready()
                configured = configured_at(self._config)
                while not self._stopping() and configured_at(self._config) == configured:
                    due = clock.monotonic() + self._config.logs.interval
                    self._tell(self._round(spool, repositories).errors)
                    while clock.monotonic() < due and not self._stopping():
                        clock.sleep(_TICK)
                # Ship everything up to now, because the last lines of a server matter most.
                self._round(spool, repositories)
            finally:
                repositories.close()

    def once(self) -> Shipped:
        """Do one round; raises the error if a chunk could not be put into a required repository."""
        with Spool(self._config.logs.directory(self._config.cluster)) as spool:
            repositories = Repositories.open(self._config)
            try:
                repositories.seal.require()
                done = self._round(spool, repositories)
            finally:
                repositories.close()
        if done.errors:
            raise done.errors[0]
        return done

    def _round(self, spool: Spool, repositories: Repositories) -> Shipped:
        """Read new lines if the spool has space, and put waiting chunks."""
        done = Shipped()
        try:
            while True:
                full = self._is_full(spool)
                more = not full and self._gather(spool, repositories, done)
                stored = self._put(spool, repositories.required, done.errors)
                done.stored += stored
                if not more and not (full and stored):
                    break
        except LifeboatError as exc:
            done.errors.append(exc)
        return done

    def _is_full(self, spool: Spool) -> bool:
        full = sum(c.size for c in spool.chunks()) >= self._config.logs.spool_mb * _MB
        if full:
            # Remember the current sizes, to count lines that are removed unread.
            positions = spool.read_positions()
            seen = {path: look(path, known) for path, known in positions.files.items()}
            if seen != positions.files:
                spool.write_positions(replace(positions, files=seen))
            self._note(
                "full", f"the spool holds {self._config.logs.spool_mb} MB: nothing is read until some of it is stored"
            )
        else:
            self._told.discard("full")
        return full

    def _gather(self, spool: Spool, repositories: Repositories, done: Shipped) -> bool:
        """Write one chunk for each stream with new lines; returns whether there is more to read immediately."""
        positions, more = spool.read_positions(), False
        lines: List[Line] = []
        before = positions.as_dict()
        seen: Set[str] = set()
        for source in self._config.logs.sources:
            if source.journal is not None:
                more |= self._from_journal(source, positions, lines)
            for path in self._paths(source, positions):
                if path not in seen:
                    seen.add(path)
                    more |= self._from_file(source, path, positions, lines)
        for gone in set(positions.files) - seen:
            del positions.files[gone]
        streams: Dict[str, List[Line]] = {}
        for line in lines:
            streams.setdefault(line["stream"], []).append(line)
        for stream, its in sorted(streams.items()):
            self._add(spool, repositories, stream, its)
        if positions.as_dict() != before:
            spool.write_positions(positions)
        done.lines += len(lines)
        done.lost = positions.lost
        return more

    def _paths(self, source: LogSource, positions: Positions) -> List[str]:
        """The paths that the source matches, plus rotated files that are not fully read."""
        found = matching(source.files)
        known = [path for path in positions.files if any(fnmatchcase(path, pattern) for pattern in source.files)]
        return sorted({*found, *known})

    def _from_journal(self, source: LogSource, positions: Positions, lines: List[Line]) -> bool:
        matches = source.journal or ()
        name = " ".join((source.stream, *matches))
        try:
            found = read_journal(matches, positions.journal.get(name), _BUDGET)
        except LifeboatError as exc:
            self._note(f"journal {name}", f"the journal: {exc.message}")
            return False
        self._told.discard(f"journal {name}")
        if found.cut:
            words = "an unknown number of journal entries was removed before they were read"
            lines.append(lost_line(words, source.stream, "journal", self._host, clock.now()))
        for entry in found.entries:
            stream = SECURITY if is_security_entry(entry) else source.stream
            lines.append(journal_line(entry, stream, self._host))
        positions.journal[name] = found.cursor
        return found.more

    def _from_file(self, source: LogSource, path: str, positions: Positions, lines: List[Line]) -> bool:
        now = clock.now()
        found = follow(path, positions.files.get(path), _BUDGET, int(now.timestamp() * 1e9))
        if found.trouble:
            self._note(path, found.trouble)
            return False
        self._told.discard(path)
        if found.lost:
            positions.lost += found.lost
            words = f"{found.lost} bytes or more of {path} were removed before they were read"
            self._note(f"{path} {now}", words)
            lines.append(lost_line(words, source.stream, path, self._host, now))
        stream, moment = source.stream, now
        for raw in found.lines:
            message = as_text(raw)
            # An indented line continues the previous one (PostgreSQL's multi-line statements).
            if not message[:1].isspace():
                stream = SECURITY if self._security.search(message) else source.stream
                moment = own_time(message) or now
            lines.append(file_line(message, stream, path, self._host, moment))
        if found.position is None:
            positions.files.pop(path, None)
        else:
            positions.files[path] = found.position
        return found.more

    def _add(self, spool: Spool, repositories: Repositories, stream: str, lines: Sequence[Line]) -> None:
        data = zstd.compress(dump(lines), _LEVEL)
        seal = repositories.seal
        stored = seal.close(data) if seal.seals else data
        now = clock.now()
        # A line may claim any time, so limit it to 1970 and later.
        first = max(_EPOCH, min(now, *(time_of(line) for line in lines)))
        digest = hashlib.sha256(stored).hexdigest()
        spool.add(stream, log_name(now, first, self._host, digest, seal.seals), stored)

    def _put(self, spool: Spool, targets: Sequence[Repository], errors: List[LifeboatError]) -> int:
        """Put waiting chunks into all repositories concurrently; returns how many chunks all of them have now."""
        chunks = spool.chunks()
        if not chunks:
            return 0
        with ThreadPoolExecutor(len(targets), "lifeboat-logs") as pool:
            ended = list(pool.map(lambda target: self._put_into(target, spool, chunks), targets))
        errors[:] = [error for error in ended if error]
        done = [c for c in chunks if all(c.name in self._had.get(t.name, ()) for t in targets)]
        for chunk in done:
            spool.remove(chunk)
            for names in self._had.values():
                names.discard(chunk.name)
        return len(done)

    def _put_into(self, target: Repository, spool: Spool, chunks: Sequence[Chunk]) -> Optional[LifeboatError]:
        had = self._had.setdefault(target.name, set())
        try:
            for chunk in chunks:
                if chunk.name not in had:
                    try:
                        target.store.put(target.layout.log(chunk.stream, chunk.name), spool.read(chunk))
                    except ObjectExists:
                        pass  # The same chunk: its name contains the digest of the content.
                    had.add(chunk.name)
        except LifeboatError as exc:
            return exc
        return None

    def _tell(self, errors: Sequence[LifeboatError]) -> None:
        """Report new errors and recoveries, once each."""
        failing = {f"store {e.message}" for e in errors}
        for error in errors:
            self._note(f"store {error.message}", f"{error.message} [{error.error_code}]")
        if not failing and any(t.startswith("store ") for t in self._told):
            self._progress.note("logs are stored in every repository again")
        self._told = {t for t in self._told if not t.startswith("store ") or t in failing}

    def _note(self, what: str, words: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self._progress.note(words)
