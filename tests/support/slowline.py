# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A slow connection to a store: it passes a limited number of bytes per second, buffers little, and loses nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

_AHEAD = 4096
_PACKET = 1400


class SlowLine:
    """Listens on a free port of 127.0.0.1; passes requests on at ``rate`` bytes per second, responses at once."""

    def __init__(self, upstream_port: int, rate: float) -> None:
        self._upstream, self._rate = upstream_port, rate
        self._listener = socket.socket()
        # Of a loopback with its packets of 64 KiB the window would open in leaps, as no line's does.
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, _PACKET)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _AHEAD)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _address = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._upstream))
                threading.Thread(target=self._pass, args=(client, server, 1024, self._rate), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, 65536, 0.0), daemon=True).start()

    @staticmethod
    def _pass(source: socket.socket, target: socket.socket, most: int, rate: float) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(most):
                target.sendall(data)
                if rate:
                    time.sleep(len(data) / rate)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
