# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create the client of one Azure container, and translate its failures.

For ``azure-storage-blob`` 12.14 (Debian 12) and newer. It retries requests after a 5xx, 408, reset or timeout, with
at most ``max_attempts`` attempts in total.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Dict, Iterator

from ...base.errors import (
    BucketMissing,
    ConfigError,
    LifeboatError,
    ObjectExists,
    ObjectMissing,
    StoreAccessDenied,
    StoreError,
)
from ...base.libraries import library
from ...config.cloud_options import AzureOptions
from ..answers import check_options, refused, unanswered, verify


@dataclass(frozen=True)
class Sdk:
    """The parts of the libraries that are used."""

    exceptions: Any
    match_conditions: Any
    blob_block: Any
    tier: Any


@dataclass(frozen=True)
class Container:
    """A thread-safe client of one container, and the exceptions that it raises."""

    client: Any
    options: AzureOptions
    sdk: Sdk

    def blob(self, full: str) -> Any:
        """The client of one blob; sends nothing."""
        return self.client.get_blob_client(full)

    def tier(self) -> Dict[str, Any]:
        """How new blobs are stored."""
        return {"standard_blob_tier": self.sdk.tier(self.options.access_tier)} if self.options.access_tier else {}

    @contextlib.contextmanager
    def doing(self, operation: str, full: str, writes: bool = False) -> Iterator[None]:
        """Translate failures of one REST operation on a full key (may be empty)."""
        try:
            yield
        except (self.sdk.exceptions.AzureError, OSError) as exc:
            raise _translated(exc, self, operation, full, writes) from exc

    def close(self) -> None:
        """Close the pooled connections."""
        self.client.close()


def connect(options: AzureOptions) -> Container:
    """Create the client; sends nothing. Options that cannot work are a ``ConfigError``."""
    blob = library("azure-storage-blob", "python3-azure-storage", "azure-storage-blob (PyPI)", "azure.storage.blob")
    core = library("azure-core", "python3-azure", "azure-core (PyPI)", "azure.core", "azure.core.exceptions")
    if options.account_key and options.sas_token:
        raise ConfigError(
            f"Container {options.container!r}: both account_key and sas_token are set.", "Set only one of them."
        )
    check_options(f"Container {options.container!r}", options)
    retries = blob.ExponentialRetry(
        initial_backoff=0, increment_base=2, retry_total=options.max_attempts - 1, random_jitter_range=1
    )
    try:
        client = blob.ContainerClient(
            options.endpoint,
            options.container,
            credential=_credential(options),
            retry_policy=retries,
            connection_timeout=options.connect_timeout,
            read_timeout=options.read_timeout,
            connection_verify=verify(options),
            # Store in one request whatever is passed in one piece, and read it in one.
            max_single_put_size=5000 * 1024 * 1024,
            max_single_get_size=1024 * 1024 * 1024,
        )
    except ValueError as exc:
        raise ConfigError(
            f"Cannot create a client for container {options.container!r}: {exc}.",
            "Check account and endpoint_url, and that account_key is complete.",
        ) from exc
    return Container(client, options, Sdk(core.exceptions, core.MatchConditions, blob.BlobBlock, blob.StandardBlobTier))


def _credential(options: AzureOptions) -> Any:
    if options.account_key:
        return {"account_name": options.account, "account_key": options.account_key}
    if options.sas_token:
        return options.sas_token.lstrip("?")
    identity = library("azure-identity", "python3-azure", "azure-identity (PyPI)", "azure.identity")
    return identity.DefaultAzureCredential()


def _translated(exc: BaseException, container: Container, operation: str, full: str, writes: bool) -> LifeboatError:
    options, known = container.options, container.sdk.exceptions
    blob = f" of {full!r}" if full else ""
    what = f"Azure {operation}{blob} in container {options.container!r} at {options.endpoint}"
    # An enum or text, depending on the operation.
    code = str(getattr(getattr(exc, "error_code", None), "value", None) or getattr(exc, "error_code", None) or "")
    details: Dict[str, Any] = {
        "store": options.endpoint, "bucket": options.container, "key": full, "operation": operation, "code": code,
    }  # fmt: skip
    response = getattr(exc, "response", None)
    if response is None or not getattr(response, "status_code", None):
        if isinstance(exc, known.ClientAuthenticationError):
            return StoreAccessDenied(
                f"{what}: no usable credentials were found ({exc}).",
                "Set account_key or sas_token, or sign in for azure-identity's default chain.",
                **details,
            )
        return unanswered(what, exc, details)
    status = int(response.status_code)
    if code == "BlobNotFound":
        return ObjectMissing(
            f"{what}: the object does not exist.", "Check the cluster's name and the prefix.", **details
        )
    if code in ("ContainerNotFound", "ContainerBeingDeleted"):
        return BucketMissing(
            f"{what}: container {options.container!r} does not exist.", "Create it, or check account and endpoint_url.",
            **details,
        )  # fmt: skip
    if code in ("BlobAlreadyExists", "BlobImmutableDueToPolicy") and writes:
        return ObjectExists(f"{what}: the key is already taken.", "Nothing was overwritten.", **details)
    if code == "BlobArchived":
        return StoreError(
            f"{what}: the blob is in the archive tier.",
            "Rehydrate it first (az storage blob set-tier), which takes hours; look for a lifecycle rule that"
            " archives blobs here.",
            **{**details, "http_status": status},
        )
    first = str(getattr(exc, "message", None) or exc).splitlines() or [""]
    return refused(what, status, f"{code} {first[0]}".strip(), writes, details)
