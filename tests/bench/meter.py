# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operation costs: seconds, CPU seconds of everything but the store, and peak memory.

The measuring process adopts whatever is orphaned below it (``PR_SET_CHILD_SUBREAPER``), so that a server that
``pg_ctl`` started and a tool's own daemons are counted too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Set, TypeVar

from tls_store import TlsStore, Traffic

_SUBREAPER = 36
_TICKS = os.sysconf("SC_CLK_TCK")
T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """One measured operation; ``memory`` (MB) is the tool's own (proportional set size), NaN where not watched."""

    seconds: float
    cpu: float
    store_cpu: float
    memory: float
    traffic: Traffic

    def plus(self, other: Cost) -> Cost:
        """Both, one after the other; the memory is that of the first."""
        return Cost(
            self.seconds + other.seconds, self.cpu + other.cpu, self.store_cpu + other.store_cpu, self.memory,
            self.traffic.plus(other.traffic),
        )  # fmt: skip


def adopt_orphans() -> None:
    """Become the parent of every orphan below this process."""
    ctypes.CDLL(None, use_errno=True).prctl(_SUBREAPER, 1, 0, 0, 0)


def _stats() -> Dict[int, List[str]]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            found[int(path.parent.name)] = path.read_text().rsplit(")", 1)[1].split()
    return found


def _below(root: int, stats: Mapping[int, Sequence[str]], without: Optional[int] = None) -> Set[int]:
    children: Dict[int, List[int]] = {}
    for pid, fields in stats.items():
        children.setdefault(int(fields[1]), []).append(pid)
    found: Set[int] = set()
    todo = list(children.get(root, []))
    while todo:
        pid = todo.pop()
        if pid != without:
            found.add(pid)
            todo += children.get(pid, [])
    return found


def _cpu(store: int) -> float:
    """CPU seconds of all processes below this one, running or reaped, except the store."""
    stats = _stats()
    own = stats[os.getpid()]
    ticks = sum(int(own[i]) for i in (13, 14))
    for pid in _below(os.getpid(), stats, without=store):
        ticks += sum(int(stats[pid][i]) for i in (11, 12, 13, 14))
    return ticks / _TICKS


def _memory(pids: Iterable[int]) -> float:
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kib += int(text.partition("\nPss:")[2].split()[0])
    return kib / 1024


def _named(programs: Sequence[str]) -> Set[int]:
    """The processes below this one whose program, script or module has a name with this prefix."""
    found = set()
    for pid in _below(os.getpid(), _stats()):
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:3]
            if words[0].rpartition("/")[2] != "postgres" and any(
                word.rpartition("/")[2].startswith(program) for word in words for program in programs
            ):
                found.add(pid)
    return found


class _Memory(threading.Thread):
    """The peak of a sum over some processes, sampled five times a second."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        super().__init__(daemon=True)
        self._pids, self._over = pids, threading.Event()
        self.peak = 0.0

    def run(self) -> None:
        while not self._over.wait(0.2):
            self.peak = max(self.peak, _memory(self._pids()))

    def end(self) -> float:
        self._over.set()
        self.join()
        return self.peak


class Meter:
    """Measures beside one store; no program may take more than ``patience`` seconds."""

    def __init__(self, store: TlsStore, patience: float) -> None:
        self._store, self._patience = store, patience

    def command(self, argv: Sequence[str], env: Mapping[str, str]) -> Cost:
        """Run a program that must succeed; its output is shown only if it fails."""
        with tempfile.TemporaryFile("w+", errors="replace") as out:

            def run() -> float:
                process = subprocess.Popen(
                    argv, env={**os.environ, **env}, stdout=out, stderr=out, stdin=subprocess.DEVNULL
                )
                memory = _Memory(lambda: [process.pid, *_below(process.pid, _stats())])
                memory.start()
                try:
                    status = process.wait(timeout=self._patience)
                finally:
                    process.kill()
                    peak = memory.end()
                if status:
                    out.seek(0)
                    raise RuntimeError(f"{Path(argv[0]).name} ended with {status}: {out.read()[-2000:].strip()}")
                return peak

            return self.of(run)

    def beside(self, action: Callable[[], object], programs: Sequence[str]) -> Cost:
        """Measure an action that is done by processes of these names."""

        def watched() -> float:
            memory = _Memory(lambda: _named(programs))
            memory.start()
            try:
                action()
            finally:
                peak = memory.end()
            return peak

        return self.of(watched)

    def of(self, action: Callable[[], float]) -> Cost:
        """Measure an action; what it returns is its memory."""
        traffic, cpu, store = self._store.traffic(), _cpu(self._store.pid), self._store.cpu_seconds()
        begin = time.monotonic()
        memory = action()
        seconds = time.monotonic() - begin
        return Cost(
            seconds, _cpu(self._store.pid) - cpu, self._store.cpu_seconds() - store, memory,
            self._store.traffic().since(traffic),
        )  # fmt: skip
