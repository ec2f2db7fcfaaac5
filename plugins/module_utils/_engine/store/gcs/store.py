# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket of Google Cloud Storage, below one prefix.

A put is conditional (``ifGenerationMatch=0``) and carries an MD5 that the service verifies; a long one is a resumable
upload. Requests are those of the JSON API's reference.
"""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Optional

from ...base.errors import ObjectCorrupt, ObjectMissing, StoreError
from ...config.cloud_options import GcsOptions
from ..checks import check_key, key_order, verified
from ..parts import PartsWriter, Schedule
from ..protocol import DeleteFailure, ObjectInfo, Unfinished, Written
from ..ranges import Fetched, read_ranges
from .client import connect
from .upload import MAX_CHUNKS, GcsUpload

_DELETE_BATCH = 1000
_FACTS = "name,size,timeCreated,md5Hash"


class GcsStore:
    """An upload holds at most ``part_size * 3`` bytes; methods may be called from several threads."""

    def __init__(self, options: GcsOptions) -> None:
        self._bucket = connect(options)
        prefix = options.prefix.strip("/")
        self._prefix = f"{prefix}/" if prefix else ""

    @property
    def location(self) -> str:
        """``gs://bucket/prefix``."""
        return self._bucket.options.location

    def put(self, key: str, data: bytes) -> Written:
        """Put the object and its metadata in one request, create-only."""
        with self.writer(key) as writer:
            writer.write(bytes(data))
            return writer.commit()

    def writer(self, key: str) -> PartsWriter:
        """A streaming put. A resumable upload accepts bytes in order only, so one chunk is in flight at a time."""
        schedule = Schedule(self._bucket.options.part_size, MAX_CHUNKS)
        return PartsWriter(key, GcsUpload(self._bucket, self._full(key)), schedule, 1)

    def get(self, key: str) -> bytes:
        """The whole object in one request."""
        return self._fetch(self._full(key), 0, None, "").data

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """Chunks of half a part, at most 8 MiB; holds at most ``part_size * (parallel + 1)`` bytes.

        Half, because the HTTP client holds received data twice while assembling it.
        A wrong ``size`` is raised before the first chunk, a wrong ``sha256`` after the last one.
        """
        what, full, options = f"{self.location}/{key}", self._full(key), self._bucket.options

        def part(first: int, length: Optional[int], generation: str) -> Fetched:
            return self._fetch(full, first, length, generation)

        return verified(read_ranges(part, options.part_size // 2, options.parallel, what, size), what, sha256, size)

    def head(self, key: str) -> Optional[ObjectInfo]:
        """The object's metadata. A 404 is only believed if the bucket itself responds."""
        full = self._full(key)
        try:
            return self._info(self._bucket.call("GET", full, params={"fields": _FACTS}).json())
        except ObjectMissing:
            return None

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """Page by page, in key order."""
        params = {"startOffset": self._prefix + start_after} if start_after else {}
        after = key_order(start_after)
        for page in self._pages(prefix, fields=f"nextPageToken,items({_FACTS})", **params):
            for info in map(self._info, page.get("items", [])):
                if key_order(info.key) > after:
                    yield info

    def list_names(self, prefix: str) -> Iterator[str]:
        """A listing with a delimiter. Holds all names of the level in memory, to sort them."""
        names: List[str] = []
        skip = len(self._prefix) + len(prefix)
        for page in self._pages(prefix, delimiter="/", fields="nextPageToken,prefixes,items(name)"):
            names += [item["name"][skip:] for item in page.get("items", [])]
            names += [name[skip:] for name in page.get("prefixes", [])]
        return iter(sorted(filter(None, names), key=key_order))

    def delete(self, keys: Iterable[str]) -> List[DeleteFailure]:
        """One request for each object, ``parallel`` at a time; with soft delete or versioning they can be restored."""
        failures: List[DeleteFailure] = []
        remaining = iter(keys)
        with ThreadPoolExecutor(self._bucket.options.parallel, "lifeboat-delete") as pool:
            while batch := [self._full(key) for key in islice(remaining, _DELETE_BATCH)]:
                for full, reason in zip(batch, pool.map(self._delete, batch)):
                    if reason:
                        failures.append(DeleteFailure(full[len(self._prefix) :], reason))
        return failures

    def unfinished(self, prefix: str) -> Iterator[Unfinished]:
        """None: the service ends uploads after a week."""
        return iter(())

    def drop(self, upload: Unfinished) -> None:
        """Nothing to abort."""

    def clock(self) -> datetime:
        """The ``Date`` of a response to a listing (RFC 9110)."""
        said = self._bucket.call("GET", "", params={"prefix": self._prefix, "maxResults": "1"}).headers.get("date", "")
        try:
            return parsedate_to_datetime(said).astimezone(timezone.utc)
        except (TypeError, ValueError) as exc:
            raise StoreError(
                f"The store at {self._bucket.options.endpoint} responds without a date ({said!r}).",
                "Look for a proxy that removes it: every HTTP server with a clock sends one.",
                store=self._bucket.options.endpoint,
            ) from exc

    def close(self) -> None:
        """Close the pooled connections."""
        self._bucket.close()

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _fetch(self, full: str, first: int, length: Optional[int], generation: str) -> Fetched:
        params = {"alt": "media", **({"generation": generation} if generation else {})}
        headers = {"Accept-Encoding": "identity"}
        if length is not None:
            headers["Range"] = f"bytes={first}-{first + length - 1}"
        try:
            answer = self._bucket.call("GET", full, params=params, headers=headers)
        except ObjectMissing as exc:
            if not generation:
                raise
            raise ObjectCorrupt(
                f"{self._bucket.options.location}: {full!r} was replaced or removed while it was read.",
                "Find out who else writes to the repository.",
                **exc.details,
            ) from exc
        total = str(answer.headers.get("content-range", "")).rpartition("/")[2]
        if length is not None and not total.isdigit() and len(answer.content) > length:
            raise StoreError(
                f"The store at {self._bucket.options.endpoint} ignored the range {headers['Range']} of {full!r}.",
                "Use a store that supports HTTP ranges.",
                store=self._bucket.options.endpoint, key=full, operation="GET",
            )  # fmt: skip
        size = int(total) if total.isdigit() else len(answer.content)
        return Fetched(answer.content, answer.headers.get("x-goog-generation", ""), size)

    def _delete(self, full: str) -> str:
        """Why it could not be deleted; empty if it is gone."""
        try:
            self._bucket.call("DELETE", full)
        except ObjectMissing:
            return ""
        except StoreError as exc:
            if not exc.details.get("http_status") or exc.details["http_status"] >= 500:
                raise
            return exc.message
        return ""

    def _pages(self, prefix: str, **params: str) -> Iterator[Dict[str, Any]]:
        """Each page below the relative ``prefix``."""
        asked = {"prefix": self._prefix + prefix, **params}
        while True:
            page: Dict[str, Any] = self._bucket.call("GET", "", params=asked).json()
            yield page
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    def _info(self, item: Dict[str, Any]) -> ObjectInfo:
        # Python before 3.11 cannot parse "Z", and only fractions of 3 or 6 digits: seconds are enough.
        created = datetime.fromisoformat(item["timeCreated"][:19] + "+00:00")
        md5 = base64.b64decode(item["md5Hash"]).hex() if item.get("md5Hash") else None
        return ObjectInfo(item["name"][len(self._prefix) :], int(item.get("size", 0)), created, md5)
