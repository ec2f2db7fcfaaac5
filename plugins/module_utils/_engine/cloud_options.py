# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of stores that speak a protocol of their own: Azure Blob Storage and Google Cloud Storage.

Sizes are bytes, times seconds. Secrets are fields that ``repr`` hides.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass, field
from typing import Mapping, Optional, Tuple

MIB = 1024 * 1024


@dataclass(frozen=True)
class AzureOptions:
    """A container of Azure Blob Storage. Without a key or SAS token the default chain of ``azure-identity`` is used.

    One transfer holds at most ``part_size * (parallel + 2)`` bytes in memory.
    """

    account: str
    container: str
    prefix: str = ""
    endpoint_url: Optional[str] = None
    account_key: Optional[str] = field(default=None, repr=False)
    sas_token: Optional[str] = field(default=None, repr=False)
    access_tier: Optional[str] = None
    ca_bundle: Optional[str] = None
    validate_certs: bool = True
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    max_attempts: int = 6
    part_size: int = 16 * MIB
    parallel: int = 4

    # Archive is left out: such a blob cannot be read before it was brought back, which takes hours.
    CHOICES: typing.ClassVar[Mapping[str, Tuple[str, ...]]] = {"access_tier": ("Hot", "Cool", "Cold")}

    @property
    def endpoint(self) -> str:
        """The URL of the account, without a slash at its end."""
        return (self.endpoint_url or f"https://{self.account}.blob.core.windows.net").rstrip("/")

    @property
    def location(self) -> str:
        """The URL of the container and prefix, as Azure's own tools take it."""
        return "/".join(part for part in (self.endpoint, self.container, self.prefix.strip("/")) if part)


@dataclass(frozen=True)
class GcsOptions:
    """A bucket of Google Cloud Storage. Without a key or token the application default credentials are used.

    ``service_account_key`` is the text of a JSON key, ``credentials_file`` a file with one (or with the configuration
    of workload identity federation). An upload is one stream: it holds at most ``part_size * 3`` bytes, a download
    ``part_size * (parallel + 1)``.
    """

    bucket: str
    prefix: str = ""
    endpoint_url: Optional[str] = None
    credentials_file: Optional[str] = None
    service_account_key: Optional[str] = field(default=None, repr=False)
    access_token: Optional[str] = field(default=None, repr=False)
    storage_class: Optional[str] = None
    ca_bundle: Optional[str] = None
    validate_certs: bool = True
    connect_timeout: float = 5.0
    read_timeout: float = 30.0
    max_attempts: int = 6
    part_size: int = 16 * MIB
    parallel: int = 4

    @property
    def endpoint(self) -> str:
        """The URL of the JSON API, without a slash at its end."""
        return (self.endpoint_url or "https://storage.googleapis.com").rstrip("/")

    @property
    def location(self) -> str:
        """``gs://bucket/prefix``."""
        return f"gs://{self.bucket}/{self.prefix.strip('/')}".rstrip("/")
