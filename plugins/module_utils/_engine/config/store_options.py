# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a repository is stored: the options of each kind of store."""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Union

from .cloud_options import AzureOptions, GcsOptions
from .option import option
from .traits import AnyStore, HttpStore, Traits, common_option


@dataclass(frozen=True)
class _S3(AnyStore):
    """Bucket, credentials and storage settings of S3."""

    bucket: str = option("Bucket.")
    prefix: str = common_option("prefix")
    endpoint_url: Optional[str] = option("URL of the store. Default: AWS.", None)
    region: Optional[str] = option("Region.", None)
    addressing_style: str = option(
        "Where the bucket's name goes: in the path or the host name.", "auto", choices=("auto", "path", "virtual")
    )
    access_key_id: Optional[str] = option("Access key. Default: boto3's credential chain.", None)
    secret_access_key: Optional[str] = option("Secret of the access key.", None, secret=True)
    session_token: Optional[str] = option("Token of temporary credentials.", None, secret=True)
    profile: Optional[str] = option("Profile of the AWS configuration files.", None)
    sse: Optional[str] = option("Encryption at rest.", None, choices=("AES256", "aws:kms"))
    sse_kms_key_id: Optional[str] = option("KMS key for V(aws:kms).", None)
    storage_class: Optional[str] = option("Storage class of new objects.", None)
    object_lock: Optional[str] = option(
        "Lock each object for as long as retention keeps it. The bucket needs Object Lock. Nobody can end a "
        "V(compliance) lock early; a V(governance) lock can be ended with C(s3:BypassGovernanceRetention).",
        None,
        choices=("governance", "compliance"),
    )


#: S3 gives back objects of these classes hours after RestoreObject ("Understanding archive storage classes").
ARCHIVE_CLASSES = ("GLACIER", "DEEP_ARCHIVE")


@dataclass(frozen=True)
class S3Options(HttpStore, _S3):
    """A bucket of any S3-compatible store. Without keys the standard credential chain of boto3 is used.

    Plain HTTP to another machine is refused unless ``allow_http``.

    With ``object_lock`` (``governance``, ``compliance``) each object is locked for as long as retention keeps it.

    Sizes are bytes, times seconds. One transfer holds at most ``part_size * (parallel + 2)`` bytes in memory, more
    beyond a fifth of the parts that a store takes (``store/parts.py``).
    """

    TRAITS: typing.ClassVar[Traits] = Traits("s3", "bucket", versions=True)

    @property
    def request_url(self) -> Optional[str]:
        """The URL of requests; None: AWS, or the URL of the environment, which the client itself checks."""
        return self.endpoint_url

    @property
    def lock_mode(self) -> str:
        """``governance`` or ``compliance``; "" if objects are not locked."""
        return self.object_lock or ""

    @property
    def endpoint(self) -> str:
        """The store, for people."""
        return self.endpoint_url or "AWS"

    @property
    def location(self) -> str:
        """``s3://bucket/prefix``."""
        return f"s3://{self.bucket}/{self.prefix.strip('/')}".rstrip("/")


@dataclass(frozen=True)
class DirectoryOptions(AnyStore):
    """An existing directory, such as an NFS mount or a mounted cold disk."""

    path: str = option("Existing directory, such as an NFS mount or a mounted disk.", path=True)
    parallel: int = common_option("parallel")

    TRAITS: typing.ClassVar[Traits] = Traits("directory", "directory", network=False)

    @property
    def endpoint(self) -> str:
        """The store, for people."""
        return "a directory"

    @property
    def location(self) -> str:
        """The path of the directory."""
        return self.path


StoreOptions = Union[S3Options, DirectoryOptions, AzureOptions, GcsOptions]
STORE_TYPES: Mapping[str, Any] = {
    cls.TRAITS.name: cls for cls in (S3Options, DirectoryOptions, AzureOptions, GcsOptions)
}
