# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``warm_client.py SOCKET COMMAND [ARGUMENT…]``: runs the command in the server of :mod:`.warm`, or else directly.

It runs as a new process if the caller's environment has ``LD_PRELOAD``, or the caller is another user.
"""

import marshal
import os
import signal
import socket
import sys

SIGNALS = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


def marshalled(value):
    """Prefixed with its length."""
    data = marshal.dumps(value)
    return len(data).to_bytes(4, "big") + data


def read(receive):
    """The inverse of :func:`marshalled`, from ``recv``; EOFError if it ends early."""

    def exactly(count):
        data = b""
        while len(data) < count:
            more = receive(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    return marshal.loads(exactly(int.from_bytes(exactly(4), "big")))


def _ask(place, words):
    """The connection to a server that runs the command, or None."""
    if "LD_PRELOAD" in os.environ:
        return None
    connection = socket.socket(socket.AF_UNIX)
    try:
        if os.stat(place).st_uid != os.geteuid():
            return None
        connection.connect(place)
        here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        files = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2, here))
        umask = os.umask(0)
        os.umask(umask)
        request = {
            "words": words,
            "environment": dict(os.environ),
            "umask": umask,
            "ignored": [int(n) for n in SIGNALS if signal.getsignal(n) == signal.SIG_IGN],
        }
        connection.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        connection.sendall(marshalled(request))
    except OSError:
        return None
    return connection


def main():
    """Exit like the command."""
    place, command, *words = sys.argv[1:]
    connection = _ask(place, words)
    if connection is None:
        os.execv(command, [command, *words])
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda number, _: connection.send(bytes([number])))
    status = read(connection.recv)
    if os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL)
        os.kill(os.getpid(), os.WTERMSIG(status))
    return os.WEXITSTATUS(status)


if __name__ == "__main__":
    sys.exit(main())
