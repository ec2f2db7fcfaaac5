# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail by ``smtplib``: relays in order, TLS with a checked certificate."""

from __future__ import annotations

import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import List, Sequence

from ..base.errors import ChannelRefused, ChannelUnavailable, LifeboatError
from ..config.notifications import SmtpOptions
from .channel import secret_of
from .notice import CRITICAL, OPEN, Notice, one_line


class Mail:
    """The relays of one channel."""

    def __init__(self, options: SmtpOptions) -> None:
        self._options = options

    def send(self, notice: Notice, token: str) -> str:
        """See :class:`.channel.Channel`. The first relay that accepts the mail is enough."""
        mail, context = message(self._options, notice, token), self._context()
        password = secret_of(self._options.password, self._options.password_file)
        failed: List[LifeboatError] = []
        for host, port in self._options.places:
            try:
                return self._by(host, port, mail, password, context)
            except (ChannelRefused, ChannelUnavailable) as exc:
                failed.append(exc)
        words = " ".join(exc.message for exc in failed)
        # If one of them may accept it later, another attempt is worthwhile.
        later = any(isinstance(exc, ChannelUnavailable) for exc in failed)
        raise (ChannelUnavailable if later else ChannelRefused)(words, failed[0].hint)

    def _context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._options.ca_bundle)
        except (OSError, ssl.SSLError) as exc:
            raise ChannelRefused(
                f"Cannot read ca_bundle {self._options.ca_bundle}: {exc.strerror or 'it contains no certificate'}.",
                "Name a PEM file with certificates.",
            ) from exc

    def _by(self, host: str, port: int, mail: EmailMessage, password: str, context: ssl.SSLContext) -> str:
        options, place = self._options, f"{host}:{port}"
        try:
            if options.tls == "tls":
                relay: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=options.timeout, context=context)
            else:
                relay = smtplib.SMTP(host, port, timeout=options.timeout)
            with contextlib.closing(relay):
                if options.tls == "starttls":
                    relay.starttls(context=context)
                if options.username:
                    relay.login(options.username, password)
                refused = relay.send_message(mail)
                with contextlib.suppress(smtplib.SMTPException, OSError):
                    # The mail has been accepted, even if the connection fails now.
                    relay.quit()
        except (smtplib.SMTPException, OSError, UnicodeError) as exc:
            # No cause: it may quote the login.
            raise failure(place, exc) from None
        return f"{place} refused {', '.join(sorted(refused))}" if refused else ""


def message(options: SmtpOptions, notice: Notice, token: str) -> EmailMessage:
    """The mail. Its ID is the same at each attempt, so that a mail that was accepted twice is shown once. Pure."""
    mail = EmailMessage(SMTP)
    mail["From"] = options.sender
    mail["To"] = ", ".join(options.to)
    mail["Subject"] = notice.title
    mail["Date"] = format_datetime(notice.at)
    mail["Message-ID"] = f"<{token}@{options.sender.rpartition('@')[2]}>"
    # RFC 3834: no automatic replies.
    mail["Auto-Submitted"] = "auto-generated"
    if notice.severity == CRITICAL and notice.state == OPEN:
        mail["Importance"] = "high"
    for name, value in (("Severity", notice.severity), ("State", notice.state), ("Key", one_line(notice.key))):
        if value:
            mail[f"Lifeboat-{name}"] = value
    mail.set_content(f"{notice.subject}\n\n{notice.text}".strip() + "\n", cte="quoted-printable")
    return mail


def failure(place: str, exc: Exception) -> LifeboatError:
    """The error for an exception of smtplib; a relay's message is only quoted if no secret was sent before. Pure."""
    if isinstance(exc, ssl.SSLCertVerificationError):
        return ChannelRefused(
            f"The certificate of {place} is not trusted: {exc.verify_message}.",
            "Set ca_bundle to its CA, and name the relay as in its certificate.",
        )
    if isinstance(exc, smtplib.SMTPNotSupportedError):
        return ChannelRefused(f"{place} does not offer STARTTLS or a login.", "Correct tls, the port or the login.")
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _words in exc.recipients.values()})
        return _answered(place, codes, "every recipient")
    if isinstance(exc, smtplib.SMTPAuthenticationError):
        return _answered(place, [exc.smtp_code], "the login")
    if isinstance(exc, smtplib.SMTPResponseException):
        return _answered(place, [exc.smtp_code], "the mail")
    words = exc.strerror if isinstance(exc, OSError) and exc.strerror else type(exc).__name__
    return ChannelUnavailable(f"Cannot reach {place}: {words}.", "Check the network and the relay.")


def _answered(place: str, codes: Sequence[int], what: str) -> LifeboatError:
    words = f"{place} refused {what} with {', '.join(map(str, codes))}."
    # RFC 5321, 4.2.1: 4yz is a transient failure.
    if any(400 <= code < 500 for code in codes):
        return ChannelUnavailable(words, "Wait, or check the relay's log.")
    return ChannelRefused(words, "Check the relay's log, and the sender, recipients and login.")
