# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes for tests: run a program, wait for a condition, find descendants, and a free port."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, List


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def run_program(*argv: str, **options: Any) -> str:
    """Run a program that must succeed; return its output. Output goes through files: a daemon may keep them open."""
    with tempfile.TemporaryFile("w+") as out:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False, **options)
        out.seek(0)
        text = out.read()
    assert done.returncode == 0, f"{argv} ended with {done.returncode}: {text}"
    return text


def alive(pid: int) -> bool:
    """Whether a process is running (a zombie is not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def children(pid: int) -> List[int]:
    """The direct children of a process."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def descendants(pid: int) -> List[int]:
    """The children of a process, and theirs."""
    return [p for child in children(pid) for p in (*descendants(child), child)]


def until(
    condition: Callable[[], Any], what: str, explain: Callable[[], str] = lambda: "", seconds: float = 60.0
) -> Any:
    """Wait for a true value and return it; AssertionError names what did not happen."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {what}. {explain()}"
        time.sleep(0.05)
    return value
