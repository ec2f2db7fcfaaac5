# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The capabilities of a kind of store, as part of its options: nothing outside ``store`` checks the kind."""

from __future__ import annotations

import typing
from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional, Tuple, TypeVar

from .option import option
from .transit import is_clear_text, is_this_machine, refuse_clear_text

MIB = 1024 * 1024
# The options that stores share: documentation, default, and whether it is a path.
_COMMON: Mapping[str, Tuple[str, Any, bool]] = {
    "prefix": ("Prefix of every key.", "", False),
    "ca_bundle": (
        "PEM file with the CA that signed the store's certificate. Default: the system's CAs.",
        None,
        True,
    ),
    "validate_certs": ("Check the store's certificate.", True, False),
    "allow_http": ("Allow plain HTTP to another machine.", False, False),
    "connect_timeout": ("Seconds to wait for a connection.", 5.0, False),
    "read_timeout": ("Seconds to wait for a response.", 30.0, False),
    "max_attempts": ("Most attempts to send a request.", 6, False),
    "part_size": ("Bytes of each part of a long upload; beyond 2,000 parts, parts get larger.", 16 * MIB, False),
    "parallel": ("Parts to transfer in parallel.", 4, False),
}
_Options = TypeVar("_Options", bound="AnyStore")


@dataclass(frozen=True)
class Traits:
    """``name`` is the ``type`` of a repository.

    ``network``: it is reached by HTTP, so TLS, timeouts and attempts apply. ``versions``: an earlier state can be
    read (``as_of``) if it is versioned. ``prepared``: how a repository in it is set up: ``bucket`` (settings and
    identities are applied), ``container`` (it is only tested) or ``directory``.
    """

    name: str
    prepared: str
    network: bool = True
    versions: bool = False


def common_option(name: str) -> Any:
    """The field of an option that several kinds of stores share."""
    doc, default, path = _COMMON[name]
    return option(doc, default, path=path)


class AnyStore:
    """The properties of the options of every kind of store, with the values for a directory."""

    TRAITS: typing.ClassVar[Traits]

    @property
    def traits(self) -> Traits:
        """The capabilities of this kind of store."""
        return self.TRAITS

    @property
    def lock_mode(self) -> str:
        """How objects are locked when they are put; "" if they are not."""
        return ""

    def require_private(self, where: str) -> None:
        """ConfigError for plain HTTP to another machine that is not allowed by name."""

    def transit(self) -> Tuple[str, Optional[str]]:
        """How objects are transferred there, as text, and what is wrong with that (None: nothing)."""
        return "a directory: depends on its mount", None

    def hasty(self: _Options, attempts: int, connect: float, read: float) -> _Options:
        """The same store with at most so many attempts and seconds; no change for a directory, which has neither."""
        return self


@dataclass(frozen=True)
class HttpStore(AnyStore):
    """The options and properties of every store that is reached by HTTP.

    They have defaults, so a class of options inherits from this one first: fields of later bases come first.
    """

    ca_bundle: Optional[str] = common_option("ca_bundle")
    validate_certs: bool = common_option("validate_certs")
    allow_http: bool = common_option("allow_http")
    connect_timeout: float = common_option("connect_timeout")
    read_timeout: float = common_option("read_timeout")
    max_attempts: int = common_option("max_attempts")
    part_size: int = common_option("part_size")
    parallel: int = common_option("parallel")

    @property
    def request_url(self) -> Optional[str]:
        """The URL of requests; None: the default of the provider's library, by TLS."""
        raise NotImplementedError

    def require_private(self, where: str) -> None:
        """ConfigError for plain HTTP to another machine that is not allowed by name."""
        refuse_clear_text(self.request_url, self.allow_http, where)

    def transit(self) -> Tuple[str, Optional[str]]:
        """How objects are transferred there, as text, and what is wrong with that (None: nothing)."""
        url = self.request_url
        if is_clear_text(url):
            if is_this_machine(str(url)):
                return "plain HTTP to this machine", None
            return (
                "plain HTTP: anybody on the network path can read it",
                "Use https instead of allow_http, with ca_bundle if need be.",
            )
        if not self.validate_certs:
            return (
                "TLS without checking the certificate: anybody can pose as the store",
                "Set ca_bundle instead of validate_certs: false.",
            )
        return f"TLS, certificates checked with {self.ca_bundle or 'the CAs of the system'}", None

    def hasty(self: _Options, attempts: int, connect: float, read: float) -> _Options:
        """The same store with at most so many attempts and seconds."""
        given: Any = self
        shorter: _Options = replace(
            given,
            max_attempts=min(given.max_attempts, attempts),
            connect_timeout=min(given.connect_timeout, connect),
            read_timeout=min(given.read_timeout, read),
        )
        return shorter
