# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One POST over HTTPS: no redirect is followed, no answer is quoted, a URL is never named beyond its host."""

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

# RFC 9110: too slow, too early, too many: the same request may succeed later.
_LATER = (408, 425, 429)


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the notice, its signature or a key elsewhere."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


@dataclass(frozen=True)
class Post:
    """Where to, and how. ``url`` may hold a secret."""

    url: str
    ca_bundle: Optional[str]
    allow_http: bool
    timeout: float

    def __repr__(self) -> str:
        return f"Post({self.host})"

    @property
    def host(self) -> str:
        """All of the URL that may be told."""
        return urlsplit(self.url).hostname or ""

    def send(self, body: bytes, headers: Mapping[str, str]) -> None:
        """ChannelUnavailable, ChannelRefused where the answer is not a 2xx."""
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
                    f"Cannot read ca_bundle {self.ca_bundle}: {exc.strerror or 'it holds no certificate'}.",
                    "Name a file of certificates in PEM.",
                ) from exc
            handlers.append(urllib.request.HTTPSHandler(context=context))
        else:
            # What is allowed in clear to this machine must not leave it by a proxy.
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)

    def _unreached(self, exc: Exception) -> Exception:
        reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
        if isinstance(reason, ssl.SSLCertVerificationError):
            return ChannelRefused(
                f"The certificate of {self.host} is not trusted: {reason.verify_message}.",
                "Name its authority by ca_bundle, or correct the URL.",
            )
        words = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
        return ChannelUnavailable(f"{self.host} cannot be reached: {words}.", "Check the network and the service.")

    def _refused(self, status: int) -> Exception:
        words = f"{status} {http.client.responses.get(status, '')}".strip()
        if status in _LATER or status >= 500:
            return ChannelUnavailable(f"{self.host} answered {words}.", "Wait, or look at the service's status.")
        if 300 <= status < 400:
            return ChannelRefused(f"{self.host} answered {words}, and no redirect is followed.", "Correct the URL.")
        return ChannelRefused(f"{self.host} answered {words}.", "Check the URL and the key of this channel.")
