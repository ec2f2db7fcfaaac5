# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The local copy of the audit trail: a file of JSON lines, and the system's log."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from contextlib import ExitStack, contextmanager
from typing import IO, Dict, Iterator, List, Optional, Tuple

from .. import clock
from ..config import Config
from ..model import seal_record
from .faults import REORDERED, Fault

_TAIL = 1024 * 1024
_PATIENCE = 60.0
_LOG_DIR = "/var/log/lifeboat"
# RFC 5424: facility authpriv (10), severity informational (6).
_PRIORITY = 10 * 8 + 6


def path_of(config: Config) -> Optional[str]:
    """``audit.file``, else a file in the spool, else below /var/log/lifeboat; None where it has no place."""
    if config.audit.file is not None:
        return config.audit.file or None
    if config.spool_dir:
        return os.path.join(config.spool_dir, "audit.jsonl")
    return os.path.join(_LOG_DIR, f"{config.cluster}.audit.jsonl") if os.path.isdir(_LOG_DIR) else None


@contextmanager
def locked(path: Optional[str]) -> Iterator[Optional[IO[bytes]]]:
    """The file, open to append and read, and ours alone; None where it cannot be had. Waits a minute at most."""
    if path is None:
        yield None
        return
    with ExitStack() as opened:
        try:
            stream = opened.enter_context(open(path, "a+b"))
        except OSError:
            yield None
            return
        _owned_as_its_directory(stream, path)
        deadline = clock.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                # Two that write at once are still told apart by their stores' conditional puts.
                if clock.monotonic() > deadline:
                    break
                clock.sleep(0.05)
        yield stream


def _owned_as_its_directory(stream: IO[bytes], path: str) -> None:
    """What root made first is the directory's owner's too: both write into it. Nobody else reads it."""
    if os.geteuid() == 0 and not os.fstat(stream.fileno()).st_size:
        with contextlib.suppress(OSError):
            place = os.stat(os.path.dirname(os.path.abspath(path)))
            os.fchown(stream.fileno(), place.st_uid, place.st_gid)
            os.fchmod(stream.fileno(), 0o640)


def tail(stream: Optional[IO[bytes]], chain: str) -> Dict[int, bytes]:
    """The records of the chain at the end of the file (its last MiB), by number."""
    if stream is None:
        return {}
    stream.seek(0, os.SEEK_END)
    stream.seek(max(0, stream.tell() - _TAIL))
    return {number: raw for number, raw, owner in _parsed(stream.read()) if owner == chain}


def append(stream: IO[bytes], record: bytes) -> None:
    """One line more, on the disk when it returns. OSError where that cannot be."""
    line = json.dumps(json.loads(record), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    stream.seek(0, os.SEEK_END)
    end = stream.tell()
    if end:
        # A line that a crash cut off stays a line of its own.
        stream.seek(end - 1)
        line = line if stream.read(1) == b"\n" else b"\n" + line
    stream.write(line)
    stream.flush()
    os.fsync(stream.fileno())


def read_file(path: Optional[str]) -> Tuple[Dict[str, Dict[int, bytes]], List[Fault]]:
    """All records by chain and number, and what is wrong with their order. OSError where it cannot be read."""
    chains: Dict[str, Dict[int, bytes]] = {}
    faults: List[Fault] = []
    if path is None or not os.path.exists(path):
        return {}, []
    with open(path, "rb") as stream:
        raw = stream.read()
    for number, record, chain in _parsed(raw):
        known = chains.setdefault(chain, {})
        if known and number <= max(known):
            words = f"{path}: event {number} of {chain} was reordered: it lies behind event {max(known)}"
            faults.append(Fault(path, REORDERED, chain, number, words))
        known[number] = record
    return chains, faults


def _parsed(raw: bytes) -> Iterator[Tuple[int, bytes, str]]:
    """Number, record and chain of each line that is a record's. What is none leaves its number missing."""
    for line in raw.split(b"\n"):
        try:
            data = json.loads(line)
            yield int(data["number"]), seal_again(data), str(data["chain"])
        except (ValueError, KeyError, TypeError):
            continue


def seal_again(data: Dict[str, object]) -> bytes:
    """The stored form of a line: the same bytes as in the repositories, with the checksum that the line has."""
    record = seal_record(data)
    told = data.get("sha256")
    if json.loads(record)["sha256"] == told:
        return record
    return (json.dumps(data, indent=2, sort_keys=True) + "\n").encode()


def tell_system(address: str, record: bytes) -> bool:
    """Send the event to the system's log (journald reads /dev/log too); False where nobody takes it."""
    words = json.dumps(json.loads(record), sort_keys=True, separators=(",", ":"))
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(1)
            sender.connect(address)
            sender.send(f"<{_PRIORITY}>lifeboat-audit: {words}".encode())
    except OSError:
        return False
    return True
