# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Webhooks, Slack and PagerDuty, to a real HTTP server: signed, without redirects, retried if useful."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ChannelRefused, ChannelUnavailable
from lifeboat.config.load import Config
from lifeboat.notify.deliver import tell, try_channels
from lifeboat.notify.notice import ACKNOWLEDGED, OPEN, RESOLVED, Notice
from lifeboat.notify.pagerduty import dedup_key, event
from lifeboat.notify.slack import message
from lifeboat.notify.webhook import headers
from support.processes import free_port
from support.sinks import Certificate, Request, WebSink

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
NOTICE = Notice("critical", "the subject", NOW, "the text", "the key", OPEN, "main", "db1", "full", "1")
Made = Callable[..., Config]


def hook(sink: WebSink, **more: Any) -> Dict[str, Any]:
    return {"name": "hook", "type": "webhook", "webhook_url": f"{sink.url}/hidden-path", **more}


def verified(request: Request, key: bytes) -> bool:
    """As a receiver does it, according to Standard Webhooks."""
    named = {name: request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")}
    signed = f"{named['id']}.{named['timestamp']}.".encode() + request.body
    made = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{made}" in named["signature"].split(" ")


@pytest.mark.parametrize(
    ("secret", "key"),
    [("hidden-secret", b"hidden-secret"), ("whsec_" + base64.b64encode(b"hidden-key").decode(), b"hidden-key")],
)
def test_a_webhook_is_json_and_signed(configure: Made, web: WebSink, tmp_path: Path, secret: str, key: bytes) -> None:
    (tmp_path / "secret").write_text(f"{secret}\n")
    assert tell(configure(hook(web, secret_file=str(tmp_path / "secret"))), NOTICE).delivered == ("hook",)
    (request,) = web.requests
    assert request.path == "/hidden-path" and request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == NOTICE.as_dict()
    assert verified(request, key) and not verified(request, b"another")
    assert not verified(Request(request.path, request.headers, request.body + b" "), key)
    late = {**request.headers, "webhook-timestamp": "1"}
    assert not verified(Request(request.path, late, request.body), key)


def test_the_signature_is_that_of_the_published_example() -> None:
    made = headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )
    assert made["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_without_a_secret_nothing_is_signed(configure: Made, web: WebSink) -> None:
    assert tell(configure(hook(web)), NOTICE).delivered
    assert "webhook-signature" not in web.requests[0].headers and web.requests[0].headers["webhook-id"]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_retry_uses_the_same_identifier(configure: Made, web: WebSink, status: int) -> None:
    web.answers.append(status)
    (sent,) = tell(configure(hook(web)), NOTICE).sent
    assert sent.error is None and sent.attempts == 2
    assert len({request.headers["webhook-id"] for request in web.requests}) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_permanent_failure_is_not_retried(configure: Made, web: WebSink, status: int) -> None:
    web.then = status
    (sent,) = tell(configure(hook(web)), NOTICE).sent
    assert isinstance(sent.error, ChannelRefused) and str(status) in sent.error.message
    assert len(web.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(configure: Made, web: WebSink, status: int) -> None:
    with WebSink() as elsewhere:
        web.then, web.location = status, f"{elsewhere.url}/x"
        (sent,) = tell(configure(hook(web)), NOTICE).sent
        assert isinstance(sent.error, ChannelRefused) and "redirect" in sent.error.message
        assert elsewhere.requests == []


def test_https_with_a_certificate_that_is_checked(configure: Made, certificate: Certificate) -> None:
    with WebSink(certificate) as sink:
        assert tell(configure(hook(sink, ca_bundle=str(certificate.pem))), NOTICE).delivered
        (sent,) = try_channels(configure(hook(sink)), {"hook": NOTICE}).sent
        assert isinstance(sent.error, ChannelRefused) and "certificate" in sent.error.message
        assert len(sink.requests) == 1


def test_a_url_from_a_file_is_held_to_the_same_rules(configure: Made, web: WebSink, tmp_path: Path) -> None:
    place = tmp_path / "url"
    channel = {"name": "hook", "type": "webhook", "webhook_url_file": str(place)}
    place.write_text(f"{web.url}/x\n")
    assert tell(configure(channel), NOTICE).delivered
    for wrong in ("http://example.com/hidden", "file:///etc/hidden", "https://u:hidden@example.com", ""):
        place.write_text(wrong)
        (sent,) = try_channels(configure(channel), {"hook": NOTICE}).sent
        assert isinstance(sent.error, ChannelRefused) and "hidden" not in str(sent.error)


def test_a_proxy_of_the_environment_gets_nothing_in_clear(
    configure: Made, web: WebSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    with WebSink() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        assert tell(configure(hook(web)), NOTICE).delivered
        assert (len(web.requests), proxy.requests) == (1, [])


def test_no_error_tells_more_of_a_url_than_its_host(configure: Made, web: WebSink) -> None:
    dead = {"name": "dead", "type": "slack", "webhook_url": f"http://localhost:{free_port()}/hidden-path"}
    web.then = 404
    done = tell(configure(dead, hook(web, secret="hidden-secret"), patience=1), NOTICE)
    codes = [type(s.error) for s in done.sent]
    assert codes == [ChannelUnavailable, ChannelRefused]
    assert "hidden" not in repr(done) + json.dumps(done.as_dict()) + "".join(str(s.error) for s in done.sent)


def test_a_server_that_never_answers_is_given_up(configure: Made) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        hangs = {"name": "hangs", "type": "slack", "webhook_url": f"http://localhost:{port}/x", "timeout": 1}
        mail = {"name": "mail", "type": "smtp", "relays": [f"localhost:{port}"], "sender": "a@b.c", "to": ["d@e.f"],
                "tls": "none", "timeout": 1}  # fmt: skip
        done = tell(configure(hangs, mail, patience=1), NOTICE)
    assert [type(s.error) for s in done.sent] == [ChannelUnavailable, ChannelUnavailable]


# --- Slack --------------------------------------------------------------------------------------------------------


def test_slack_gets_text_that_is_nothing_but_text(configure: Made, web: WebSink) -> None:
    evil = Notice("critical", "<!channel> & <https://example.com|here>", NOW, "a ``` b <@U1>", "k")
    assert tell(configure({"name": "chat", "type": "slack", "webhook_url": f"{web.url}/services/x"}), evil).delivered
    text = json.loads(web.requests[0].body)["text"]
    assert "&lt;!channel&gt; &amp; &lt;https" in text and "<" not in text
    assert text.count("```") == 2 and text.startswith(":rotating_light: [lifeboat] ")


@given(st.text(), st.text(max_size=5000))
def test_nothing_in_a_message_of_slack_is_markup(subject: str, text: str) -> None:
    made = message(Notice("warning", subject, NOW, text))["text"]
    assert "<" not in made and ">" not in made and made.count("```") == (2 if text else 0)
    assert len(made) < 5 * 3000 + 1500


# --- PagerDuty ----------------------------------------------------------------------------------------------------


def test_an_alert_is_triggered_acknowledged_and_resolved_by_one_key(
    configure: Made, web: WebSink, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("hidden-routing-key\n")
    web.then = 202
    config = configure(
        {
            "name": "pager",
            "type": "pagerduty",
            "routing_key_file": str(tmp_path / "key"),
            "endpoint": f"{web.url}/v2/enqueue",
        }
    )
    for state in (OPEN, ACKNOWLEDGED, RESOLVED):
        tell(config, Notice("critical", "the subject", NOW, "the text", "the key", state, "main", "db1", "full", "1"))
    events = [json.loads(request.body) for request in web.requests]
    assert [e["event_action"] for e in events] == ["trigger", "acknowledge", "resolve"]
    assert {e["dedup_key"] for e in events} == {"the key"}
    assert {e["routing_key"] for e in events} == {"hidden-routing-key"}
    assert events[0]["payload"] == {
        "summary": "the subject", "source": "db1", "severity": "critical", "timestamp": "2026-11-27T12:00:00Z",
        "component": "full", "group": "main", "custom_details": {"text": "the text", "status": "1"},
    }  # fmt: skip
    assert "payload" not in events[1]


@given(st.text(max_size=3000), st.text(max_size=600), st.sampled_from(["info", "warning", "critical"]))
def test_an_event_keeps_the_limits_of_the_interface(subject: str, key: str, severity: str) -> None:
    made = event(Notice(severity, subject, NOW, "x" * 100_000, key), "r", "token")
    assert len(made["payload"]["summary"]) <= 1024 and 0 < len(made["dedup_key"]) <= 255
    assert made["payload"]["severity"] == severity and len(json.dumps(made)) < 500_000
    assert dedup_key(key + "a" * 256) != dedup_key(key + "a" * 255 + "b")
