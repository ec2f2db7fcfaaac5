# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain HTTP is refused unless it stays on the machine or is allowed by name; what travels how is told."""

from __future__ import annotations

import pytest
from lifeboat.config import S3Options, parse, parse_repository
from lifeboat.encryption import in_transit
from lifeboat.errors import ConfigError
from lifeboat.store import open_store

HERE = ("http://127.0.0.1:8333", "http://localhost", "http://[::1]:1", "HTTP://127.3.2.1")
AWAY = ("http://10.0.0.5:9000", "http://s3.example.org", "http://localhost.example.org", "http://[fe80::1]")


@pytest.mark.parametrize("url", AWAY)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    entry = {"type": "s3", "bucket": "b", "endpoint_url": url}
    with pytest.raises(ConfigError, match=r"repositories\[0\]: endpoint_url .* is plain HTTP") as found:
        parse({"cluster": "main", "repositories": [entry]})
    assert "allow_http: true" in found.value.hint
    with pytest.raises(ConfigError, match="is plain HTTP"):
        open_store(S3Options(bucket="b", endpoint_url=url))
    allowed = parse_repository({**entry, "allow_http": True})
    open_store(allowed.store).close()
    told = in_transit(allowed)
    assert told.words.startswith("plain HTTP: whoever") and "allow_http is set" in (told.wrong or "")


@pytest.mark.parametrize("url", HERE)
def test_what_stays_on_the_machine_is_not(url: str) -> None:
    told = in_transit(parse_repository({"type": "s3", "bucket": "b", "endpoint_url": url}))
    assert told.words == "plain HTTP, to this machine itself" and told.wrong is None


def test_an_endpoint_of_the_environment_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.0.0.5:9000")
    with pytest.raises(ConfigError, match="is plain HTTP"):
        open_store(S3Options(bucket="b", region="eu-central-1"))


def test_tls_is_told_with_its_authorities() -> None:
    entry = {"type": "s3", "bucket": "b", "endpoint_url": "https://s3.example.org"}
    assert in_transit(parse_repository(entry)).words == "TLS, certificates checked with the authorities of the system"
    own = in_transit(parse_repository({**entry, "ca_bundle": "/etc/ssl/own.pem"}))
    assert own.words == "TLS, certificates checked with /etc/ssl/own.pem" and own.wrong is None
    assert in_transit(parse_repository({**entry, "validate_certs": False})).wrong is not None
    assert in_transit(parse_repository({"type": "directory", "path": "/mnt"})).words.startswith("a directory")
