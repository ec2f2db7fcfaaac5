# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Require encrypted transfers to a store unless the configuration explicitly allows otherwise. Pure."""

from __future__ import annotations

import ipaddress
from typing import Optional
from urllib.parse import urlsplit

from ..base.errors import ConfigError


def is_clear_text(endpoint_url: Optional[str]) -> bool:
    """Whether this is plain HTTP; without an endpoint it is AWS, by TLS."""
    return bool(endpoint_url) and not str(endpoint_url).lower().startswith("https:")


def is_this_machine(endpoint_url: str) -> bool:
    """Whether the URL is local, so that nothing leaves the machine."""
    try:
        host = urlsplit(endpoint_url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_clear_text(endpoint_url: Optional[str], allow_http: bool, where: str) -> None:
    """ConfigError for plain HTTP to another machine that is not allowed by name."""
    if endpoint_url and is_clear_text(endpoint_url) and not allow_http and not is_this_machine(endpoint_url):
        raise ConfigError(
            f"{where}: endpoint_url {endpoint_url} is plain HTTP: anybody on the network path can read it.",
            "Use https (and ca_bundle for your own CA), or set allow_http: true for this repository.",
        )
