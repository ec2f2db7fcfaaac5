# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create-only puts: one request for small objects, parallel parts for the others.

The answer to a put may be lost after the store has kept the object; the repeated request then meets it and is told
412. So every object carries a random token in its metadata: when a *repeated* put is refused, the token says whether
the object is ours. A rival's object of equal content is still ``ObjectExists``.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Deque, Dict, List, Optional

from ..config import MIB
from ..errors import ConfigError, ObjectExists, ObjectMissing, StoreError, StoreUnavailable
from .protocol import Written
from .s3_client import Connection, checksum_params

#: S3's limit ("Amazon S3 multipart upload limits"), and how many of them a size hint may plan to use.
MAX_PARTS = 10_000
_PLANNED_PARTS = 9_000
_METADATA = "lifeboat-put"


def part_size_for(part_size: int, size_hint: Optional[int]) -> int:
    """The part size in bytes: the configured one, or as many whole MiB as an object of ``size_hint`` bytes needs."""
    needed = -(-(size_hint or 0) // _PLANNED_PARTS)
    return max(part_size, -(-needed // MIB) * MIB)


def put_small(connection: Connection, key: str, name: str, data: bytes, sha256: Optional[str] = None) -> Written:
    """Store ``data`` under the full key by one ``PutObject``; ``name`` is the key that the caller knows."""
    token = secrets.token_hex(16)
    try:
        connection.call_create_only(
            "put_object",
            key,
            Body=data,
            Metadata={_METADATA: token},
            **checksum_params(data),
            **connection.object_params(),
        )
    except ObjectExists as exc:
        _settle(connection, key, token, exc)
    return Written(name, len(data), sha256 or hashlib.sha256(data).hexdigest())


def _settle(connection: Connection, key: str, token: str, refusal: StoreError) -> None:
    """Return when the object that a put met is the one that an earlier attempt of the same put stored, else raise."""
    conflict = refusal.details.get("code") == "ConditionalRequestConflict"
    if not conflict and not refusal.details.get("retries"):
        raise refusal
    try:
        found = connection.call("get_object", key, Range="bytes=0-0")
    except ObjectMissing:
        if isinstance(refusal, ObjectExists):
            raise StoreUnavailable(
                f"Another put of {key!r} in bucket {connection.place.bucket!r} was under way, and left no object.",
                "Try again.",
                **refusal.details,
            ) from refusal
        raise refusal from None
    found["Body"].close()
    if found.get("Metadata", {}).get(_METADATA) == token:
        return
    raise ObjectExists(refusal.message, refusal.hint or "Nothing was overwritten.", **refusal.details) from refusal


class S3Writer:
    """A streaming put. Up to one part it is one ``PutObject`` at commit, beyond that a multipart upload.

    Parts have equal sizes; ``parallel`` of them are on their way at once. Holds at most
    ``part_size * (parallel + 2)`` bytes, where ``part_size`` is what :func:`part_size_for` gives.
    """

    def __init__(self, connection: Connection, key: str, name: str, size_hint: Optional[int] = None) -> None:
        self._connection, self._key, self._name = connection, key, name
        self._part_size = part_size_for(connection.options.part_size, size_hint)
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._token = secrets.token_hex(16)
        self._upload_id: Optional[str] = None
        self._pool: Optional[ThreadPoolExecutor] = None
        self._pending: Deque[Future[Dict[str, Any]]] = deque()
        self._parts: List[Dict[str, Any]] = []
        self._written: Optional[Written] = None
        self._closed = False

    def write(self, data: bytes) -> int:
        """Take the next bytes; waits while ``parallel`` parts are on their way. A part's failure ends it here."""
        self._check_open()
        view = memoryview(data).cast("B")
        self._digest.update(view)
        self._size += len(view)
        taken = 0
        while taken < len(view):
            if len(self._buffer) == self._part_size:
                self._make_room()
            room = self._part_size - len(self._buffer)
            self._buffer += view[taken : taken + room]
            taken += min(room, len(view) - taken)
        return len(view)

    def commit(self) -> Written:
        """Make the object visible. On any failure the upload is aborted, so that nothing is left."""
        if self._written is not None:
            return self._written
        self._check_open()
        try:
            sha256 = self._digest.hexdigest()
            if self._upload_id is None:
                data = bytes(self._buffer)
                self._buffer.clear()
                put_small(self._connection, self._key, self._name, data, sha256)
            else:
                self._send_part()
                self._complete(self._upload_id)
        except BaseException:
            self._abort_after_failure()
            raise
        self._written = Written(self._name, self._size, sha256)
        self._close()
        return self._written

    def abort(self) -> None:
        """Wait for the parts on their way, then drop them all (``AbortMultipartUpload``)."""
        if self._closed:
            return
        self._close()
        if self._upload_id is not None:
            with contextlib.suppress(ObjectMissing):
                try:
                    self._connection.call("abort_multipart_upload", self._key, UploadId=self._upload_id)
                except StoreError as exc:
                    if exc.details.get("code") != "NoSuchUpload":
                        raise

    def __enter__(self) -> S3Writer:
        return self

    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None:
        if exc_type is not None:
            self._abort_after_failure()
        elif not self._closed:
            self.commit()

    def _abort_after_failure(self) -> None:
        # What failed first is what the caller must hear of; the store's lifecycle rules sweep what stays.
        with contextlib.suppress(StoreError):
            self.abort()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"The put of {self._name!r} has already ended.", "Open another writer.", key=self._name)

    def _close(self) -> None:
        self._closed = True
        self._buffer = bytearray()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _make_room(self) -> None:
        try:
            self._send_part()
        except BaseException:
            self._abort_after_failure()
            raise

    def _send_part(self) -> None:
        """Hand the buffer to a thread, beginning the upload with the first one."""
        number = len(self._parts) + len(self._pending) + 1
        if number > MAX_PARTS:
            raise ConfigError(
                f"{self._name!r} needs more than {MAX_PARTS} parts of part_size {self._part_size}.",
                f"Raise part_size: one object holds at most {MAX_PARTS} parts.",
                key=self._name,
                part_size=self._part_size,
            )
        if self._upload_id is None:
            self._begin()
        while len(self._pending) >= self._connection.options.parallel:
            self._parts.append(self._pending.popleft().result())
        data = bytes(self._buffer)
        self._buffer.clear()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._connection.options.parallel, "lifeboat-put")
        self._pending.append(self._pool.submit(self._upload_part, number, data))

    def _begin(self) -> None:
        answer = self._connection.call(
            "create_multipart_upload",
            self._key,
            ChecksumAlgorithm="CRC32",
            Metadata={_METADATA: self._token},
            **self._connection.object_params(),
        )
        self._upload_id = answer["UploadId"]

    def _upload_part(self, number: int, data: bytes) -> Dict[str, Any]:
        checksum = checksum_params(data)
        answer = self._connection.call(
            "upload_part", self._key, UploadId=self._upload_id, PartNumber=number, Body=data, **checksum
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum["ChecksumCRC32"]}

    def _complete(self, upload_id: str) -> None:
        while self._pending:
            self._parts.append(self._pending.popleft().result())
        try:
            self._connection.call_create_only(
                "complete_multipart_upload",
                self._key,
                UploadId=upload_id,
                MultipartUpload={"Parts": self._parts},
            )
        except StoreError as exc:
            # The upload is gone once it was completed, so a repeated request may be told that as well.
            if not isinstance(exc, ObjectExists) and exc.details.get("code") != "NoSuchUpload":
                raise
            _settle(self._connection, self._key, self._token, exc)
