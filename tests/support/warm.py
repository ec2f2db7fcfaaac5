# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the host command by forking a process that has already imported it: imports took much of the suite's time.

``python -m support.warm SOCKET`` is the server, :mod:`.warm_client` the client. A command is a separate process with
the arguments, environment, working directory, umask, standard streams and signals of its caller; if the caller is
killed, so is its process group.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import os
import pkgutil
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List

from .stores import ROOT
from .warm_client import SIGNALS, marshalled, read

CLIENT = Path(__file__).with_name("warm_client.py")


class Warm:
    """The server, as a context manager."""

    def __enter__(self) -> Warm:
        self._root = tempfile.mkdtemp(prefix="warm-")
        self.socket = Path(self._root) / "socket"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.warm", str(self.socket)], stdin=subprocess.PIPE, cwd=ROOT / "tests",
            env={**os.environ, "PYTHONPATH": str(ROOT / ".build" / "lib")},
        )  # fmt: skip
        deadline = time.monotonic() + 60
        while not self.socket.exists():
            assert self._process.poll() is None and time.monotonic() < deadline, "no command was imported"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        # The server ends with its standard input, and so also when these tests are killed.
        self._process.communicate()
        with contextlib.suppress(OSError):
            self.socket.unlink()
        os.rmdir(self._root)

    def script(self, cold: Path) -> str:
        """A shell script that is the command; if this server does not respond, it runs ``cold``."""
        return f'#!/bin/sh\nexec "{sys.executable}" -I -S "{CLIENT}" "{self.socket}" "{cold}" "$@"\n'


def _load() -> None:
    """Import everything that a command may call."""
    package = import_module("lifeboat")
    for found in pkgutil.walk_packages(package.__path__, "lifeboat."):
        if found.name != "lifeboat.run":
            with contextlib.suppress(ImportError):
                import_module(found.name)
    for library in ("azure.storage.blob", "google.auth", "yaml"):
        with contextlib.suppress(ImportError):
            import_module(library)
    # A client that is never used: so botocore's descriptions are read before the fork.
    options = import_module("lifeboat.config.load").S3Options(
        "none", endpoint_url="https://[::1]", access_key_id="x", secret_access_key="x"
    )
    import_module("lifeboat.store.s3.client").connect(options).close()
    import_module("lifeboat.base.memory").few_arenas()
    gc.collect()
    gc.freeze()


class _Server:
    def __init__(self, path: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{path}.new")
        self._listener.listen(64)
        os.rename(f"{path}.new", path)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._selector.register(0, selectors.EVENT_READ, self._end)
        self._ended = False

    def serve(self) -> None:
        while not self._ended:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def _end(self, _: object) -> None:
        self._ended = True

    def _accept(self, _: object) -> None:
        connection, _peer = self._listener.accept()
        connection.settimeout(10)
        try:
            # One byte carries the files; the request follows it.
            _data, ancillary, _flags, _address = connection.recvmsg(1, socket.CMSG_SPACE(16))
            files = array.array("i", ancillary[0][2]).tolist() if ancillary else []
            request = read(connection.recv)
        except (OSError, EOFError, ValueError):
            connection.close()
            return
        connection.settimeout(None)
        pid = os.fork()
        if pid == 0:
            self._listener.close()
            connection.close()
            _become(request, files)
        for number in files:
            os.close(number)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        process = os.pidfd_open(pid)
        self._selector.register(connection, selectors.EVENT_READ, lambda c: self._signal(c, pid))
        self._selector.register(process, selectors.EVENT_READ, lambda _: self._reap(pid, process, connection))

    def _signal(self, connection: socket.socket, pid: int) -> None:
        if connection.fileno() < 0:
            # The command ended, and its caller hung up, between two looks: it is reaped already.
            return
        told = b""
        with contextlib.suppress(OSError):
            told = connection.recv(1)
        if told:
            os.kill(pid, told[0])
            return
        self._selector.unregister(connection)
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)

    def _reap(self, pid: int, process: int, connection: socket.socket) -> None:
        self._selector.unregister(process)
        os.close(process)
        with contextlib.suppress(KeyError):
            self._selector.unregister(connection)
        status = os.waitpid(pid, 0)[1]
        with contextlib.suppress(OSError):
            connection.sendall(marshalled(status))
        connection.close()


def _become(request: Dict[str, Any], files: List[int]) -> None:
    """In the child: take over the caller's state, run the command, exit."""
    status = 1
    try:
        os.setpgid(0, 0)
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN if number in request["ignored"] else signal.SIG_DFL)
        if signal.SIGINT not in request["ignored"]:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for target, number in enumerate(files[:3]):
            os.dup2(number, target)
        os.fchdir(files[3])
        for number in files:
            os.close(number)
        os.umask(request["umask"])
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        sys.argv = ["lifeboat", *request["words"]]
        status = _run()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _run() -> int:
    """Run the command, and what the interpreter does at exit."""
    try:
        return int(import_module("lifeboat.cli.main").main())
    except SystemExit as exc:
        return exc.code if isinstance(exc.code, int) else 1
    finally:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()


if __name__ == "__main__":
    _load()
    _Server(sys.argv[1]).serve()
