# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve ``/metrics`` and the status page.

There are no passwords: for those, put a reverse proxy in front, and give the exporter a loopback address.
TLS, also with client certificates, is by Python's own library.
"""

from __future__ import annotations

import socketserver
import ssl
import threading
from dataclasses import dataclass
from typing import Any, Callable, Iterable, List, Optional, Tuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from ..base import clock
from ..base.errors import ConfigError, LifeboatError
from ..base.files import replace_file
from ..metrics import expose
from .alertmanager import Alerts, Manager
from .fleet import Fleet
from .page import render

_POLL = 0.2
#: The headers of every response: the page has neither scripts nor content of other origins.
_SAFE = [
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
]


@dataclass(frozen=True)
class Options:
    """The address to listen on, the seconds between readings of the repositories, the file for the page, and the
    Alertmanager to query for open alerts.
    """

    address: str = "127.0.0.1"
    port: int = 9851
    interval: float = 300.0
    page: Optional[str] = None
    tls_cert: Optional[str] = None
    tls_key: Optional[str] = None
    tls_client_ca: Optional[str] = None
    alertmanager: Optional[Manager] = None


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    """Logs no requests; closes the connection of a silent client after ten seconds."""

    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


def serve(
    fleet: Fleet, options: Options, told: List[int], note: Callable[[str], None], ready: Callable[[], None]
) -> None:
    """Read the repositories and serve the data, until ``told`` to end. ConfigError if it cannot listen."""
    alerts = Alerts(options.alertmanager) if options.alertmanager else None
    server = _listen(fleet, options, alerts)
    if alerts:
        alerts.start()
    thread = threading.Thread(target=server.serve_forever, args=(_POLL,), name="lifeboat-http", daemon=True)
    thread.start()
    note(f"listening on {options.address}:{server.server_port}")
    try:
        _refresh(fleet, options, note, alerts)
        ready()
        due = clock.monotonic() + options.interval
        while not told:
            if clock.monotonic() >= due:
                _refresh(fleet, options, note, alerts)
                due = clock.monotonic() + options.interval
            clock.sleep(_POLL)
    finally:
        if alerts:
            alerts.stop()
        server.shutdown()
        server.server_close()


def _refresh(fleet: Fleet, options: Options, note: Callable[[str], None], alerts: Optional[Alerts]) -> None:
    """Refresh, and write the page; after an error the next round tries again."""
    try:
        fleet.refresh()
        for item in fleet.snapshot()[1]:
            note(f"{item.path}: {item.error.message}")
        if options.page:
            replace_file(options.page, page_of(fleet, alerts), mode=0o644)
    except (LifeboatError, OSError) as exc:
        note(str(exc))


def page_of(fleet: Fleet, alerts: Optional[Alerts] = None) -> bytes:
    """The current status page."""
    clusters, unusable, refreshed = fleet.snapshot()
    asked = alerts.last() if alerts else None
    return render(clusters, unusable, refreshed, clock.now(), asked).encode()


def application(fleet: Fleet, alerts: Optional[Alerts] = None) -> Callable[..., Iterable[bytes]]:
    """The WSGI application (PEP 3333)."""

    def answer(environ: Any, start: Callable[[str, List[Tuple[str, str]]], Any]) -> Iterable[bytes]:
        status, kind, body = _answer(fleet, alerts, environ["REQUEST_METHOD"], environ["PATH_INFO"])
        start(status, [("Content-Type", kind), ("Content-Length", str(len(body))), *_SAFE])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer


def _answer(fleet: Fleet, alerts: Optional[Alerts], method: str, path: str) -> Tuple[str, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if method not in ("GET", "HEAD"):
        return "405 Method Not Allowed", plain, b"Only GET and HEAD.\n"
    if path == "/metrics":
        return "200 OK", "text/plain; version=0.0.4; charset=utf-8", expose(fleet.samples())
    if path == "/":
        return "200 OK", "text/html; charset=utf-8", page_of(fleet, alerts)
    if path == "/healthz":
        first = fleet.snapshot()[2]
        return (
            ("200 OK", plain, b"ok\n") if first else ("503 Service Unavailable", plain, b"No data has been read yet.\n")
        )
    return "404 Not Found", plain, b"There are /, /metrics and /healthz.\n"


def _listen(fleet: Fleet, options: Options, alerts: Optional[Alerts]) -> _Server:
    try:
        server = make_server(options.address, options.port, application(fleet, alerts), _Server, _Quiet)
        if options.tls_cert:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.tls_client_ca)
            context.load_cert_chain(options.tls_cert, options.tls_key)
            if options.tls_client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
            # The handshake is done in the thread of the request, so that a silent client does not block the others.
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    except (OSError, ssl.SSLError) as exc:
        raise ConfigError(
            f"Cannot listen on {options.address}:{options.port}: {exc}.",
            "Use another --listen, or correct --tls-cert, --tls-key and --tls-client-ca.",
        ) from exc
    return server
