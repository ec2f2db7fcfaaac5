# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the responses of HTTP stores other than S3 mean, and how their requests are retried."""

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
    """The error for an HTTP status (RFC 9110) that is no success; the caller names what is missing.

    ``writes`` tells whether the condition of the request was that nothing is there (412: the key is taken) or that it
    is still the same (412: replaced).
    """
    details = {**details, "http_status": status}
    words = f"{what} was answered with HTTP {status}: {said}".rstrip(": .") + "."
    if status == 412 and writes:
        return ObjectExists(f"{what}: the key is already taken.", "Nothing was overwritten.", **details)
    if status == 412:
        return ObjectCorrupt(
            f"{what}: the object was replaced while it was read.", "Find out who writes into the repository.", **details
        )
    if status in (401, 403):
        return StoreAccessDenied(
            words, "Check the credentials, that they may read, list and write here, and the host's clock.", **details
        )
    if status == 507:
        return StoreFull(words, "Make room in the store or raise its quota.", **details)
    if status in (408, 429) or status >= 500:
        return StoreUnavailable(words, "The store is busy or broken: check its health, then try again.", **details)
    if status == 404:
        return StoreError(words, "The answer is not this kind of store's: check type and endpoint_url.", **details)
    return StoreError(words, "Check the options of this repository, and that the store knows this request.", **details)


def unanswered(what: str, exc: BaseException, details: Dict[str, Any]) -> LifeboatError:
    """The error for a request without a complete answer."""
    if "CERTIFICATE_VERIFY_FAILED" in str(exc):
        return StoreUnavailable(
            f"{what}: the store's TLS certificate was not accepted ({exc}).",
            "Set ca_bundle to the authority that signed it, or check the host name in endpoint_url.",
            **details,
        )
    return StoreUnavailable(
        f"{what}: no complete answer ({exc}).",
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
    """What the TLS certificate is checked against, as ``requests`` expects it."""
    return (options.ca_bundle or True) if options.validate_certs else False


def back_off(attempt: int) -> None:
    """Wait before retrying what failed for the ``attempt``-th time (from 1): at random, at most 5 seconds."""
    clock.sleep(random.uniform(0, min(5.0, 0.25 * 2**attempt)))  # noqa: S311 - jitter, not a secret
