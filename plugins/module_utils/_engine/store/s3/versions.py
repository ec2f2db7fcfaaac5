# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A versioned bucket as of a past time, beneath everything deleted and overwritten since.

With the writer's keys one can hide an object (with a delete marker) or overwrite it, but in a versioned bucket the
former version remains. The time of a version is when it was put, according to the store (:mod:`.version_time`): nothing
in the object itself counts (label, record, metadata), and renewing a lock changes nothing. This store is read-only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple, Union

from ...base.errors import NotVersioned, ObjectMissing, StoreError, StoreReadOnly
from ...config.load import S3Options
from ...records.model import format_time
from ..checks import check_key, key_order, verified
from ..protocol import ObjectInfo
from ..ranges import Fetched, read_ranges
from ..read_only import OnlyRead
from .client import connect
from .download import fetch
from .store import S3Store
from .version_time import put_at, tell_times

# How many versions to sample to find out whether ids encode times.
_SAMPLE = 100


@dataclass(frozen=True)
class Version:
    """One version of an object, or a delete marker. ``modified`` is when it was put, according to the store."""

    key: str
    id: str
    modified: datetime
    size: int = 0
    marker: bool = False


def as_it_was(versions: Iterable[Version], moment: datetime) -> Dict[str, Version]:
    """What existed at the moment, by key: the newest version of each until then, unless it is a delete marker. Pure.

    Of several at the same time (many stores have a resolution of a second) the first one listed is the newest; objects
    take precedence over markers, because it is better to see too much of the past than too little.
    """
    newest: Dict[str, Version] = {}
    for version in versions:
        if version.modified > moment:
            continue
        known = newest.get(version.key)
        if (
            known is None
            or version.modified > known.modified
            or (version.modified == known.modified and known.marker and not version.marker)
        ):
            newest[version.key] = version
    return {key: version for key, version in newest.items() if not version.marker}


def replaced(versions: Iterable[Version]) -> List[Version]:
    """Of each key the second version that was put, where there are two; markers are no versions. Pure."""
    by_key: Dict[str, List[Version]] = {}
    for version in versions:
        if not version.marker:
            by_key.setdefault(version.key, []).append(version)
    return [sorted(found, key=lambda v: v.modified)[1] for found in by_key.values() if len(found) > 1]


class S3StoreAsOf(OnlyRead):
    """The bucket of these options as it was at ``moment`` (aware).

    Memory: about 300 bytes for each version in one "directory". Each directory is listed separately: SeaweedFS 4.48
    lists a bucket by directory but continues pages by key, and where these orders differ (``2/x``, ``2.history``), a
    listing over several pages skips keys.
    """

    def __init__(self, options: S3Options, moment: datetime) -> None:
        self._now = S3Store(options)
        self._connection = connect(options)
        self._moment = moment
        self._prefix = self._connection.prefix
        self._versioned = False
        self._ids_tell_times: Optional[bool] = None

    @property
    def location(self) -> str:
        """``s3://bucket/prefix as of TIME``."""
        return f"{self._now.location} as of {format_time(self._moment)}"

    def get(self, key: str) -> bytes:
        """``GetObject`` of the version."""
        version = self._require(key)
        return fetch(self._connection, self._full(key), version=version.id).data

    def read(self, key: str, sha256: Optional[str] = None, size: Optional[int] = None) -> Iterator[bytes]:
        """As :meth:`S3Store.read`, of the version."""
        what, full, options = f"{self.location}/{key}", self._full(key), self._connection.options
        version = self._require(key)

        def part(first: int, length: Optional[int], etag: str) -> Fetched:
            return fetch(self._connection, full, first, length, etag, version.id)

        return verified(read_ranges(part, options.part_size, options.parallel, what, size), what, sha256, size)

    def head(self, key: str) -> Optional[ObjectInfo]:
        """The facts of the version, from the list of its versions."""
        version = self._find(key)
        return ObjectInfo(key, version.size, version.modified) if version else None

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        """``ListObjectVersions`` of each "directory", in key order."""
        for version in self._walk(prefix):
            if version.key > start_after:
                yield ObjectInfo(version.key, version.size, version.modified)

    def list_names(self, prefix: str) -> Iterator[str]:
        """Includes a "directory" only if it had an object then: everything in it may be newer."""
        found, directories = self._level(prefix)
        names = [*found, *(d for d in directories if next(self._walk(d), None) is not None)]
        return iter(sorted(filter(None, (name[len(prefix) :] for name in names)), key=key_order))

    def clock(self) -> datetime:
        """The current time."""
        return self._now.clock()

    def close(self) -> None:
        """Close the pooled connections."""
        self._now.close()
        self._connection.close()

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _find(self, key: str) -> Optional[Version]:
        check_key(key)
        return self._level(key)[0].get(key)

    def _require(self, key: str) -> Version:
        version = self._find(key)
        if version is None:
            raise ObjectMissing(
                f"{key} was not in {self.location}.", "Try another time, or another repository.", key=key
            )
        return version

    def _read_only(self, key: str) -> StoreReadOnly:
        return StoreReadOnly(
            f"Cannot write {key}: {self.location} is read-only.", "Omit as_of (--as-of) to write.", key=key
        )

    def _walk(self, prefix: str) -> Iterator[Version]:
        """The objects below the prefix, in key order. Not recursive: an attacker could plant keys of any depth."""
        levels = [self._entries(prefix)]
        while levels:
            entry = next(levels[-1], None)
            if entry is None:
                levels.pop()
            elif isinstance(entry, Version):
                yield entry
            else:
                levels.append(self._entries(entry))

    def _entries(self, prefix: str) -> Iterator[Union[Version, str]]:
        found, directories = self._level(prefix)
        return iter([found.get(name, name) for name in sorted([*found, *directories], key=key_order)])

    def _level(self, prefix: str) -> Tuple[Dict[str, Version], List[str]]:
        """The objects of one level, by key, and all its "directories"; keys relative to the store's prefix.

        A page may end between the versions of a key, so they are only compared after the last page.
        """
        versions, directories = self._versions(prefix)
        return as_it_was(versions, self._moment), directories

    def first_replaced(self, prefix: str) -> Optional[Version]:
        """The earliest version below the prefix that was put over another one: Lifeboat replaces nothing."""
        found: List[Version] = []
        waiting = [prefix]
        while waiting:
            versions, directories = self._versions(waiting.pop())
            found += replaced(versions)
            waiting += directories
        return min(found, key=lambda version: (version.modified, version.key), default=None)

    def _versions(self, prefix: str) -> Tuple[List[Version], List[str]]:
        """All versions of the objects of one level, whenever they were put, and its "directories"."""
        self._require_versioned()
        params: Dict[str, Any] = {"Prefix": self._prefix + prefix, "Delimiter": "/"}
        timed = self._told_by_ids()
        versions: List[Version] = []
        directories: List[str] = []
        while True:
            page = self._connection.call("list_object_versions", **params)
            versions += [self._version(item, timed) for item in page.get("Versions", [])]
            versions += [self._version(item, timed, marker=True) for item in page.get("DeleteMarkers", [])]
            directories += [item["Prefix"][len(self._prefix) :] for item in page.get("CommonPrefixes", [])]
            if not page.get("IsTruncated"):
                return versions, directories
            params["KeyMarker"] = page["NextKeyMarker"]
            params.pop("VersionIdMarker", None)
            if page.get("NextVersionIdMarker"):
                params["VersionIdMarker"] = page["NextVersionIdMarker"]

    def _version(self, item: Dict[str, Any], timed: bool, marker: bool = False) -> Version:
        key, modified = item["Key"][len(self._prefix) :], item["LastModified"].astimezone(timezone.utc)
        put = put_at(item["VersionId"], modified) if timed else modified
        return Version(key, item["VersionId"], put, int(item.get("Size", 0)), marker)

    def _told_by_ids(self) -> bool:
        """Whether the version ids of this bucket encode times: determined once, from a sample."""
        if self._ids_tell_times is None:
            page = self._connection.call("list_object_versions", Prefix=self._prefix, MaxKeys=_SAMPLE)
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            self._ids_tell_times = tell_times((item["VersionId"], item["LastModified"]) for item in found)
        return self._ids_tell_times

    def _require_versioned(self) -> None:
        """NotVersioned if the bucket never kept versions; passes if the credentials do not allow the query."""
        if self._versioned:
            return
        try:
            status = self._connection.call("get_bucket_versioning").get("Status")
        except StoreError as exc:
            if exc.details.get("http_status") not in (403, 501):
                raise
            status = "unknown"
        if not status:
            raise NotVersioned(
                f"The bucket of {self._now.location} keeps no versions, so it cannot be read as of an earlier time.",
                "Use a repository that does, or omit as_of (--as-of). Enable versioning for the future, with the role"
                " lifeboat.postgres.repository.",
                store=self._now.location,
            )
        self._versioned = True
