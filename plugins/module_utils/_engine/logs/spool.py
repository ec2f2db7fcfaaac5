# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The directory for positions, and for chunks until every required repository has them.

::

    <directory>/lock              locked (flock) while a shipper is running
    <directory>/positions.json    how far each file and the journal were read
    <directory>/chunks/<stream>~<name>    a chunk as it is stored: compressed, and sealed if configured

A chunk is on disk before the positions move past its lines, so after a crash lines are read again, never skipped.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ..base.errors import AgentRunning, SpoolUnusable
from ..base.files import make_directory, open_to_read, open_to_write, remove_file, replace_file
from ..wal.spool import take
from .tail import Position

_BETWEEN = "~"


@dataclass
class Positions:
    """How far files (by path) and the journal (by its matches) were read, and how many bytes have been lost so far."""

    files: Dict[str, Position] = field(default_factory=dict)
    journal: Dict[str, Optional[str]] = field(default_factory=dict)
    lost: int = 0

    def as_dict(self) -> Dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Positions:
        """The reverse."""
        files = {path: Position(**where) for path, where in data["files"].items()}
        return cls(files, dict(data["journal"]), int(data["lost"]))


@dataclass(frozen=True)
class Chunk:
    """A waiting chunk: its file, its stream, the name to store it by, and its size in bytes."""

    path: str
    stream: str
    name: str
    size: int


class Spool:
    """The directory, created if necessary. Entering takes the lock: AgentRunning if another shipper is running."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._chunks = os.path.join(directory, "chunks")
        self._lock = -1

    def __enter__(self) -> Spool:
        with self._usable():
            make_directory(self._chunks)
            lock = os.path.join(self._directory, "lock")
            self._lock = open_to_write(lock)
        if not take(self._lock, fcntl.LOCK_EX):
            os.close(self._lock)
            raise AgentRunning(
                f"Another lifeboat log-ship has locked {lock}.",
                "Stop the other one, or set another logs.state_dir: each cluster on a host needs its own.",
            )
        with self._usable():
            for name in os.listdir(self._chunks):
                if name.endswith(".tmp"):
                    remove_file(os.path.join(self._chunks, name))
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def read_positions(self) -> Positions:
        """The positions written last; empty if there are none or they are damaged, so that lines are read again."""
        try:
            with open_to_read(self._positions) as stream:
                return Positions.from_dict(json.load(stream))
        except FileNotFoundError:
            return Positions()
        except (ValueError, KeyError, TypeError):
            return Positions()
        except OSError as exc:
            raise self._unusable(exc) from exc

    def write_positions(self, positions: Positions) -> None:
        """Write the positions, durably."""
        self._write(self._positions, json.dumps(positions.as_dict()).encode())

    def add(self, stream: str, name: str, data: bytes) -> None:
        """Write a chunk, durably."""
        self._write(os.path.join(self._chunks, f"{stream}{_BETWEEN}{name}"), data)

    def chunks(self) -> List[Chunk]:
        """The waiting chunks, oldest first."""
        found: List[Tuple[str, Chunk]] = []
        with self._usable():
            for file in os.listdir(self._chunks):
                stream, between, name = file.partition(_BETWEEN)
                path = os.path.join(self._chunks, file)
                if between:
                    found.append((name, Chunk(path, stream, name, os.stat(path).st_size)))
        return [chunk for _name, chunk in sorted(found, key=lambda f: f[0])]

    def read(self, chunk: Chunk) -> bytes:
        """The bytes of the chunk."""
        with self._usable(), open_to_read(chunk.path) as stream:
            return stream.read()

    def remove(self, chunk: Chunk) -> None:
        """Remove the chunk once every repository has it."""
        with self._usable():
            remove_file(chunk.path)

    @property
    def _positions(self) -> str:
        return os.path.join(self._directory, "positions.json")

    def _write(self, path: str, data: bytes) -> None:
        with self._usable():
            replace_file(path, data, sync=True)

    @contextlib.contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise self._unusable(exc) from exc

    def _unusable(self, exc: OSError) -> SpoolUnusable:
        return SpoolUnusable(
            f"Cannot use the log spool {self._directory}: {exc.strerror}.",
            "Make it writable, and free some space. Unread lines stay in the log files.",
            directory=self._directory,
        )
