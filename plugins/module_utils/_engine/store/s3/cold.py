# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects in an archive class ("Working with archived objects"): ``RestoreObject`` makes a copy readable for days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Iterator, Optional

from ...base.errors import StoreError
from ...config.store_options import ARCHIVE_CLASSES, S3Options
from .client import connect

_ONGOING = re.compile(r'ongoing-request="(true|false)"')
_EXPIRY = re.compile(r'expiry-date="([^"]*)"')


@dataclass(frozen=True)
class ColdObject:
    """A listed object. ``archived``: its class is one of :data:`ARCHIVE_CLASSES`, so it may not be readable."""

    key: str
    size: int
    modified: datetime
    storage_class: str

    @property
    def archived(self) -> bool:
        return self.storage_class in ARCHIVE_CLASSES


@dataclass(frozen=True)
class Thawed:
    """Whether an object can be read (until ``until``, if that is known), or has been requested (``ongoing``)."""

    readable: bool
    ongoing: bool = False
    until: Optional[datetime] = None


def thawed(restore: Optional[str]) -> Thawed:
    """The state of an archived object by the header ``x-amz-restore`` of ``HeadObject``. Pure."""
    ongoing, expiry = (pattern.search(restore or "") for pattern in (_ONGOING, _EXPIRY))
    if ongoing is None:
        return Thawed(readable=False)
    until = None
    if expiry:
        try:
            until = parsedate_to_datetime(expiry.group(1)).astimezone(timezone.utc)
        except (TypeError, ValueError):
            pass
    return Thawed(ongoing.group(1) == "false", ongoing.group(1) == "true", until)


class S3Cold:
    """The objects below the options' prefix with their storage classes; for several threads."""

    def __init__(self, options: S3Options) -> None:
        self._connection = connect(options)
        self._prefix = self._connection.prefix

    def list(self, prefix: str) -> Iterator[ColdObject]:
        """``ListObjectsV2``, page by page."""
        for page in self._connection.pages(prefix):
            for item in page.get("Contents", []):
                modified = item["LastModified"].astimezone(timezone.utc)
                key = item["Key"][len(self._prefix) :]
                yield ColdObject(key, int(item["Size"]), modified, item.get("StorageClass", "STANDARD"))

    def state(self, key: str) -> Thawed:
        """``HeadObject`` of an archived object."""
        return thawed(self._connection.call("head_object", self._prefix + key).get("Restore"))

    def thaw(self, key: str, days: int, tier: str) -> None:
        """``RestoreObject``: request it, or keep the readable copy for that long. One under way is no error."""
        request = {"Days": days, "GlacierJobParameters": {"Tier": tier.capitalize()}}
        try:
            self._connection.call("restore_object", self._prefix + key, RestoreRequest=request)
        except StoreError as exc:
            if exc.details.get("code") != "RestoreAlreadyInProgress":
                raise

    def close(self) -> None:
        """Close the pooled connections."""
        self._connection.close()
