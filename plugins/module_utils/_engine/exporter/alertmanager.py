# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The open alerts, as Alertmanager has them (its API v2): what is inhibited or silenced there is not shown here.

It is asked in a thread of its own, so that neither the page nor the reading of repositories ever waits for it. What it
answers is bounded, and shown as text only.
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

#: Seconds between two questions, for one of them as a whole, and for each wait in it.
EVERY, _WHOLE, _WAIT = 30.0, 15.0, 5.0
_MOST_BYTES, _MOST_ALERTS, _MOST_TEXT = 4 * 1024 * 1024, 200, 500
# The page of ours that each of our rules names; whoever rewrites it filters by a matcher of his own.
_OURS = re.compile(r"/docs/alerts\.md#([a-z]+)\Z")
_RANK = {"critical": 0, "warning": 1}


@dataclass(frozen=True)
class Alert:
    """An open alert: since when (aware; None where it does not tell), and whom it is about, "" for no cluster."""

    name: str
    severity: str
    cluster: str
    summary: str
    since: Optional[datetime] = None


@dataclass(frozen=True)
class Asked:
    """The alerts of the last answer, when that was, how many more there were, and why the last question failed."""

    alerts: Tuple[Alert, ...] = ()
    at: Optional[datetime] = None
    more: int = 0
    error: Optional[LifeboatError] = None


@dataclass(frozen=True)
class Manager:
    """Where Alertmanager is. Without a ``match`` (a matcher, such as ``team="dba"``) only alerts of our rules count.

    ``auth_file`` holds ``user:password``; ``ca_file`` the authority of its certificate.
    """

    url: str
    match: Optional[str] = None
    auth_file: Optional[str] = None
    ca_file: Optional[str] = None

    def require_sound(self) -> None:
        """ConfigError for a URL with a password, or one to which the password would go in clear."""
        try:
            parts = urlsplit(self.url)
            good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            good = False
        if not good or not re.fullmatch(r"[!-~]+", self.url) or parts.query or parts.fragment:
            raise ConfigError("--alertmanager is no URL.", "Write it as --alertmanager http://127.0.0.1:9093.")
        if parts.username or parts.password:
            raise ConfigError(
                "--alertmanager has a user or password in it, which every local user can see.",
                "Put user:password into a file, and name it by --alertmanager-auth.",
            )
        if self.auth_file and parts.scheme == "http" and not is_this_machine(self.url):
            raise ConfigError(
                "--alertmanager-auth would send the password in clear to another machine.",
                "Use https; --alertmanager-ca names an authority of your own.",
            )

    def ask(self) -> Asked:
        """The alerts that are open now. ConfigError, StoreUnavailable; takes at most about 20 seconds."""
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
    """A redirect would carry the password elsewhere."""

    def redirect_request(self, *_args: Any, **_more: Any) -> None:
        return None


def _read(answer: Any) -> bytes:
    """The whole body, within its bounds: whoever sends a byte now and then keeps nobody."""
    raw, until = bytearray(), clock.monotonic() + _WHOLE
    while chunk := answer.read1(65536):
        raw += chunk
        if len(raw) > _MOST_BYTES:
            raise _unavailable(f"Alertmanager answered with more than {_MOST_BYTES} bytes.")
        if clock.monotonic() > until:
            raise _unavailable(f"Alertmanager did not answer within {_WHOLE:g} seconds.")
    return bytes(raw)


def _unavailable(words: str) -> StoreUnavailable:
    return StoreUnavailable(words, "Look at Alertmanager, and at --alertmanager.")


def parse_alerts(raw: bytes, every: bool = False) -> Tuple[Alert, ...]:
    """The alerts of an answer, the worst first; with ``every`` those of other rules too. Pure; StoreUnavailable.

    What is no alert is left out, and so is the watchdog, which always fires.
    """
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, list):
        raise _unavailable("What Alertmanager answered is no list of alerts.")
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
        # It tells nanoseconds.
        since = read_stored_time(re.sub(r"(\.\d{6})\d+", r"\1", str(item.get("startsAt"))))
    except ValueError:
        since = None
    return Alert(name, labels.get("severity", ""), labels.get("cluster", ""), notes.get("summary", ""), since)


def _texts(value: Any) -> Dict[str, str]:
    """The texts of an object, each as it can be shown."""
    if not isinstance(value, dict):
        return {}
    return {key: printable(text[:_MOST_TEXT]) for key, text in value.items() if isinstance(text, str)}


class Alerts:
    """What was last heard of Alertmanager. Safe for threads: one asks, any number read."""

    def __init__(self, manager: Manager) -> None:
        self._manager, self._lock, self._asked = manager, threading.Lock(), Asked()
        self._over = threading.Event()

    def start(self) -> None:
        """Ask now and every 30 seconds, in the background."""
        threading.Thread(target=self._run, name="lifeboat-alerts", daemon=True).start()

    def _run(self) -> None:
        while True:
            self.ask()
            if self._over.wait(EVERY):
                return

    def ask(self) -> None:
        """Once. An error is kept beside what was known before."""
        try:
            asked = self._manager.ask()
        except LifeboatError as exc:
            asked = replace(self.last(), error=exc)
        except Exception as exc:
            # A thread that ends would leave old alerts on the page forever.
            asked = replace(self.last(), error=_unavailable(f"Alertmanager was not understood: {type(exc).__name__}."))
        with self._lock:
            self._asked = asked

    def last(self) -> Asked:
        """The last answer."""
        with self._lock:
            return self._asked

    def stop(self) -> None:
        """Ask no more."""
        self._over.set()
