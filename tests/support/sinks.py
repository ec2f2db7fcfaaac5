# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers on this machine that receive notices: mail with STARTTLS, and HTTP or HTTPS."""

from __future__ import annotations

import email
import ssl
import subprocess
import threading
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Dict, List, Optional, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from .processes import free_port


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate of this machine; ``name`` may be an IPv4 address."""

    pem: Path
    key: Path

    @classmethod
    def make(cls, directory: Path, name: str = "localhost") -> Certificate:
        pem, key = directory / f"{name}.pem", directory / f"{name}.key"
        kind = "IP" if name[0].isdigit() else "DNS"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-addext", f"subjectAltName={kind}:{name}", "-keyout", str(key), "-out", str(pem)],
            check=True, capture_output=True,
        )  # fmt: skip
        return cls(pem, key)

    @property
    def context(self) -> ssl.SSLContext:
        found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        found.load_cert_chain(self.pem, self.key)
        return found


@dataclass
class MailSink:
    """A mail server. ``answers`` are its next replies to mails; ``refused`` are recipients that it always rejects.

    ``address`` is the one to listen on, to be reached from elsewhere. If ``dies``, it accepts no connection after its
    last answer.
    """

    certificate: Optional[Certificate] = None
    login: Optional[tuple[str, str]] = None
    answers: List[str] = field(default_factory=list)
    refused: List[str] = field(default_factory=list)
    mails: List[EmailMessage] = field(default_factory=list)
    encrypted: List[bool] = field(default_factory=list)
    attempts: int = 0
    address: str = "127.0.0.1"
    dies: bool = False

    def __enter__(self) -> MailSink:
        more: Dict[str, Any] = {}
        if self.certificate:
            more = {"tls_context": self.certificate.context, "require_starttls": True}
        if self.login:
            more.update(authenticator=self._authenticate, auth_required=True)
        self.port = free_port()
        self._controller = Controller(self, hostname=self.address, port=self.port, server_hostname="localhost", **more)
        self._controller.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._controller.stop()

    def _authenticate(self, _server: SMTP, _session: Session, _envelope: Envelope, _kind: str, data: Any) -> AuthResult:
        # Without "handled" the server itself answers a login that is refused.
        known = (data.login.decode(), data.password.decode()) == self.login
        return AuthResult(success=known, handled=known)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: List[str]
    ) -> str:
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:
        self.attempts += 1
        if self.answers:
            if self.dies and len(self.answers) == 1:
                self._controller.server.close()
            return self.answers.pop(0)
        self.encrypted.append(session.ssl is not None)
        parsed = email.message_from_bytes(cast(bytes, envelope.content), policy=default)
        self.mails.append(cast(EmailMessage, parsed))
        return "250 OK"


@dataclass(frozen=True)
class Request:
    """A client's request."""

    path: str
    headers: Dict[str, str]
    body: bytes


@dataclass
class WebSink:
    """An HTTP server. ``answers`` are its next statuses, followed by ``then``; a redirect goes to ``location``."""

    certificate: Optional[Certificate] = None
    answers: List[int] = field(default_factory=list)
    then: int = 200
    location: str = ""
    requests: List[Request] = field(default_factory=list)

    def __enter__(self) -> WebSink:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                sink.requests.append(Request(self.path, headers, body))
                self._answer()

            def do_GET(self) -> None:
                sink.requests.append(Request(self.path, {}, b""))
                self._answer()

            def _answer(self) -> None:
                self.send_response(sink.answers.pop(0) if sink.answers else sink.then)
                if sink.location:
                    self.send_header("Location", sink.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if self.certificate:
            self._server.socket = self.certificate.context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        scheme = "https" if self.certificate else "http"
        return f"{scheme}://localhost:{self._server.server_address[1]}"
