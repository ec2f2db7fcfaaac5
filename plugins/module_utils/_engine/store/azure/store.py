# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container of Azure Blob Storage, below one prefix.

A put is conditional (``If-None-Match: *``) and carries an MD5 that the store verifies; a long one consists of blocks
(``Put Block``) that ``Put Block List`` joins. Blocks of an abandoned upload are never visible, and the service removes
them after a week. Operations are those of the Blob service REST API.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Optional

from ...base.errors import ObjectExists, ObjectMissing, StoreAccessDenied, StoreError
from ...config.cloud_options import AzureOptions
from ..checks import check_key, key_order, verified
from ..parts import PartsWriter, Schedule
from ..protocol import DeleteFailure, ObjectInfo, Unfinished, Written
from ..ranges import Fetched, read_ranges
from .client import Container, connect

_MAX_BLOCKS = 50_000  # of one blob
_DELETE_BATCH = 256  # of one Blob Batch
_PAGE = 5000  # the most that one List Blobs returns
_TOKEN = "lifeboat_put"  # noqa: S105 - the name of metadata, which must be an identifier


class AzureStore:
    """For the memory of one transfer see :class:`PartsWriter`; methods may be called from several threads."""

    def __init__(self, options: AzureOptions) -> None:
        self._container = connect(options)
        prefix = options.prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def location(self) -> str:
        """The URL of the container and prefix."""
        return self._container.options.location

    def put(self, key: str, data: bytes) -> Written:
        """One ``Put Blob``, create-only."""
        with self.writer(key) as writer:
            writer.write(bytes(data))
            return writer.commit()

    def writer(self, key: str) -> PartsWriter:
        """A streaming put; see :class:`PartsWriter` for its parts and its memory."""
        options = self._container.options
        upload = _AzureUpload(self._container, self._full(key))
        return PartsWriter(key, upload, Schedule(options.part_size, _MAX_BLOCKS), options.parallel)

    def get(self, key: str) -> bytes:
        """The whole blob in one ``Get Blob``."""
        return self._fetch(self._full(key), 0, None, "").data

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """Chunks of half a part, at most 8 MiB; holds at most ``part_size * (parallel + 1)`` bytes.

        Half, because the HTTP client holds received data twice while assembling it.
        A wrong ``size`` is raised before the first chunk, a wrong ``sha256`` after the last one.
        """
        what, full, options = f"{self.location}/{key}", self._full(key), self._container.options

        def part(first: int, length: Optional[int], etag: str) -> Fetched:
            return self._fetch(full, first, length, etag)

        return verified(read_ranges(part, options.part_size // 2, options.parallel, what, size), what, sha256, size)

    def head(self, key: str) -> Optional[ObjectInfo]:
        """``Get Blob Properties``; None only if the service responds ``BlobNotFound``."""
        full = self._full(key)
        try:
            with self._container.doing("Get Blob Properties", full):
                found = self._container.blob(full).get_blob_properties()
        except ObjectMissing:
            return None
        return _info(key, found)

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """``List Blobs``, page by page, in the service's order.

        That is key order; a storage account with a hierarchical namespace sorts by directory. Blobs before
        ``start_after`` are listed as well, and skipped here.
        """
        after = key_order(start_after)
        with self._container.doing("List Blobs", ""):
            for item in self._container.client.list_blobs(self._prefix + prefix, results_per_page=_PAGE):
                key = item.name[len(self._prefix) :]
                if key_order(key) > after:
                    yield _info(key, item)

    def list_names(self, prefix: str) -> Iterator[str]:
        """``List Blobs`` with a delimiter. Holds all names of the level in memory, to sort them."""
        below = self._prefix + prefix
        with self._container.doing("List Blobs", ""):
            names = [item.name[len(below) :] for item in self._container.client.walk_blobs(below)]
        return iter(sorted(filter(None, names), key=key_order))

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """``Blob Batch``, 256 at a time; with soft delete or versions, deleted blobs can still be restored."""
        failures: List[DeleteFailure] = []
        remaining = iter(keys)
        while batch := [self._full(key) for key in islice(remaining, _DELETE_BATCH)]:
            with self._container.doing("Blob Batch", ""):
                answers = self._container.client.delete_blobs(
                    *batch, delete_snapshots="include", raise_on_any_failure=False
                )
                for full, answer in zip(batch, answers):
                    if answer.status_code not in (202, 404):
                        said = answer.headers.get("x-ms-error-code") or answer.reason
                        failures.append(DeleteFailure(full[len(self._prefix) :], f"HTTP {answer.status_code}: {said}"))
        return failures

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: the service removes the blocks of abandoned uploads after a week."""
        return iter(())

    def drop(self, upload: Unfinished) -> None:
        """Nothing to abort."""

    def clock(self) -> datetime:
        """The ``Date`` of a response to ``List Blobs`` (RFC 9110)."""
        said: List[str] = []

        def note(response: Any) -> None:
            said.append(response.http_response.headers.get("date", ""))

        with self._container.doing("List Blobs", ""):
            listing = self._container.client.list_blobs(self._prefix, results_per_page=1, raw_response_hook=note)
            next(iter(listing), None)
        try:
            return parsedate_to_datetime(said[0]).astimezone(timezone.utc)
        except (IndexError, TypeError, ValueError) as exc:
            raise StoreError(
                f"The store at {self._container.options.endpoint} responds without a date ({said!r}).",
                "Look for a proxy that removes it: every HTTP server with a clock sends one.",
                store=self._container.options.endpoint,
            ) from exc

    def close(self) -> None:
        """Close the pooled connections."""
        self._container.close()

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _fetch(self, full: str, first: int, length: Optional[int], etag: str) -> Fetched:
        pinned: Dict[str, Any] = {}
        if etag:
            pinned = {"etag": etag, "match_condition": self._container.sdk.match_conditions.IfNotModified}
        ranged: Dict[str, Any] = {} if length is None else {"offset": first, "length": length}
        with self._container.doing("Get Blob", full):
            found = self._container.blob(full).download_blob(max_concurrency=1, **ranged, **pinned)
            data = found.readall()
        return Fetched(data, found.properties.etag, _whole_size(found))


def _whole_size(found: Any) -> int:
    """The size of the blob, not of the range: the last number of ``Content-Range``."""
    total = str(found.properties.content_range or "").rpartition("/")[2]
    return int(total) if total.isdigit() else int(found.properties.size)


def _info(key: str, found: Any) -> ObjectInfo:
    modified: datetime = found.last_modified
    md5 = found.content_settings.content_md5
    return ObjectInfo(key, int(found.size), modified.astimezone(timezone.utc), bytes(md5).hex() if md5 else None)


class _AzureUpload:
    """One put of one blob. Block names are unique to it, so that blocks of other uploads are never mixed in."""

    def __init__(self, container: Container, full: str) -> None:
        self._container, self._full = container, full
        self._token = secrets.token_hex(16)

    def put(self, data: bytes, sha256: str) -> None:
        try:
            with self._settled("Put Blob"):
                self._container.blob(self._full).upload_blob(
                    data,
                    length=len(data),
                    overwrite=False,
                    validate_content=True,
                    max_concurrency=1,
                    metadata={_TOKEN: self._token},
                    **self._container.tier(),
                )
        except ObjectExists:
            if self._found() is not None:
                raise
            # Leftover blocks of another upload may count as a blob here, but not for Put Block List.
            self.complete([self.send(1, data, last=True)] if data else [])

    def begin(self) -> None:
        """Nothing to do: blocks need no session."""

    def send(self, number: int, data: bytes, last: bool) -> str:
        block = base64.b64encode(f"{self._token}{number:08d}".encode()).decode()
        with self._container.doing("Put Block", self._full):
            self._container.blob(self._full).stage_block(block, data, length=len(data), validate_content=True)
        return block

    def complete(self, parts: List[Any]) -> None:
        with self._settled("Put Block List"):
            self._container.blob(self._full).commit_block_list(
                [self._container.sdk.blob_block(block_id=block) for block in parts],
                match_condition=self._container.sdk.match_conditions.IfMissing,
                metadata={_TOKEN: self._token},
                **self._container.tier(),
            )

    def drop(self) -> None:
        """Nothing to do: the service removes the blocks."""

    @contextlib.contextmanager
    def _settled(self, operation: str) -> Iterator[None]:
        """Success if a retry found what the first attempt stored; ``ObjectExists`` otherwise."""
        try:
            with self._container.doing(operation, self._full, writes=True):
                yield
        except StoreError as exc:
            # The blocks are gone after a commit, so a repeated commit may report that too; and create-only credentials
            # get 403 if the blob exists.
            denied = isinstance(exc, StoreAccessDenied)
            if not isinstance(exc, ObjectExists) and not denied and exc.details.get("code") != "InvalidBlockList":
                raise
            found = self._found()
            if found is None:
                raise
            if (found.metadata or {}).get(_TOKEN) != self._token:
                raise ObjectExists(exc.message, "Nothing was overwritten.", **exc.details) from exc

    def _found(self) -> Any:
        """The properties of the existing blob, or None."""
        with contextlib.suppress(ObjectMissing), self._container.doing("Get Blob Properties", self._full):
            return self._container.blob(self._full).get_blob_properties()
        return None
