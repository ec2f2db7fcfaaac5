# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain HTTP is refused unless it stays on the machine or is allowed explicitly; transport is reported."""

from __future__ import annotations

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.check.encryption import in_transit
from lifeboat.config.load import STORE_TYPES, S3Options, parse, parse_repository
from lifeboat.store import open_store

HERE = ("http://127.0.0.1:8333", "http://localhost", "http://[::1]:1", "HTTP://127.3.2.1")
AWAY = ("http://10.0.0.5:9000", "http://s3.example.org", "http://localhost.example.org", "http://[fe80::1]")


STORES = {
    "s3": {"bucket": "b"},
    "azure": {"account": "a", "container": "c", "account_key": "a2V5"},
    "gcs": {"bucket": "b", "access_token": "token"},
}


@pytest.mark.parametrize("kind", sorted(STORES))
@pytest.mark.parametrize("url", AWAY)
def test_plain_http_to_another_machine_is_refused(url: str, kind: str) -> None:
    entry = {"type": kind, **STORES[kind], "endpoint_url": url}
    with pytest.raises(ConfigError, match=r"repositories\[0\]: endpoint_url .* is plain HTTP") as found:
        parse({"cluster": "main", "repositories": [entry]})
    assert "allow_http: true" in found.value.hint
    with pytest.raises(ConfigError, match="is plain HTTP"):
        open_store(STORE_TYPES[kind](**STORES[kind], endpoint_url=url))
    allowed = parse_repository({**entry, "allow_http": True})
    open_store(allowed.store).close()
    told = in_transit(allowed)
    assert told.words.startswith("plain HTTP: anybody") and "instead of allow_http" in (told.wrong or "")


@pytest.mark.parametrize("kind", sorted(STORES))
@pytest.mark.parametrize("url", HERE)
def test_plain_http_on_the_same_machine_is_allowed(url: str, kind: str) -> None:
    told = in_transit(parse_repository({"type": kind, **STORES[kind], "endpoint_url": url}))
    assert told.words == "plain HTTP to this machine" and told.wrong is None


def test_an_endpoint_of_the_environment_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.0.0.5:9000")
    with pytest.raises(ConfigError, match="is plain HTTP"):
        open_store(S3Options(bucket="b", region="eu-central-1"))


@pytest.mark.parametrize("kind", sorted(STORES))
def test_tls_is_reported_with_its_authorities(kind: str) -> None:
    entry = {"type": kind, **STORES[kind], "endpoint_url": "https://s3.example.org"}
    assert in_transit(parse_repository(entry)).words == "TLS, certificates checked with the CAs of the system"
    without = {key: value for key, value in entry.items() if key != "endpoint_url"}
    assert in_transit(parse_repository(without)).words.startswith("TLS, certificates checked")
    own = in_transit(parse_repository({**entry, "ca_bundle": "/etc/ssl/own.pem"}))
    assert own.words == "TLS, certificates checked with /etc/ssl/own.pem" and own.wrong is None
    assert in_transit(parse_repository({**entry, "validate_certs": False})).wrong is not None


def test_a_directory_is_as_safe_as_its_mount() -> None:
    told = in_transit(parse_repository({"type": "directory", "path": "/mnt"}))
    assert told.words == "a directory: depends on its mount"


def test_a_bare_host_name_means_https_for_azure() -> None:
    found = parse_repository({"type": "azure", **STORES["azure"], "endpoint_url": "store.example.org"})
    assert getattr(found.store, "endpoint", "") == "https://store.example.org"
    assert in_transit(found).words.startswith("TLS")
