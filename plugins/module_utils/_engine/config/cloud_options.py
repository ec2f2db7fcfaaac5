# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of stores that speak a protocol of their own: Azure Blob Storage and Google Cloud Storage.

Sizes are bytes, times seconds. Secrets are fields that ``repr`` hides.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Optional

from .option import option
from .traits import AnyStore, HttpStore, Traits, common_option


@dataclass(frozen=True)
class _Azure(AnyStore):
    """Account, container and credentials of Azure Blob Storage."""

    account: str = option("Storage account.")
    container: str = option("Container.")
    prefix: str = common_option("prefix")
    endpoint_url: Optional[str] = option(
        "URL of another cloud or an emulator, including the account if it is part of the path.", None
    )
    account_key: Optional[str] = option(
        "Key of the storage account. Without a key or SAS token, the credential chain of C(azure-identity) is used.",
        None,
        secret=True,
    )
    sas_token: Optional[str] = option(
        "Shared access signature for the container, instead of the key.", None, secret=True
    )
    # Not Archive: its blobs cannot be read until they are rehydrated, which takes hours.
    access_tier: Optional[str] = option("Tier of new blobs.", None, choices=("Hot", "Cool", "Cold"))


@dataclass(frozen=True)
class AzureOptions(HttpStore, _Azure):
    """A container of Azure Blob Storage. Without a key or SAS token the default chain of ``azure-identity`` is used.

    Plain HTTP to another machine is refused unless ``allow_http``, here and below.

    One transfer holds at most ``part_size * (parallel + 2)`` bytes in memory, more beyond
    a fifth of the parts that a store takes (``store/parts.py``).
    """

    TRAITS: typing.ClassVar[Traits] = Traits("azure", "container")

    @property
    def endpoint(self) -> str:
        """The URL of the account without a trailing slash; a bare host name means https, as in Azure's library."""
        url = (self.endpoint_url or f"{self.account}.blob.core.windows.net").rstrip("/")
        return url if "://" in url else f"https://{url}"

    @property
    def request_url(self) -> str:
        """Where requests go."""
        return self.endpoint

    @property
    def location(self) -> str:
        """The URL of the container and prefix, as Azure's tools accept it."""
        return "/".join(part for part in (self.endpoint, self.container, self.prefix.strip("/")) if part)


@dataclass(frozen=True)
class _Gcs(AnyStore):
    """Bucket and credentials of Google Cloud Storage."""

    bucket: str = option("Bucket.")
    prefix: str = common_option("prefix")
    endpoint_url: Optional[str] = option("URL of the JSON API, for an emulator.", None)
    credentials_file: Optional[str] = option(
        "File on the host with a service account's key or another credential configuration.", None, path=True
    )
    service_account_key: Optional[str] = option(
        "Text of a service account's key. Without any credentials, application default credentials are used.",
        None,
        secret=True,
    )
    access_token: Optional[str] = option("Access token. It expires within an hour.", None, secret=True)
    storage_class: Optional[str] = option("Storage class of new objects.", None)


@dataclass(frozen=True)
class GcsOptions(HttpStore, _Gcs):
    """A bucket of Google Cloud Storage. Without a key or token the application default credentials are used.

    ``service_account_key`` is the text of a JSON key, ``credentials_file`` a file with one (or with the configuration
    of workload identity federation). An upload is one stream: it holds at most ``part_size * 3`` bytes, a download
    ``part_size * (parallel + 1)``.
    """

    TRAITS: typing.ClassVar[Traits] = Traits("gcs", "container")

    @property
    def endpoint(self) -> str:
        """The URL of the JSON API, without a trailing slash."""
        return (self.endpoint_url or "https://storage.googleapis.com").rstrip("/")

    @property
    def request_url(self) -> str:
        """Where requests go."""
        return self.endpoint

    @property
    def location(self) -> str:
        """``gs://bucket/prefix``."""
        return f"gs://{self.bucket}/{self.prefix.strip('/')}".rstrip("/")
