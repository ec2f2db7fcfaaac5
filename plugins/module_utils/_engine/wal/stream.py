# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL stream: every few seconds, store new WAL of the unfinished segment as a piece in each required repository.

``pg_receivewal`` follows the server into ``<spool>/stream``. ``archive_command`` stores the complete segments: the
stream stores pieces of one only until the repository has the segment. The directory is bounded and may be lost.

Memory: Python and the S3 client (about 60 MB), and one piece of at most 16 MiB with its compressed form for each
repository.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Set

from ..base import clock
from ..base.errors import (
    AgentRunning,
    ConfigError,
    Deposed,
    LifeboatError,
    ObjectExists,
    SpoolUnusable,
    StreamBroken,
    WalConflict,
    WalInvalid,
)
from ..base.files import make_directory, open_to_read, open_to_write, require_own
from ..base.progress import Progress
from ..base.wal_names import Segment
from ..codec import zstd
from ..config.load import Config
from ..leadership.watch import Watch
from ..postgres import receivewal
from ..postgres.connection import Session, session
from ..postgres.receivewal import Publisher, Receiver
from ..repository.repository import Repositories, Repository
from . import following
from .following import Local, New
from .pieces import MOST, contiguous, list_pieces
from .segment import read_header
from .spool import configured_at, take, usable

# Seconds between two checks whether a standby was promoted.
_STANDBY_POLL = 2
_TICK = 0.1
# Header bytes that contain a segment's size and system identifier.
_HEADER = 40


class Stream:
    """One stream for one configuration. ``stopping`` is called several times a second.

    :raises ConfigError: ``data_dir`` or ``spool_dir`` is not set
    """

    def __init__(self, config: Config, progress: Progress, stopping: Callable[[], bool]) -> None:
        if not config.data_dir or not config.spool_dir:
            raise ConfigError(
                f"{config.source or 'configuration'}: {'spool_dir' if config.data_dir else 'data_dir'} is missing.",
                "Set data_dir and spool_dir for the WAL stream.",
            )
        self._config, self._progress, self._stopping = config, progress, stopping
        self._data_dir = config.data_dir
        self._directory = os.path.join(os.path.abspath(config.spool_dir), "stream")
        self._slot = receivewal.slot_name(config.cluster)

    def run(self, on_ready: Callable[[], None]) -> None:
        """Run until ``stopping`` or until the configuration changes; ``on_ready`` is called once at the start.

        On a standby it also counts as started, and waits for the promotion.
        ServerNotReady, PostgresError or StreamBroken if the server cannot be followed (any longer): start it again.
        An unavailable repository is waited for.
        """
        with self._held(), session(self._config.connection) as sql:
            if not self._promoted(sql, on_ready):
                return
            publisher = receivewal.read_publisher(sql, self._data_dir)
            if publisher.unlimited:
                self._progress.note(
                    f"max_slot_wal_keep_size is unlimited: the slot {self._slot} keeps all WAL while no stream runs"
                )
            self._begin(sql, publisher)
            repositories = Repositories.open(self._config)
            watch = Watch(self._config.site, repositories.required)
            targets = [Target(r, publisher, self._config.backup.zstd_level) for r in repositories.required]
            with tempfile.TemporaryFile() as said:
                receiver = Receiver(self._config.bin_dir, self._config.connection, self._slot, self._directory, said)
                try:
                    on_ready()
                    self._work(sql, publisher, receiver, targets, watch)
                finally:
                    receiver.close()
                    repositories.close()

    def _promoted(self, sql: Session, on_ready: Callable[[], None]) -> bool:
        """Wait while the server is a standby; False if the stream has to end before the promotion."""
        if not sql.value("SELECT pg_is_in_recovery()"):
            return True
        self._progress.note("the server is a standby: the stream begins once it is promoted")
        on_ready()
        configured = configured_at(self._config)
        while sql.value("SELECT pg_is_in_recovery()"):
            due = clock.monotonic() + _STANDBY_POLL
            while clock.monotonic() < due:
                if self._stopping() or configured_at(self._config) != configured:
                    return False
                clock.sleep(_TICK)
        return True

    def _work(
        self, sql: Session, publisher: Publisher, receiver: Receiver, targets: Sequence[Target], watch: Watch
    ) -> None:
        with ThreadPoolExecutor(len(targets), "lifeboat-stream") as pool:
            configured = configured_at(self._config)
            while not self._stopping() and configured_at(self._config) == configured:
                due = clock.monotonic() + self._config.wal.stream_interval
                slot = receivewal.read_slot(sql, self._slot)
                if slot is None or slot.position is None:
                    raise StreamBroken(
                        f"The replication slot {self._slot} is gone, or the server removed the WAL that it kept.",
                        "Raise max_slot_wal_keep_size, and start the stream again: it begins at the current segment.",
                    )
                local = self._local(publisher.segment_size)
                new = list(following.available(local, slot.received or 0))
                put = partial(Target.put, directory=self._directory, new=new)
                refusal = _refusal(watch, publisher.system_identifier)
                for target, error in zip(targets, [refusal] * len(targets) if refusal else pool.map(put, targets)):
                    self._tell(target, error)
                self._clean(local, targets)
                while clock.monotonic() < due and not self._stopping():
                    receiver.require_alive()
                    clock.sleep(_TICK)

    def _tell(self, target: Target, error: Optional[LifeboatError]) -> None:
        """Report a change, once."""
        code = error.error_code if error else ""
        if code != target.failing:
            target.failing = code
            words = f"{error.message} [{code}]" if error else "works again"
            self._progress.note(f"stream to {target.name}: {words}")

    def _begin(self, sql: Session, publisher: Publisher) -> None:
        slot = receivewal.read_slot(sql, self._slot)
        if slot is not None:
            receivewal.free_slot(sql, slot)
            slot = receivewal.read_slot(sql, self._slot)
        local = self._local(publisher.segment_size)
        start = following.begin(
            slot is not None,
            slot.position if slot else None,
            local,
            publisher.timeline,
            receivewal.flushed(sql),
            publisher.segment_size,
        )
        if start.gap:
            self._progress.note(f"gap in the stream: {start.gap}; archive_command stores the segments in between")
        if start.clear:
            self._remove(local)
        if start.renew:
            receivewal.drop_slot(sql, self._slot)
            # A new slot keeps WAL from the last checkpoint on.
            receivewal.skip_to(sql, receivewal.make_slot(sql, self._slot), receivewal.flushed(sql))
        elif start.skip_to is not None and slot is not None:
            receivewal.skip_to(sql, slot, start.skip_to)

    def _clean(self, local: Sequence[Local], targets: Sequence[Target]) -> None:
        """Remove complete files that are stored, files that pg_receivewal abandoned, and files beyond the bound."""
        done = [f for f in local[:-1] if not f.complete or all(f.segment in t.done for t in targets)]
        kept = [f for f in local if f not in done]
        self._remove([*done, *kept[: -following.MOST_SEGMENTS]])
        for target in targets:
            target.forget(kept)

    def _local(self, size: int) -> Sequence[Local]:
        with self._usable():
            return following.local_files(os.listdir(self._directory), size)

    def _remove(self, files: Sequence[Local]) -> None:
        with self._usable():
            for file in files:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self._directory, file.file))

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        """Lock the directory while the stream is running; AgentRunning if another one is."""
        require_own(os.path.dirname(self._directory))
        require_own(self._directory)
        with self._usable():
            make_directory(self._directory)
            lock = open_to_write(f"{self._directory}.lock")
        try:
            if not take(lock, fcntl.LOCK_EX):
                raise AgentRunning(
                    f"Another WAL stream has locked {self._directory}.lock.",
                    "Stop the other stream (a cluster has one), or give this cluster a spool_dir of its own.",
                    spool_dir=self._config.spool_dir,
                )
            yield
        finally:
            os.close(lock)

    def _usable(self) -> contextlib.AbstractContextManager[None]:
        return usable(self._directory, self._config.spool_dir)


def _refusal(watch: Watch, system: str) -> Optional[LifeboatError]:
    """The error that forbids storing pieces while another site leads, or None."""
    try:
        watch.require(system)
        return None
    except Deposed as exc:
        return exc


class Target:
    """A repository, and how much of each segment in the directory is stored there. Used by one thread at a time."""

    def __init__(self, repository: Repository, publisher: Publisher, level: int) -> None:
        self._repository, self._publisher, self._level = repository, publisher, level
        self._stored: Dict[Segment, int] = {}
        self._adopted = False
        #: Complete segments that the repository has, as a whole or by pieces.
        self.done: Set[Segment] = set()
        self.failing = ""

    @property
    def name(self) -> str:
        """The repository's location, for messages."""
        return self._repository.location

    def forget(self, kept: Sequence[Local]) -> None:
        """Forget all segments but those of these files."""
        there = {f.segment for f in kept}
        self._stored = {s: offset for s, offset in self._stored.items() if s in there}
        self.done &= there

    def put(self, directory: str, new: Sequence[New]) -> Optional[LifeboatError]:
        """Store what the repository lacks, oldest first; the error that stopped it, or None."""
        try:
            if not self._adopted:
                self._repository.adopt(self._publisher.system_identifier)
                self._adopted = True
            for item in new:
                if item.file.segment not in self.done:
                    self._put_file(directory, item)
        except LifeboatError as exc:
            # List the repository again next time.
            self._stored, self._adopted = {}, False
            self._repository = self._repository.reopened()
            return exc
        return None

    def _put_file(self, directory: str, item: New) -> None:
        segment, system = item.file.segment, self._publisher.system_identifier
        layout, store = self._repository.layout, self._repository.store
        if item.file.complete and store.head(layout.wal(system, segment.name)) is not None:
            self.done.add(segment)
            return
        if segment not in self._stored:
            there = contiguous(list_pieces(self._repository, system, segment.name))
            if there and there[-1].stop > item.available:
                # The stream receives the segment anew: it has to be compared as far as it was stored.
                return
            for piece in there:
                data = _read(os.path.join(directory, item.file.file), piece.start, piece.stop)
                self._require_same(segment, piece.key, data)
            self._stored[segment] = there[-1].stop if there else 0
        for start, stop in following.cuts(self._stored[segment], item.available, MOST):
            data = _read(os.path.join(directory, item.file.file), start, stop)
            if start == 0 and len(data) < _HEADER:
                return
            if start == 0:
                self._require_ours(segment, data)
            key = layout.wal_piece(system, segment.name, start, stop)
            try:
                store.put(key, zstd.compress(data, self._level))
            except ObjectExists:
                self._require_same(segment, key, data)
            self._stored[segment] = stop
        if item.file.complete:
            self.done.add(segment)

    def _require_same(self, segment: Segment, key: str, data: bytes) -> None:
        """WalConflict if this stored piece differs: from another server, or from this one before it was reverted."""
        if zstd.decompress(self._repository.store.get(key), key, MOST) != data:
            raise WalConflict(
                f"Repository {self.name} already holds {key} with different content.",
                "Find the other server that streams into this prefix, or restore this one: it was reverted to a"
                " snapshot, and its WAL does not continue what is stored. Nothing was overwritten.",
                name=segment.name,
                key=key,
                repository=self._repository.name,
            )

    def _require_ours(self, segment: Segment, data: bytes) -> None:
        header = read_header(segment.name, data)
        if (header.system_identifier, header.start) != (self._publisher.system_identifier, segment.start):
            raise WalInvalid(
                f"The streamed {segment.name} belongs to system identifier {header.system_identifier}.",
                "Find out which server wrote it. Nothing was stored.",
                name=segment.name,
            )


def _read(path: str, start: int, stop: int) -> bytes:
    """The bytes from ``start`` to ``stop`` of a file that may be renamed meanwhile, when it is complete."""
    parts: List[bytes] = []
    for candidate in (path, path[: -len(".partial")] if path.endswith(".partial") else path):
        try:
            with open_to_read(candidate) as stream:
                stream.seek(start)
                parts = [stream.read(stop - start)]
            break
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise SpoolUnusable(f"Cannot read {candidate}: {exc.strerror}.", "Check the spool's disk.") from exc
    data = b"".join(parts)
    if len(data) != stop - start:
        raise WalInvalid(f"{path} has no {stop - start} bytes at {start}.", "Wait: it is read again.", name=path)
    return data
