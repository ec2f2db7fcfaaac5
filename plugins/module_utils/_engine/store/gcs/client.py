# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send and retry requests to one Google Cloud Storage bucket, and translate failures.

It uses the JSON API through ``google-auth`` and ``requests``, which distributions package. They do not package
``google-cloud-storage``, whose writer also publishes incomplete objects when it is dropped. A request is retried after
a 408, 429, 5xx, reset or timeout, with at most ``max_attempts`` attempts in total.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple
from urllib.parse import quote

from ...base.errors import BucketMissing, ConfigError, LifeboatError, ObjectMissing, StoreAccessDenied
from ...base.libraries import library
from ...config.cloud_options import GcsOptions
from ..answers import back_off, check_options, refused, unanswered, verify

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
#: Statuses after which a request is sent again.
REPEAT = (408, 429, 500, 502, 503, 504)
#: Chunks of a resumable upload are multiples of this.
CHUNK_UNIT = 256 * 1024


@dataclass(frozen=True)
class Bucket:
    """A session with one bucket.

    ``failures`` and ``refusals`` are tuples of exceptions: those of a request without a response, and those of bad
    credentials.
    """

    session: Any
    options: GcsOptions
    failures: Any
    refusals: Any

    def object_url(self, full: str) -> str:
        """The URL of the metadata of a full key; of an empty key: of the list of objects."""
        base = f"{self.options.endpoint}/storage/v1/b/{quote(self.options.bucket, safe='')}/o"
        return f"{base}/{quote(full, safe='')}" if full else base

    @property
    def upload_url(self) -> str:
        """The URL to send new objects to."""
        return f"{self.options.endpoint}/upload/storage/v1/b/{quote(self.options.bucket, safe='')}/o"

    def call(self, method: str, full: str, params: Optional[Mapping[str, str]] = None, **more: Any) -> Any:
        """Send one request about a full key (empty: the bucket's list) that must succeed."""
        answer = self.ask(method, self.object_url(full), full, params=params, **more)
        if answer.status_code >= 400:
            raise self.refusal(answer, method, full)
        return answer

    def ask(self, method: str, url: str, full: str, **more: Any) -> Any:
        """The response, whatever its status, after as many attempts as needed; the request must be safe to repeat."""
        attempt = 0
        while True:
            attempt += 1
            last = attempt >= self.options.max_attempts
            try:
                answer = self.once(method, url, **more)
            except Exception as exc:
                if isinstance(exc, self.refusals):
                    raise self.unauthorized(exc, method, full) from exc
                if not isinstance(exc, self.failures):
                    raise
                if last or "CERTIFICATE_VERIFY_FAILED" in str(exc):
                    raise self.broken(exc, method, full) from exc
            else:
                if last or answer.status_code not in REPEAT:
                    return answer
            back_off(attempt)

    def once(self, method: str, url: str, **more: Any) -> Any:
        """Make one attempt; the body of the response is read."""
        timeout = (self.options.connect_timeout, self.options.read_timeout)
        return self.session.request(method, url, timeout=timeout, allow_redirects=False, **more)

    def broken(self, exc: BaseException, method: str, full: str) -> LifeboatError:
        """The error for a request without a complete response."""
        what, details = self._words(method, full)
        return unanswered(what, exc, details)

    def unauthorized(self, exc: BaseException, method: str, full: str) -> LifeboatError:
        """The error for credentials that yield no access token."""
        what, details = self._words(method, full)
        return StoreAccessDenied(
            f"{what}: could not get an access token ({exc}).",
            "Check the service account key or the application default credentials, and this host's clock.",
            **details,
        )

    def refusal(self, answer: Any, method: str, full: str, writes: bool = False) -> LifeboatError:
        """The error for an unsuccessful response. The bucket's list must confirm that an object is missing."""
        what, details = self._words(method, full)
        if answer.status_code == 404 and full and not writes:
            listed = self.ask("GET", self.object_url(""), "", params={"prefix": full, "maxResults": "1"})
            if listed.status_code == 200 and _json(listed).get("kind") == "storage#objects":
                return ObjectMissing(
                    f"{what}: the object does not exist.", "Check the cluster's name and the prefix.", **details
                )
            answer = listed
        if answer.status_code == 404 and "error" in _json(answer):
            return BucketMissing(
                f"{what}: bucket {self.options.bucket!r} does not exist.", "Create it, or check its name.", **details
            )
        said = _json(answer).get("error", {})
        message = said.get("message", "") if isinstance(said, dict) else str(said)
        return refused(what, answer.status_code, message or answer.text[:200], writes, details)

    def close(self) -> None:
        """Close the pooled connections."""
        self.session.close()

    def _words(self, method: str, full: str) -> Tuple[str, Dict[str, Any]]:
        options = self.options
        what = f"{method}{f' of {full!r}' if full else ''} in bucket {options.bucket!r} at {options.endpoint}"
        return what, {"store": options.endpoint, "bucket": options.bucket, "key": full, "operation": method}


def connect(options: GcsOptions) -> Bucket:
    """Create the session; sends nothing. Options that cannot work are a ``ConfigError``."""
    check_options(f"Bucket {options.bucket!r}", options)
    if options.part_size % CHUNK_UNIT:
        raise ConfigError(
            f"Bucket {options.bucket!r}: part_size is {options.part_size}.", f"Make it a multiple of {CHUNK_UNIT}."
        )
    requests = library("requests", "python3-requests", "requests (PyPI)", "requests", "requests.adapters")
    auth = library(
        "google-auth", "python3-google-auth", "google-auth (PyPI)", "google.auth",
        "google.auth.exceptions", "google.auth.transport.requests", "google.oauth2.credentials",
        "google.oauth2.service_account",
    )  # fmt: skip
    google = library("google-auth", "python3-google-auth", "google-auth (PyPI)", "google")
    # Only ask() retries requests without a response.
    session = google.auth.transport.requests.AuthorizedSession(_credentials(google, options), max_refresh_attempts=1)
    session.verify = verify(options)
    session.mount(
        options.endpoint, requests.adapters.HTTPAdapter(pool_maxsize=max(32, 4 * options.parallel), max_retries=0)
    )
    failures = (requests.RequestException, auth.exceptions.TransportError, OSError)
    return Bucket(session, options, failures, (auth.exceptions.GoogleAuthError,))


def _credentials(google: Any, options: GcsOptions) -> Any:
    given = [n for n in ("credentials_file", "service_account_key", "access_token") if getattr(options, n)]
    if len(given) > 1:
        raise ConfigError(f"Bucket {options.bucket!r}: {' and '.join(given)} are set.", "Set only one of them.")
    if options.access_token:
        return google.oauth2.credentials.Credentials(options.access_token)
    try:
        if options.service_account_key:
            key = json.loads(options.service_account_key)
            return google.oauth2.service_account.Credentials.from_service_account_info(key, scopes=[_SCOPE])
        if options.credentials_file:
            return google.auth.load_credentials_from_file(options.credentials_file, scopes=[_SCOPE])[0]
    except (OSError, ValueError, google.auth.exceptions.GoogleAuthError) as exc:
        # Without a cause: the libraries' messages may quote the key.
        raise ConfigError(
            f"Bucket {options.bucket!r}: {given[0]} cannot be used ({type(exc).__name__}).",
            "Use a service account key in JSON, as Google Cloud issues it.",
        ) from None
    try:
        return google.auth.default(scopes=[_SCOPE])[0]
    except google.auth.exceptions.GoogleAuthError as exc:
        raise StoreAccessDenied(
            f"Bucket {options.bucket!r}: no usable credentials were found ({exc}).",
            "Set credentials_file or service_account_key, or set up application default credentials on this host.",
            store=options.endpoint,
        ) from exc


def _json(answer: Any) -> Dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def received(answer: Any) -> Optional[int]:
    """How many bytes a resumable upload has received, by a 308; without any, ``Range`` is absent."""
    if answer.status_code != 308:
        return None
    said = str(answer.headers.get("range", ""))
    return int(said.rpartition("-")[2]) + 1 if "-" in said else 0
