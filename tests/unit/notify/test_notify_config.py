# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The section ``notifications``: errors name the path of an option, and never a secret."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.config.described import channel_options
from lifeboat.config.load import parse
from lifeboat.config.notifications import CHANNEL_TYPES, SEVERITIES, SmtpOptions, parse_notifications

MAIL: Dict[str, Any] = {
    "name": "mail", "type": "smtp", "relays": ["mx.example.com"], "sender": "a@example.com", "to": ["b@example.com"]
}  # fmt: skip
HOOK: Dict[str, Any] = {"name": "hook", "type": "webhook", "webhook_url": "https://example.com/x"}


def refused(channel: Dict[str, Any], **more: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_notifications({"channels": [channel], **more}, "main.yml")
    return caught.value


def test_without_the_section_nobody_is_notified() -> None:
    config = parse({"cluster": "main", "repositories": [{"type": "directory", "path": "/mnt"}]})
    assert config.notifications.channels == () and config.notifications.on_success == ()
    assert config.notifications.directory("main") == "/var/lib/lifeboat/notifications/main"


def test_a_channel_gets_all_severities_unless_it_says_otherwise() -> None:
    found = parse_notifications({"channels": [MAIL, {**HOOK, "severities": []}]}, "main.yml").channels
    assert [c.severities for c in found] == [SEVERITIES, ()]


@pytest.mark.parametrize(
    ("tls", "relay", "place"),
    [
        ("starttls", "mx.example.com", ("mx.example.com", 587)),
        ("tls", "mx.example.com", ("mx.example.com", 465)),
        ("none", "localhost", ("localhost", 25)),
        ("starttls", "[::1]:2525", ("::1", 2525)),
        ("starttls", "192.0.2.1:25", ("192.0.2.1", 25)),
    ],
)
def test_where_a_relay_is(tls: str, relay: str, place: tuple[str, int]) -> None:
    found = parse_notifications({"channels": [{**MAIL, "tls": tls, "relays": [relay]}]}, "x").channels[0].options
    assert isinstance(found, SmtpOptions) and found.places == (place,)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "pigeon"}, "type is 'pigeon'"),
        ({"name": "a b"}, "name is 'a b'"),
        ({"name": None}, "name is None"),
        ({"severities": ["fatal"]}, "severities has 'fatal'"),
        ({"relays": []}, "relays is empty"),
        ({"relays": "mx"}, "relays must be a list"),
        ({"relays": ["mx:99999"]}, "relays has 'mx:99999'"),
        ({"relays": ["mx.example.com\nEHLO"]}, "relays has"),
        ({"to": ["b@example.com\nBcc: c@example.com"]}, "has the address"),
        ({"sender": "a@example.com\r\nX: y"}, "has the address"),
        ({"sender": "A B <a@example.com>"}, "has the address"),
        ({"username": "u"}, "only one of username and password"),
        ({"password_file": "/x"}, "only one of username and password"),
        ({"tls": "none"}, "without encryption"),
        ({"tls": "none", "allow_clear_text": True, "username": "u", "password_file": "/x"}, "without encryption"),
        ({"tls": "ssl"}, "tls is 'ssl'"),
        ({"timeout": 0}, "timeout is 0"),
        ({"relais": ["x"]}, "unknown option notifications.channels[0].relais"),
    ],
)
def test_a_mail_channel_that_cannot_work(change: Dict[str, Any], words: str) -> None:
    error = refused({**MAIL, **change})
    assert words in error.message and error.message.startswith("main.yml: ") and error.hint


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"webhook_url": "http://example.com/hidden"}, "plain HTTP to another machine"),
        ({"webhook_url": "ftp://example.com/hidden"}, "is not an HTTPS URL"),
        ({"webhook_url": "file:///hidden"}, "is not an HTTPS URL"),
        ({"webhook_url": "https://user:hidden@example.com/"}, "contains a user or password"),
        ({"webhook_url": "https://example.com/hidden\r\nX: y"}, "is not an HTTPS URL"),
        ({"webhook_url": "https://example.com:x/hidden"}, "is not an HTTPS URL"),
        ({"webhook_url": "http://localhost.example.com/hidden"}, "plain HTTP to another machine"),
        ({"webhook_url": None}, "neither webhook_url nor webhook_url_file"),
        ({"webhook_url_file": "/x"}, "both webhook_url and webhook_url_file"),
        ({"secret": "hidden", "secret_file": "/x"}, "both secret and secret_file"),
        ({"secret": 7}, "secret is a value"),
    ],
)
def test_a_webhook_that_cannot_work(change: Dict[str, Any], words: str) -> None:
    error = refused({**HOOK, **change})
    assert words in error.message and "hidden" not in str(error) and error.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/x", "http://localhost/x", "http://[::1]/x"])
def test_plain_http_to_this_machine_is_allowed(url: str) -> None:
    assert parse_notifications({"channels": [{**HOOK, "webhook_url": url}]}, "x").channels


@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ({"name": "p", "type": "pagerduty"}, "neither routing_key nor routing_key_file"),
        ({"name": "p", "type": "pagerduty", "routing_key": "k", "endpoint": "http://example.com"}, "endpoint is plain"),
        ({"name": "s", "type": "slack"}, "neither webhook_url nor webhook_url_file"),
        ({"name": "a", "type": "apprise"}, "config_file is missing"),
        ({"name": "c", "type": "command", "argv": []}, "argv is empty"),
        ({"name": "c", "type": "command", "argv": "mail -s x"}, "argv must be a list"),
        ("mail", "must be a mapping"),
    ],
)
def test_other_channels_that_cannot_work(channel: Any, words: str) -> None:
    assert words in refused(channel).message


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"repeat": 1}, "repeat is 1"),
        ({"patience": 0}, "patience is 0"),
        ({"on_success": ["backup"]}, "on_success has 'backup'"),
        ({"channels": [MAIL, MAIL]}, "share a name"),
        (
            {"channels": [{**MAIL, "severities": ["info", "warning"]}]},
            "no channel of notifications has severity critical",
        ),
        ({"channels": {"mail": MAIL}}, "must be a list"),
        ({"chanels": []}, "Did you mean notifications.channels"),
    ],
)
def test_a_section_that_cannot_work(more: Dict[str, Any], words: str) -> None:
    assert words in str(refused(MAIL, **more))


def test_every_option_of_every_kind_is_described() -> None:
    described = {option.name: option for option in channel_options()}
    assert described["type"].choices == tuple(CHANNEL_TYPES)
    for cls in CHANNEL_TYPES.values():
        assert set(cls.__dataclass_fields__) <= set(described)
    assert [name for name, option in described.items() if option.required] == ["name", "type"]
    assert {name for name, option in described.items() if option.secret} == {
        "password",
        "webhook_url",
        "secret",
        "routing_key",
    }
