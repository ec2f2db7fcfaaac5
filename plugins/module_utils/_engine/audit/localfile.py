# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local copy of the audit trail: files of JSON lines, one of them root's own, and the system log."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from contextlib import ExitStack, contextmanager
from typing import IO, Dict, Iterator, List, Optional, Tuple

from ..base import clock
from ..base.errors import UntrustedPath
from ..base.files import give_group, make_directory, open_to_read, open_to_write, root_alone_writes
from ..config.load import Config
from ..records.fields import parse_object
from ..records.model import seal_record
from .event import MOST_EVENTS
from .faults import REORDERED, Fault

_TAIL = 1024 * 1024
_PATIENCE = 60.0
_LOG_DIR = "/var/log/lifeboat"
# RFC 5424: facility authpriv (10), severity informational (6).
_PRIORITY = 10 * 8 + 6


def path_of(config: Config) -> Optional[str]:
    """The file that this user writes; None if there is no place for it.

    ``audit.file``, else ``audit.jsonl`` in the spool, else below /var/log/lifeboat. Root does not write into
    directories that others can write (such as PostgreSQL's spool), but has its own file below /var/log/lifeboat.
    """
    shared = _shared(config)
    if shared is None or root_alone_writes(os.path.dirname(os.path.abspath(shared))):
        return shared
    own = _of_root(config)
    with contextlib.suppress(OSError, UntrustedPath):
        make_directory(os.path.dirname(own), 0o755)
    return own


def paths_of(config: Config) -> Tuple[str, ...]:
    """All files that may contain events of this host."""
    shared = _shared(config)
    return (shared, _of_root(config)) if shared else ()


def _shared(config: Config) -> Optional[str]:
    if config.audit.file is not None:
        return config.audit.file or None
    if config.spool_dir:
        return os.path.join(config.spool_dir, "audit.jsonl")
    return os.path.join(_LOG_DIR, f"{config.cluster}.audit.jsonl") if os.path.isdir(_LOG_DIR) else None


def _of_root(config: Config) -> str:
    return os.path.join(_LOG_DIR, f"{config.cluster}.root.audit.jsonl")


@contextmanager
def locked(config: Config) -> Iterator[Optional[IO[bytes]]]:
    """This user's file, open to append and read, locked; None if it cannot be opened.

    Waits a minute for the lock, then goes ahead without it.
    """
    path = path_of(config)
    if path is None:
        yield None
        return
    with ExitStack() as opened:
        try:
            stream = opened.enter_context(os.fdopen(open_to_write(path, 0o640, append=True), "a+b", 0))
            if path == _of_root(config):
                _let_read(stream, _shared(config))
        except (OSError, UntrustedPath):
            yield None
            return
        deadline = clock.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # Conditional puts into the stores still separate concurrent writers.
                if clock.monotonic() > deadline:
                    break
                clock.sleep(0.05)
        yield stream


def _let_read(stream: IO[bytes], shared: Optional[str]) -> None:
    """Let the group of the shared file's directory read root's file, to verify the trail."""
    if shared and not os.fstat(stream.fileno()).st_size:
        with contextlib.suppress(OSError):
            give_group(stream.fileno(), os.stat(os.path.dirname(os.path.abspath(shared))).st_gid, 0o640)


def tail(stream: Optional[IO[bytes]], chain: str) -> Dict[int, bytes]:
    """The records of the chain at the end of the file (its last MiB), by number."""
    if stream is None:
        return {}
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - _TAIL))
    return {number: raw for number, raw, owner in _parsed(stream.read()) if owner == chain}


def append(stream: IO[bytes], record: bytes) -> None:
    """Append one line, and sync it to disk. OSError if that is impossible."""
    line = json.dumps(json.loads(record), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    stream.seek(0, os.SEEK_END)
    end = stream.tell()
    if end:
        # Start a new line after one that a crash cut off.
        stream.seek(end - 1)
        line = line if stream.read(1) == b"\n" else b"\n" + line
    # Unbuffered: after a write to a full disk, a buffer would be written again on close.
    while line:
        line = line[stream.write(line) :]
    os.fsync(stream.fileno())


def read_file(path: str) -> Tuple[Dict[str, Dict[int, bytes]], List[Fault]]:
    """All records by chain and number, and the faults of their order; both empty if there is no file.

    OSError or UntrustedPath if it cannot be read.
    """
    chains: Dict[str, Dict[int, bytes]] = {}
    faults: List[Fault] = []
    try:
        with open_to_read(path) as stream:
            raw = stream.read()
    except FileNotFoundError:
        return {}, []
    for number, record, chain in _parsed(raw):
        known = chains.setdefault(chain, {})
        if known and number <= max(known):
            words = f"{path}: event {number} of {chain} was reordered: it comes after event {max(known)}"
            faults.append(Fault(path, REORDERED, chain, number, words))
        known[number] = record
    return chains, faults


def _parsed(raw: bytes) -> Iterator[Tuple[int, bytes, str]]:
    """Number, record and chain of each line that is a record. The number of any other line counts as missing."""
    for line in raw.split(b"\n"):
        try:
            data = parse_object(line)
            number, chain = data["number"], data["chain"]
            if isinstance(number, int) and 0 < number <= MOST_EVENTS and isinstance(chain, str):
                yield number, seal_again(data), chain
        except (ValueError, KeyError):
            continue


def seal_again(data: Dict[str, object]) -> bytes:
    """The stored form of a line: the same bytes as in the repositories, with the line's own checksum."""
    record = seal_record(data)
    told = data.get("sha256")
    if json.loads(record)["sha256"] == told:
        return record
    return (json.dumps(data, indent=2, sort_keys=True) + "\n").encode()


def tell_system(address: str, record: bytes) -> bool:
    """Send the event to the system log (journald reads /dev/log too); False if nothing accepts it."""
    words = json.dumps(json.loads(record), sort_keys=True, separators=(",", ":"))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1)
            sender.connect(address)
            sender.send(f"<{_PRIORITY}>lifeboat-audit: {words}".encode())
    except OSError:
        return False
    return True
