# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of any S3-compatible store, below one prefix.

Every put is conditional (``If-None-Match: *``) and carries a CRC-32 that the store verifies. :mod:`.client` describes
retries and timeouts.

Among concurrent writers of a single-part object, exactly one wins in every store. For multipart objects, SeaweedFS 4.48
tests the condition just before completing them, not atomically: give such objects unique names.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from ...base.errors import ObjectMissing, StoreError
from ...config.load import S3Options
from ..checks import check_key, key_order, verified
from ..parts import PartsWriter
from ..protocol import DeleteFailure, ObjectInfo, Term, Unfinished, Written
from ..ranges import Fetched, read_ranges
from .client import connect
from .download import fetch
from .upload import abort_upload, put_small, unfinished, writer

_MD5 = re.compile(r"[0-9a-fA-F]{32}\Z")
_DELETE_BATCH = 1000  # S3's limit for one DeleteObjects


class S3Store:
    """For the memory of one transfer see :class:`PartsWriter`; methods may be called from several threads."""

    def __init__(self, options: S3Options, term: Optional[Term] = None) -> None:
        self._connection = connect(options, term)
        self._prefix = self._connection.prefix

    @property
    def location(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self._connection.options.bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, data: bytes) -> Written:
        """Store it with one ``PutObject``, create-only."""
        return put_small(self._connection, self._full(key), key, bytes(data))

    def writer(self, key: str) -> PartsWriter:
        """A streaming put; see :class:`PartsWriter` for its parts and its memory."""
        return writer(self._connection, self._full(key), key)

    def get(self, key: str) -> bytes:
        """The whole object in one ``GetObject``."""
        return fetch(self._connection, self._full(key)).data

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """Chunks of ``part_size``; holds at most ``part_size * (parallel + 1)`` bytes.

        A wrong ``size`` is raised before the first chunk, a wrong ``sha256`` after the last one.
        """
        what, full, options = f"{self.location}/{key}", self._full(key), self._connection.options

        def part(first: int, length: Optional[int], etag: str) -> Fetched:
            return fetch(self._connection, full, first, length, etag)

        return verified(read_ranges(part, options.part_size, options.parallel, what, size), what, sha256, size)

    def head(self, key: str) -> Optional[ObjectInfo]:
        """``HeadObject``. Its 404 has no body and may mean a missing bucket, so a ``GetObject`` must confirm it."""
        full = self._full(key)
        try:
            return _info(key, self._connection.call("head_object", full))
        except StoreError as exc:
            if exc.details.get("http_status") != 404:
                raise
        try:
            answer = self._connection.call("get_object", full)
        except ObjectMissing:
            return None
        answer["Body"].close()
        return _info(key, answer)

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """``ListObjectsV2``, page by page, in the store's order.

        That is key order with S3 and Ceph. SeaweedFS sorts by directory: ``a/x`` comes before ``a-b`` and ``a.b``, but
        keys that differ only in their last component are in key order.
        """
        extra = {"StartAfter": self._prefix + start_after} if start_after else {}
        for objects, _prefixes in self._pages(prefix, **extra):
            yield from (_info(self._relative(item["Key"]), item, "Size") for item in objects)

    def list_names(self, prefix: str) -> Iterator[str]:
        """``ListObjectsV2`` with a delimiter. Holds all names of the level in memory, to sort them.

        SeaweedFS still lists a directory for a while after its last object was deleted.
        """
        names: List[str] = []
        skip = len(self._prefix) + len(prefix)
        for objects, prefixes in self._pages(prefix, Delimiter="/"):
            names += [item["Key"][skip:] for item in objects]
            names += [item["Prefix"][skip:] for item in prefixes]
        return iter(sorted(filter(None, names), key=key_order))

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """``DeleteObjects``, 1000 at a time; in a versioned bucket this leaves delete markers."""
        failures: List[DeleteFailure] = []
        remaining = iter(keys)
        while batch := [{"Key": self._full(key)} for key in islice(remaining, _DELETE_BATCH)]:
            answer = self._connection.call("delete_objects", Delete={"Objects": batch, "Quiet": True})
            for error in answer.get("Errors", []):
                if error.get("Code") != "NoSuchKey":
                    reason = f"{error.get('Code', '')}: {error.get('Message', '')}"
                    failures.append(DeleteFailure(self._relative(error["Key"]), reason))
        return failures

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """``ListMultipartUploads``, and ``ListParts`` if the credentials allow it."""
        return unfinished(self._connection, self._prefix, prefix)

    def drop(self, upload: Unfinished) -> None:
        """``AbortMultipartUpload``."""
        abort_upload(self._connection, self._full(upload.key), upload.upload)

    def clock(self) -> datetime:
        """The ``Date`` of a response to ``ListObjectsV2`` (RFC 9110)."""
        answer = self._connection.call("list_objects_v2", Prefix=self._prefix, MaxKeys=1)
        said = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        try:
            return parsedate_to_datetime(said).astimezone(timezone.utc)
        except (TypeError, ValueError) as exc:
            raise StoreError(
                f"The store at {self._connection.place.endpoint} responds without a date ({said!r}).",
                "Look for a proxy that removes it: every HTTP server with a clock sends one.",
                store=self._connection.place.endpoint,
            ) from exc

    def close(self) -> None:
        """Close the pooled connections."""
        self._connection.close()

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _relative(self, key: str) -> str:
        return key[len(self._prefix) :]

    def _pages(self, prefix: str, **params: Any) -> Iterator[Tuple[List[Dict[str, Any]], List[Dict[str, Any]]]]:
        """The objects and the common prefixes of each page below the relative ``prefix``."""
        for page in self._connection.pages(prefix, **params):
            yield page.get("Contents", []), page.get("CommonPrefixes", [])


def _info(key: str, answer: Dict[str, Any], size_field: str = "ContentLength") -> ObjectInfo:
    modified: Optional[datetime] = answer.get("LastModified")
    if modified is None:
        raise StoreError(
            f"The store lists {key!r} without the time it was stored (Last-Modified).",
            "Look for a proxy that removes it: every S3 store sends it.",
            key=key,
        )
    etag = str(answer.get("ETag", "")).strip('"')
    # For a multipart object this is the MD5 of the parts' MD5s, and ends in their number.
    md5 = etag.lower() if _MD5.match(etag) else None
    return ObjectInfo(key, int(answer[size_field]), modified.astimezone(timezone.utc), md5)
