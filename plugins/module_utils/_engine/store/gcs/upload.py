# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create-only puts into Google Cloud Storage: one request for small objects, a resumable upload for the others.

See "Resumable uploads" in the manual: chunks are sent in order, the last one states the size and creates the object.
After a failure the session reports how many bytes it has.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
from typing import Any, Dict, List

from ...base.errors import ObjectExists, ObjectMissing, StoreAccessDenied, StoreError, StoreUnavailable
from ..answers import back_off
from .client import REPEAT, Bucket, received

#: The service does not limit chunks; with the smallest parts, this allows far more than its 5 TiB per object.
MAX_CHUNKS = 1_000_000
_TOKEN = "lifeboat-put"  # noqa: S105 - the name of metadata
_CREATE_ONLY = {"ifGenerationMatch": "0"}


class GcsUpload:
    """One put of one object; ``send`` is called in order, from one thread at a time."""

    def __init__(self, bucket: Bucket, full: str) -> None:
        self._bucket, self._full = bucket, full
        self._token = secrets.token_hex(16)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._session, self._sent = "", 0

    def put(self, data: bytes, sha256: str) -> None:
        """Send the metadata, with the MD5, and the bytes (``uploadType=multipart``)."""
        self._md5.update(data)
        boundary = secrets.token_hex(16)
        facts = json.dumps({**self._facts(), "md5Hash": self._hash()})
        body = b"".join(
            (
                f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{facts}\r\n".encode(),
                f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(),
                data,
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )
        answer = self._bucket.ask(
            "POST",
            self._bucket.upload_url,
            self._full,
            params={"uploadType": "multipart", **_CREATE_ONLY},
            headers={"Content-Type": f"multipart/related; boundary={boundary}"},
            data=body,
        )
        self._judge(answer)

    def begin(self) -> None:
        """Start a session. The service tests the condition only when it creates the object, so test it first here."""
        with contextlib.suppress(ObjectMissing):
            self._bucket.call("GET", self._full, params={"fields": "name"})
            raise ObjectExists(
                f"The object {self._full!r} already exists in {self._bucket.options.location}.",
                "Nothing was overwritten.",
                store=self._bucket.options.endpoint, key=self._full, operation="POST",
            )  # fmt: skip
        answer = self._bucket.ask(
            "POST",
            self._bucket.upload_url,
            self._full,
            params={"uploadType": "resumable", "name": self._full, **_CREATE_ONLY},
            json=self._facts(),
        )
        if answer.status_code >= 400:
            raise self._bucket.refusal(answer, "POST", self._full, writes=True)
        self._session = answer.headers["location"]

    def send(self, number: int, data: bytes, last: bool) -> None:
        """Send one chunk; after a failure only the bytes that the service lacks."""
        self._md5.update(data)
        first, end = self._sent, self._sent + len(data)
        total = str(end) if last else "*"
        attempt = 0
        while True:
            answer = self._once(data[self._sent - first :], end, total)
            if answer is None or answer.status_code in REPEAT:
                attempt += 1
                back_off(attempt)
                answer = self._ask(total)
            has = received(answer)
            if has is None:
                return self._judge(answer)
            if has == end and not last:
                self._sent = end
                return None
            # Retry a stalled upload as often as one without a response.
            attempt += has <= self._sent
            if attempt >= self._bucket.options.max_attempts or not first <= has <= end:
                raise StoreUnavailable(
                    f"Upload of {self._full!r} to {self._bucket.options.location} is stuck at {has} of {end} bytes.",
                    "Check the health of the store, then try again.",
                    store=self._bucket.options.endpoint, key=self._full, operation="PUT",
                )  # fmt: skip
            self._sent = has

    def complete(self, parts: List[Any]) -> None:
        """Nothing to do: the last chunk created the object."""

    def drop(self) -> None:
        """Cancel the session; the service answers 499."""
        with contextlib.suppress(StoreError):
            self._bucket.ask("DELETE", self._session, self._full, headers={"Content-Length": "0"})

    def _once(self, data: bytes, end: int, total: str) -> Any:
        """The response to the rest of a chunk; None if there was none."""
        headers = {"Content-Range": f"bytes {self._sent}-{end - 1}/{total}"}
        if total != "*":
            headers["X-Goog-Hash"] = f"md5={self._hash()}"
        try:
            return self._bucket.once("PUT", self._session, data=data, headers=headers)
        except self._bucket.failures:
            return None
        except self._bucket.refusals as exc:
            raise self._bucket.unauthorized(exc, "PUT", self._full) from exc

    def _ask(self, total: str) -> Any:
        """How many bytes the session has."""
        headers = {"Content-Range": f"bytes */{total}", "Content-Length": "0"}
        return self._bucket.ask("PUT", self._session, self._full, headers=headers)

    def _facts(self) -> Dict[str, Any]:
        facts: Dict[str, Any] = {"name": self._full, "metadata": {_TOKEN: self._token}}
        if self._bucket.options.storage_class:
            facts["storageClass"] = self._bucket.options.storage_class
        return facts

    def _hash(self) -> str:
        return base64.b64encode(self._md5.digest()).decode()

    def _judge(self, answer: Any) -> None:
        """Success, also if a retry found what its first attempt stored; the stored bytes must be those sent."""
        if answer.status_code >= 400:
            refusal = self._bucket.refusal(answer, "POST", self._full, writes=True)
            # A session that has created its object may be gone (404, 410) when queried again; and create-only
            # credentials get 403 if the object exists.
            if not isinstance(refusal, ObjectExists) and answer.status_code not in (403, 404, 410):
                raise refusal
            try:
                found = self._bucket.call("GET", self._full, params={"fields": "metadata,md5Hash,generation"}).json()
            except (ObjectMissing, StoreAccessDenied):
                raise refusal from None
            if (found.get("metadata") or {}).get(_TOKEN) != self._token:
                raise ObjectExists(refusal.message, "Nothing was overwritten.", **refusal.details)
        else:
            found = answer.json()
        kept, ours = found.get("md5Hash"), self._hash()
        if kept not in (None, ours):
            self._bucket.call("DELETE", self._full, params={"ifGenerationMatch": found["generation"]})
            raise StoreError(
                f"{self._full!r} in {self._bucket.options.location} has the MD5 {kept} instead of {ours}.",
                "Check the network and any proxy, which damaged the data in transit, then try again.",
                store=self._bucket.options.endpoint, key=self._full, operation="POST",
            )  # fmt: skip
