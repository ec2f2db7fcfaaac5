# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small HTTP proxy in front of a store that fails like networks and overloaded stores do.

Faults are queued with :meth:`FaultProxy.inject`; each request takes the first one that matches it. Every connection
serves one request, so that a fault affects exactly the intended request.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

HANG = "hang"  # take the request, never answer
STATUS = "status"  # answer with an HTTP error, the store sees nothing
CUT_REQUEST = "cut-request"  # reset while the client sends its body
CUT_ANSWER = "cut-answer"  # pass `after` bytes of the answer's body, then close or reset
SWALLOW = "swallow"  # let the store work, then reset instead of answering
SLOW = "slow"  # wait for `seconds`, then pass the request on


@dataclass
class Fault:
    """What to do with the next ``times`` requests of this method whose target contains ``target``."""

    kind: str
    times: int = 1
    method: str = ""
    target: str = ""
    after: int = 0
    status: int = 503
    code: str = ""
    reset: bool = True
    seconds: float = 0.0

    def fits(self, method: str, target: str) -> bool:
        return self.times > 0 and self.method in ("", method) and self.target in target


class FaultProxy:
    """Listens on a free port of 127.0.0.1 and passes requests on to ``upstream_port``."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = upstream_port
        self._faults: List[Fault] = []
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.requests: List[Tuple[str, str]] = []
        self.last_headers: Dict[str, str] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def inject(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Forget the faults that have not happened."""
        with self._lock:
            self._faults.clear()

    def count(self, method: str, target: str = "") -> int:
        """The number of requests with that method whose target contains ``target``."""
        with self._lock:
            return sum(1 for m, t in self.requests if m == method and target in t)

    @property
    def unused(self) -> int:
        """The number of injected faults that have not happened yet."""
        with self._lock:
            return sum(f.times for f in self._faults)

    def close(self) -> None:
        """Refuse connections from now on."""
        self._closing.set()
        # shutdown() wakes the thread in accept(); close() alone would leave the port open until then.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.closing(client), contextlib.suppress(OSError):
            head = _read_head(client)
            if head is None:
                return
            first, headers, rest = head
            method, target, _ = first.split(" ", 2)
            self.last_headers = headers
            fault = self._take(method, target)
            if fault is not None and fault.kind == HANG:
                self._closing.wait()
                return
            if headers.get("expect"):
                client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            length = int(headers.get("content-length", "0"))
            if fault is not None and fault.kind == CUT_REQUEST:
                _receive(client, min(fault.after, length) - len(rest))
                return _reset(client)
            body = rest + _receive(client, length - len(rest))
            if fault is not None and fault.kind == STATUS:
                client.sendall(_status_answer(fault.status, fault.code))
                return
            if fault is not None and fault.kind == SLOW:
                self._closing.wait(fault.seconds)
                fault = None
            self._pass_on(client, first, headers, body, fault)

    def _pass_on(
        self, client: socket.socket, first: str, headers: Dict[str, str], body: bytes, fault: Optional[Fault]
    ) -> None:
        kept = {k: v for k, v in headers.items() if k not in ("expect", "connection")}
        lines = [first, *(f"{k}: {v}" for k, v in kept.items()), "connection: close", "", ""]
        with socket.create_connection(("127.0.0.1", self._upstream)) as upstream:
            upstream.sendall("\r\n".join(lines).encode("latin-1") + body)
            answer = _until_closed(upstream)
            if fault is None:
                for data in answer:
                    client.sendall(data)
            elif fault.kind == SWALLOW:
                for _ in answer:
                    pass
                _reset(client)
            elif fault.kind == CUT_ANSWER:
                whole = b"".join(answer)
                client.sendall(whole[: whole.index(b"\r\n\r\n") + 4 + fault.after])
                if fault.reset:
                    _reset(client)

    def _take(self, method: str, target: str) -> Optional[Fault]:
        with self._lock:
            self.requests.append((method, target))
            fault = next((f for f in self._faults if f.fits(method, target)), None)
            if fault is not None:
                fault.times -= 1
            return fault


def _read_head(client: socket.socket) -> Optional[Tuple[str, Dict[str, str], bytes]]:
    """The request line, the headers by lower-case name, and the bytes after them."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return None
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return first, {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}, rest


def _receive(source: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        more = source.recv(min(1 << 20, length - len(data)))
        if not more:
            raise ConnectionError("the client went away")
        data += more
    return bytes(data)


def _until_closed(source: socket.socket) -> Iterator[bytes]:
    while data := source.recv(1 << 20):
        yield data


def _status_answer(status: int, code: str) -> bytes:
    """S3's error body with the code, or the usual one for 503 and 403; for any other status, a web server's page."""
    code = code or {503: "SlowDown", 403: "AccessDenied"}.get(status, "")
    body = f"<Error><Code>{code}</Code><Message>A fault.</Message></Error>" if code else "<html>A fault<br></html>"
    head = f"HTTP/1.1 {status} Fault\r\ncontent-type: application/xml\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n{body}".encode()


def _reset(client: socket.socket) -> None:
    """Close with RST instead of FIN."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
