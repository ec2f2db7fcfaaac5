# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The open alerts from Alertmanager (API v2), without those that are inhibited or silenced there.

It is queried in a separate thread, so that neither the page nor the reading of repositories ever waits for it. Its
answer is bounded, and only shown as text.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import ssl
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import urlencode, urlsplit

from ..base import clock
from ..base.errors import ConfigError, LifeboatError, StoreUnavailable
from ..base.files import open_to_read
from ..base.version import VERSION
from ..config.transit import is_this_machine
from ..records.fields import printable, read_stored_time

#: Seconds between two queries, for a whole query, and for each wait in it.
EVERY, _WHOLE, _WAIT = 30.0, 15.0, 5.0
_MOST_BYTES, _MOST_ALERTS, _MOST_TEXT = 4 * 1024 * 1024, 200, 500
# Each of our rules links to this page; with other links, alerts are selected by --alertmanager-match.
_OURS = re.compile(r"/docs/alerts\.md#([a-z]+)\Z")
_RANK = {"critical": 0, "warning": 1}


@dataclass(frozen=True)
class Alert:
    """An open alert: since when (aware; None if unknown), and its cluster, or ""."""

    name: str
    severity: str
    cluster: str
    summary: str
    since: Optional[datetime] = None


@dataclass(frozen=True)
class Asked:
    """The alerts of the last answer, its time, the number of further alerts, and the error of the last query."""

    alerts: Tuple[Alert, ...] = ()
    at: Optional[datetime] = None
    more: int = 0
    error: Optional[LifeboatError] = None


@dataclass(frozen=True)
class Manager:
    """The address of Alertmanager. Without ``match`` (a matcher: ``team="dba"``), only alerts of our rules count.

    ``auth_file`` contains ``user:password``; ``ca_file`` the CA of its certificate.
    """

    url: str
    match: Optional[str] = None
    auth_file: Optional[str] = None
    ca_file: Optional[str] = None

    def require_sound(self) -> None:
        """ConfigError for a URL that contains a password, or that would send the password in clear text."""
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good or not re.fullmatch(r"[!-~]+", self.url) or parts.query or parts.fragment:
            raise ConfigError("--alertmanager is not a URL.", "Write it as --alertmanager http://127.0.0.1:9093.")
        if parts.username or parts.password:
            raise ConfigError(
                "--alertmanager contains a user or password, which every local user can see.",
                "Put user:password into a file, and name it with --alertmanager-auth.",
            )
        if self.auth_file and parts.scheme == "http" and not is_this_machine(self.url):
            raise ConfigError(
                "--alertmanager-auth would send the password in clear text to another machine.",
                "Use https, with --alertmanager-ca for your own CA.",
            )

    def ask(self) -> Asked:
        """Query the open alerts, for about 20 seconds at most. ConfigError, StoreUnavailable."""
        words = [("active", "true"), ("silenced", "false"), ("inhibited", "false"), ("unprocessed", "false")]
        words += [("filter", self.match)] if self.match else []
        url = f"{self.url.rstrip('/')}/api/v2/alerts?{urlencode(words)}"
        request = urllib.request.Request(url, headers=self._headers())  # noqa: S310 # its scheme was checked
        try:
            with self._opener().open(request, timeout=_WAIT) as answer:
                raw = _read(answer)
        except urllib.error.HTTPError as exc:
            exc.close()
            raise _unavailable(f"Alertmanager answered {exc.code}.") from None
        except (OSError, http.client.HTTPException, ValueError) as exc:
            reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
            told = reason.strerror if isinstance(reason, OSError) and reason.strerror else type(reason).__name__
            raise _unavailable(f"Alertmanager cannot be reached: {printable(str(told))}.") from None
        alerts = parse_alerts(raw, every=bool(self.match))
        return Asked(alerts[:_MOST_ALERTS], clock.now(), max(0, len(alerts) - _MOST_ALERTS))

    def _headers(self) -> Dict[str, str]:
        headers = {"Accept": "application/json", "User-Agent": f"lifeboat/{VERSION}"}
        if self.auth_file:
            try:
                with open_to_read(self.auth_file) as stream:
                    given = stream.read(_MOST_TEXT).strip()
            except OSError as exc:
                raise ConfigError(f"Cannot read {self.auth_file}: {exc.strerror}.", "Check its owner.") from exc
            headers["Authorization"] = f"Basic {base64.b64encode(given).decode()}"
        return headers

    def _opener(self) -> urllib.request.OpenerDirector:
        handlers: List[urllib.request.BaseHandler] = [_Stay()]
        if self.url.startswith("https:"):
            handlers.append(urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca_file)))
        else:
            handlers.append(urllib.request.ProxyHandler({}))
        return urllib.request.build_opener(*handlers)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follow no redirect, which would send the password elsewhere."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _read(answer: Any) -> bytes:
    """The whole body, bounded in size and time, so that a slow sender blocks nothing."""
    raw, until = bytearray(), clock.monotonic() + _WHOLE
    while chunk := answer.read1(65536):
        raw += chunk
        if len(raw) > _MOST_BYTES:
            raise _unavailable(f"Alertmanager answered with more than {_MOST_BYTES} bytes.")
        if clock.monotonic() > until:
            raise _unavailable(f"Alertmanager did not answer within {_WHOLE:g} seconds.")
    return bytes(raw)


def _unavailable(words: str) -> StoreUnavailable:
    return StoreUnavailable(words, "Check Alertmanager, and the URL of --alertmanager.")


def parse_alerts(raw: bytes, every: bool = False) -> Tuple[Alert, ...]:
    """The alerts in an answer, the worst first; with ``every``, also those of other rules. Pure; StoreUnavailable.

    Invalid alerts are left out, and so is the watchdog, which always fires.
    """
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list):
        raise _unavailable("The answer of Alertmanager is not a list of alerts.")
    found = [alert for item in given if isinstance(item, dict) and (alert := _alert(item, every)) is not None]
    return tuple(sorted(found, key=lambda a: (_RANK.get(a.severity, 2), a.cluster, a.name, a.summary)))


def _alert(item: Dict[str, Any], every: bool) -> Optional[Alert]:
    labels, notes, status = (_texts(item.get(name)) for name in ("labels", "annotations", "status"))
    name = labels.get("alertname", "")
    match = _OURS.search(notes.get("runbook_url", ""))
    if not name or labels.get("severity") == "none" or status.get("state", "active") != "active":
        return None
    if not every and (match is None or match.group(1) != name.lower()):
        return None
    try:
        # Alertmanager's times have nanoseconds.
        since = read_stored_time(re.sub(r"(\.\d{6})\d+", r"\1", str(item.get("startsAt"))))
    except ValueError:
        since = None
    return Alert(name, labels.get("severity", ""), labels.get("cluster", ""), notes.get("summary", ""), since)


def _texts(value: Any) -> Dict[str, str]:
    """The strings in an object, each made printable."""
    if not isinstance(value, dict):
        return {}
    return {key: printable(text[:_MOST_TEXT]) for key, text in value.items() if isinstance(text, str)}


class Alerts:
    """The last answer of Alertmanager. Thread-safe: one thread queries, any number read."""

    def __init__(self, manager: Manager) -> None:
        self._manager, self._lock, self._asked = manager, threading.Lock(), Asked()
        self._over = threading.Event()

    def start(self) -> None:
        """Query now and every 30 seconds, in the background."""
        threading.Thread(target=self._run, name="lifeboat-alerts", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.ask()
            if self._over.wait(EVERY):
                return

    def ask(self) -> None:
        """Query once. An error is kept beside the previous answer."""
        try:
            asked = self._manager.ask()
        except LifeboatError as exc:
            asked = replace(self.last(), error=exc)
        except Exception as exc:
            # If this thread ended, old alerts would stay on the page forever.
            asked = replace(
                self.last(), error=_unavailable(f"Cannot parse the answer of Alertmanager: {type(exc).__name__}.")
            )
        with self._lock:
            self._asked = asked

    def last(self) -> Asked:
        """The last answer."""
        with self._lock:
            return self._asked

    def stop(self) -> None:
        """Stop the queries."""
        self._over.set()
