# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a repository lies: the options of each kind of store."""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple, Union

from .cloud_options import AzureOptions, GcsOptions

MIB = 1024 * 1024


@dataclass(frozen=True)
class S3Options:
    """A bucket of any S3-compatible store. Without keys the standard credential chain of boto3 is used.

    Plain HTTP to another machine is refused unless ``allow_http``.

    With ``object_lock`` (``governance``, ``compliance``) each object is locked for as long as retention keeps it.

    Sizes are bytes, times seconds. One transfer holds at most ``part_size * (parallel + 2)`` bytes in memory.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: Optional[str] = None
    region: Optional[str] = None
    addressing_style: str = "auto"
    access_key_id: Optional[str] = None
    secret_access_key: Optional[str] = field(default=None, repr=False)
    session_token: Optional[str] = field(default=None, repr=False)
    profile: Optional[str] = None
    ca_bundle: Optional[str] = None
    validate_certs: bool = True
    allow_http: bool = False
    sse: Optional[str] = None
    sse_kms_key_id: Optional[str] = None
    storage_class: Optional[str] = None
    object_lock: Optional[str] = None
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    max_attempts: int = 6
    part_size: int = 16 * MIB
    parallel: int = 4

    CHOICES: typing.ClassVar[Mapping[str, Tuple[str, ...]]] = {
        "addressing_style": ("auto", "path", "virtual"),
        "sse": ("AES256", "aws:kms"),
        "object_lock": ("governance", "compliance"),
    }

    @property
    def endpoint(self) -> str:
        """The store, for people."""
        return self.endpoint_url or "AWS"

    @property
    def location(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix.strip('/')}".rstrip("/")


@dataclass(frozen=True)
class DirectoryOptions:
    """A directory that is already there: an NFS mount, a mounted cold disk."""

    path: str
    parallel: int = 4

    @property
    def endpoint(self) -> str:
        """The store, for people."""
        return "a directory"

    @property
    def location(self) -> str:
        """The directory."""
        return self.path


StoreOptions = Union[S3Options, DirectoryOptions, AzureOptions, GcsOptions]
STORE_TYPES: Mapping[str, Any] = {
    "s3": S3Options, "directory": DirectoryOptions, "azure": AzureOptions, "gcs": GcsOptions,
}  # fmt: skip
