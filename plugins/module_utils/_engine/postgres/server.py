# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, watch and stop a server by ``pg_ctl`` (PostgreSQL manual, "Server Setup and Operation")."""

from __future__ import annotations

import contextlib
import glob
import os
import shlex
import shutil
import tempfile
from contextlib import contextmanager
from typing import Dict, Iterator, Mapping, Optional, Tuple

from ..base.errors import ConfigError, ProcessFailed, RecoveryFailed
from ..base.process import run
from .controldata import program

_RUNNING = 0
# The path of a socket has at most 107 bytes ("unix_socket_directories"), so it cannot be just anywhere.
_SOCKETS, _WHOSE = "/tmp/lifeboat-", "data_directory"  # noqa: S108
_TOO_EARLY = ("system is starting up", "system is not accepting connections", "Hot standby mode is disabled")


def is_running(bin_dir: Optional[str], data_dir: str) -> bool:
    """Whether a server is running in this data directory."""
    if not os.path.isdir(data_dir) or not os.path.exists(os.path.join(data_dir, "postmaster.pid")):
        return False
    return run([program(bin_dir, "pg_ctl"), "status", "-D", data_dir], check=False).status == _RUNNING


def serves(data_dir: str) -> bool:
    """Whether the process in ``postmaster.pid`` has this working directory, as a postmaster does (``proc(5)``).

    After a crash of the machine, the file may name an unrelated process.
    """
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8") as stream:
            return os.path.samefile(f"/proc/{int(stream.readline())}/cwd", data_dir)
    except (OSError, ValueError):
        return False


@contextmanager
def private(data_dir: str) -> Iterator[Dict[str, str]]:
    """Settings with which only this user can connect: no TCP address, and a socket in a private directory."""
    directory = tempfile.mkdtemp(prefix=os.path.basename(_SOCKETS), dir=os.path.dirname(_SOCKETS))
    try:
        hba = os.path.join(directory, "pg_hba.conf")
        for path, text in ((os.path.join(directory, _WHOSE), os.path.realpath(data_dir)), (hba, "local all all trust")):
            with open(path, "w", encoding="utf-8") as stream:
                stream.write(f"{text}\n")
        yield {"listen_addresses": "", "unix_socket_directories": directory, "hba_file": hba}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def drop_private(data_dir: str) -> None:
    """Remove the socket directories that killed processes left behind for servers in this data directory."""
    for directory in glob.glob(f"{_SOCKETS}*"):
        # Directories of other users, or without such a file, cannot be read.
        with contextlib.suppress(OSError, ValueError):
            with open(os.path.join(directory, _WHOSE), encoding="utf-8") as stream:
                whose = stream.read().rstrip("\n")
            if whose == os.path.realpath(data_dir) and os.lstat(directory).st_uid == os.geteuid():
                shutil.rmtree(directory)


def endpoint(data_dir: str) -> Optional[Tuple[str, int]]:
    """Socket directory (or address) and port of the server here; None before it accepts connections.

    From ``postmaster.pid`` (``miscadmin.h``): line 4 the port, 5 the socket directory, 6 the address, 8 the status.
    """
    try:
        with open(os.path.join(data_dir, "postmaster.pid"), encoding="utf-8") as stream:
            lines = [line.strip() for line in stream]
        host = lines[4] or lines[5].replace("*", "localhost")
        return (host, int(lines[3])) if host and lines[7] in ("ready", "standby") else None
    except (OSError, ValueError, IndexError):
        return None


def refuse_root() -> None:
    """ConfigError for root: PostgreSQL's programs refuse to run as root."""
    if os.geteuid() == 0:
        raise ConfigError(
            "PostgreSQL cannot run as root, and neither can a restore.",
            "Run as the owner of the data directory: sudo -u postgres, or become_user: postgres.",
        )


def start(
    bin_dir: Optional[str], data_dir: str, config_file: Optional[str], settings: Mapping[str, str], log: str, wait: bool
) -> None:
    """Start the server with extra settings on its command line; with ``wait`` until it accepts connections."""
    options = dict(settings)
    if config_file:
        options = {"config_file": config_file, "data_directory": data_dir, **options}
    words = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
    argv = [program(bin_dir, "pg_ctl"), "start", "-D", data_dir, "-l", log, "-w" if wait else "-W", "-t", "3600"]
    try:
        run([*argv, "-o", words] if words else argv)
    except ProcessFailed as exc:
        raise RecoveryFailed(
            f"The server in {data_dir} does not start: {last_words(log)}", f"See its log: {log}.", log=log
        ) from exc


def stop(bin_dir: Optional[str], data_dir: str, mode: str = "fast") -> None:
    """Stop the server and wait until it is down."""
    run([program(bin_dir, "pg_ctl"), "stop", "-D", data_dir, "-m", mode, "-w", "-t", "3600"])


def setting_of(
    bin_dir: Optional[str], data_dir: str, config_file: Optional[str], name: str, check: bool = True
) -> str:
    """The value that a setting would have in a server started here (``postgres -C``); it need not run."""
    words = [program(bin_dir, "postgres"), "-D", data_dir, "-C", name]
    words += ["-c", f"config_file={config_file}", "-c", f"data_directory={data_dir}"] if config_file else []
    return run(words, check=check).stdout.strip()


def promote(bin_dir: Optional[str], data_dir: str) -> None:
    """Tell a standby to end its recovery, without waiting for that. It needs no right in the database."""
    run([program(bin_dir, "pg_ctl"), "promote", "-D", data_dir, "-W"])


def last_words(log: str, lines: int = 8) -> str:
    """The lines of a server log that show why it exited: from its last FATAL or PANIC on, or else the last lines."""
    try:
        with open(log, encoding="utf-8", errors="replace") as stream:
            # Connecting too early, as the watch over a recovery does, logs a FATAL that explains nothing.
            tail = [line for line in stream if not any(words in line for words in _TOO_EARLY)][-200:]
    except OSError:
        return "there is no log"
    fatal = [i for i, line in enumerate(tail) if "FATAL:" in line or "PANIC:" in line]
    chosen = tail[fatal[0] : fatal[0] + lines] if fatal else tail[-lines:]
    return " ".join(line.strip() for line in chosen) or "its log is empty"
