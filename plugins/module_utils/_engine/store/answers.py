# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The responses of HTTP stores other than S3 as errors, and the delay before requests are retried."""

from __future__ import annotations

import os
import random
from typing import Any, Dict, Union

from ..base import clock
from ..base.errors import (
    ConfigError,
    LifeboatError,
    ObjectCorrupt,
    ObjectExists,
    StoreAccessDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from ..config.cloud_options import AzureOptions, GcsOptions

Options = Union[AzureOptions, GcsOptions]


def refused(what: str, status: int, said: str, writes: bool, details: Dict[str, Any]) -> LifeboatError:
    """The error for an unsuccessful HTTP status (RFC 9110); the caller handles missing objects.

    ``writes``: whether the request's condition was that the object does not exist (412: the key is taken), or that it
    is unchanged (412: replaced).
    """
    details = {**details, "http_status": status}
    words = f"{what} failed with HTTP {status}: {said}".rstrip(": .") + "."
    if status == 412 and writes:
        return ObjectExists(f"{what}: the key is already taken.", "Nothing was overwritten.", **details)
    if status == 412:
        return ObjectCorrupt(
            f"{what}: the object was replaced while it was read.",
            "Find out who else writes to the repository.",
            **details,
        )
    if status in (401, 403):
        return StoreAccessDenied(
            words,
            "Check that the credentials allow reading, listing and writing here, and check the host's clock.",
            **details,
        )
    if status == 507:
        return StoreFull(words, "Free up space in the store, or raise its quota.", **details)
    if status in (408, 429) or status >= 500:
        return StoreUnavailable(words, "Check the health of the store, then try again.", **details)
    if status == 404:
        return StoreError(
            words, "Check type and endpoint_url: a store of this type does not respond like this.", **details
        )
    return StoreError(
        words, "Check the options of this repository, and that the store supports this request.", **details
    )


def unanswered(what: str, exc: BaseException, details: Dict[str, Any]) -> LifeboatError:
    """The error for a request without a complete response."""
    if "CERTIFICATE_VERIFY_FAILED" in str(exc):
        return StoreUnavailable(
            f"{what}: the store's TLS certificate was not accepted ({exc}).",
            "Set ca_bundle to the authority that signed it, or check the host name in endpoint_url.",
            **details,
        )
    return StoreUnavailable(
        f"{what}: no complete response ({exc}).",
        "Check endpoint_url, the network, the firewall and the store; then try again.",
        **details,
    )


def check_options(place: str, options: Options) -> None:
    """ConfigError for options that cannot work, such as plain HTTP if it is not allowed."""
    options.require_private(place)
    if options.ca_bundle and not os.path.exists(options.ca_bundle):
        raise ConfigError(f"ca_bundle {options.ca_bundle!r} does not exist.", "Give the path of a PEM file.")
    for name in ("part_size", "parallel", "max_attempts", "connect_timeout", "read_timeout"):
        if getattr(options, name) <= 0:
            raise ConfigError(f"{place}: {name} is {getattr(options, name)}.", "It must be greater than zero.")


def verify(options: Options) -> Union[bool, str]:
    """The ``verify`` argument of ``requests``: what to check the TLS certificate against."""
    return (options.ca_bundle or True) if options.validate_certs else False


def back_off(attempt: int) -> None:
    """Wait before a retry, after ``attempt`` failures (from 1): a random time of at most 5 seconds."""
    clock.sleep(random.uniform(0, min(5.0, 0.25 * 2**attempt)))  # noqa: S311 - jitter, not a secret
