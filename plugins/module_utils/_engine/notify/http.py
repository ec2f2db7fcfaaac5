# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One POST over HTTPS: redirects are not followed, and messages contain no response and only the host of a URL."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Mapping, Optional
from urllib.parse import urlsplit

from ..base.errors import ChannelRefused, ChannelUnavailable, ConfigError
from ..base.version import VERSION
from ..config.notifications import require_sendable

# RFC 9110: request timeout, too early, too many requests: the same request may succeed later.
_LATER = (408, 425, 429)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect, which would send the notice, its signature or a key elsewhere."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


@dataclass(frozen=True)
class Post:
    """The target, and how to connect. ``url`` may contain a secret."""

    url: str
    ca_bundle: Optional[str]
    allow_http: bool
    timeout: float

    def __repr__(self) -> str:
        return f"Post({self.host})"

    @property
    def host(self) -> str:
        """The only part of the URL that messages may contain."""
        return urlsplit(self.url).hostname or ""

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the request; ChannelUnavailable or ChannelRefused unless the status is 2xx."""
        try:
            require_sendable(self.url, self.allow_http, "The URL of this channel")
        except ConfigError as exc:
            raise ChannelRefused(exc.message, exc.hint) from None
        all_headers = {"Content-Type": "application/json", "User-Agent": f"lifeboat/{VERSION}", **headers}
        request = urllib.request.Request(self.url, body, all_headers, method="POST")  # noqa: S310 # checked above
        try:
            with self._opener().open(request, timeout=self.timeout) as answer:
                status = answer.status
        except urllib.error.HTTPError as exc:
            status = exc.code
            exc.close()
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise self._unreached(exc) from None
        if not 200 <= status < 300:
            raise self._refused(status)

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: list[urllib.request.BaseHandler] = [_Stay()]
        if self.url.lower().startswith("https:"):
            try:
                context = ssl.create_default_context(cafile=self.ca_bundle)
            except (OSError, ssl.SSLError) as exc:
                raise ChannelRefused(
                    f"Cannot read ca_bundle {self.ca_bundle}: {exc.strerror or 'it contains no certificate'}.",
                    "Name a PEM file with certificates.",
                ) from exc
            handlers.append(urllib.request.HTTPSHandler(context=context))
        else:
            # Clear text that is only allowed on this machine must not leave it through a proxy.
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)

    def _unreached(self, exc: Exception) -> Exception:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ChannelRefused(
                f"The certificate of {self.host} is not trusted: {reason.verify_message}.",
                "Set ca_bundle to its CA, or correct the URL.",
            )
        words = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
        return ChannelUnavailable(f"Cannot reach {self.host}: {words}.", "Check the network and the service.")

    def _refused(self, status: int) -> Exception:
        words = f"{status} {http.client.responses.get(status, '')}".strip()
        if status in _LATER or status >= 500:
            return ChannelUnavailable(f"{self.host} answered {words}.", "Wait, or check the service's status page.")
        if 300 <= status < 400:
            return ChannelRefused(f"{self.host} answered {words}, but redirects are not followed.", "Correct the URL.")
        return ChannelRefused(f"{self.host} answered {words}.", "Check the URL and the key of this channel.")
