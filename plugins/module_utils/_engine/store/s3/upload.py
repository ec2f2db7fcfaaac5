# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create-only puts: one request for small objects, parallel parts (a multipart upload) for the others.

A retried put that finds its own object gets a 412; the token of :mod:`.parts` shows whether the object is its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
from datetime import datetime, timezone
from typing import Any, Dict, Iterator, List, Optional

from ...base.errors import BucketMissing, ObjectExists, ObjectMissing, StoreError, StoreUnavailable
from ..parts import REACH, PartsWriter, Schedule
from ..protocol import Unfinished, Written
from .client import Connection, checksum_params

#: S3's limit ("Amazon S3 multipart upload limits").
MAX_PARTS = 10_000
_METADATA = "lifeboat-put"


def put_small(connection: Connection, key: str, name: str, data: bytes, sha256: Optional[str] = None) -> Written:
    """Store ``data`` under the full key with one ``PutObject``; ``name`` is the key without the prefix."""
    token = secrets.token_hex(16)
    try:
        connection.call_create_only(
            "put_object",
            key,
            Body=data,
            Metadata={_METADATA: token},
            **checksum_params(data),
            **connection.object_params(),
            **connection.lock_params(name),
        )
    except ObjectExists as exc:
        _settle(connection, key, token, exc)
    return Written(name, len(data), sha256 or hashlib.sha256(data).hexdigest())


def _settle(connection: Connection, key: str, token: str, refusal: StoreError) -> None:
    """Return if the existing object was stored by an earlier attempt of the same put; otherwise raise."""
    conflict = refusal.details.get("code") == "ConditionalRequestConflict"
    if not conflict and not refusal.details.get("retries"):
        raise refusal
    try:
        found = connection.call("get_object", key, Range="bytes=0-0")
    except ObjectMissing:
        if isinstance(refusal, ObjectExists):
            raise StoreUnavailable(
                f"Another put of {key!r} in bucket {connection.place.bucket!r} was in progress, but left no object.",
                "Try again.",
                **refusal.details,
            ) from refusal
        raise refusal from None
    found["Body"].close()
    if found.get("Metadata", {}).get(_METADATA) == token:
        return
    raise ObjectExists(refusal.message, refusal.hint or "Nothing was overwritten.", **refusal.details) from refusal


def writer(connection: Connection, key: str, name: str) -> PartsWriter:
    """A streaming put of the full key; ``name`` is the key without the prefix."""
    options = connection.options
    schedule = Schedule(options.part_size, MAX_PARTS, REACH)
    return PartsWriter(name, _S3Upload(connection, key, name), schedule, options.parallel)


class _S3Upload:
    def __init__(self, connection: Connection, key: str, name: str) -> None:
        self._connection, self._key, self._name = connection, key, name
        self._token = secrets.token_hex(16)
        self._upload_id = ""

    def put(self, data: bytes, sha256: str) -> None:
        put_small(self._connection, self._key, self._name, data, sha256)

    def begin(self) -> None:
        answer = self._connection.call(
            "create_multipart_upload",
            self._key,
            ChecksumAlgorithm="CRC32",
            Metadata={_METADATA: self._token},
            **self._connection.object_params(),
            **self._connection.lock_params(self._name),
        )
        self._upload_id = answer["UploadId"]

    def send(self, number: int, data: bytes, last: bool) -> Dict[str, Any]:
        checksum = checksum_params(data)
        answer = self._connection.call(
            "upload_part", self._key, UploadId=self._upload_id, PartNumber=number, Body=data, **checksum
        )
        return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum["ChecksumCRC32"]}

    def complete(self, parts: List[Any]) -> None:
        try:
            self._connection.call_create_only(
                "complete_multipart_upload", self._key, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
        except StoreError as exc:
            # A completed upload no longer exists, so a retry may report that.
            if not isinstance(exc, ObjectExists) and exc.details.get("code") != "NoSuchUpload":
                raise
            _settle(self._connection, self._key, self._token, exc)

    def drop(self) -> None:
        abort_upload(self._connection, self._key, self._upload_id)


def abort_upload(connection: Connection, key: str, upload: str) -> None:
    """``AbortMultipartUpload`` of a full key; does nothing if it no longer exists."""
    with contextlib.suppress(ObjectMissing):
        try:
            connection.call("abort_multipart_upload", key, UploadId=upload)
        except StoreError as exc:
            if exc.details.get("code") != "NoSuchUpload":
                raise


def unfinished(connection: Connection, base: str, prefix: str) -> Iterator[Unfinished]:
    """The multipart uploads below ``base + prefix``, with keys relative to ``base``; none if the store lists none."""
    marker: Dict[str, str] = {}
    while True:
        try:
            page = connection.call("list_multipart_uploads", Prefix=base + prefix, **marker)
        except StoreError as exc:
            if isinstance(exc, (StoreUnavailable, BucketMissing)) and exc.details.get("http_status") != 501:
                raise
            return
        for found in page.get("Uploads", []):
            touched = _newest_part(connection, found["Key"], found["UploadId"])
            begun = found["Initiated"].astimezone(timezone.utc)
            yield Unfinished(found["Key"][len(base) :], found["UploadId"], begun, touched and max(touched, begun))
        if not page.get("IsTruncated"):
            return
        marker = {"KeyMarker": page["NextKeyMarker"], "UploadIdMarker": page["NextUploadIdMarker"]}


def _newest_part(connection: Connection, key: str, upload: str) -> Optional[datetime]:
    """When the newest part arrived; None if there is none yet, or the credentials cannot list parts."""
    newest: Optional[datetime] = None
    marker = 0
    while True:
        try:
            page = connection.call("list_parts", key, UploadId=upload, PartNumberMarker=marker)
        except StoreUnavailable:
            raise
        except StoreError:
            return None
        for part in page.get("Parts", []):
            newest = max(newest or part["LastModified"], part["LastModified"])
        if not page.get("IsTruncated"):
            return newest.astimezone(timezone.utc) if newest else None
        marker = page["NextPartNumberMarker"]
