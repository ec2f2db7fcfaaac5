# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mail to a real mail server: encrypted, through the next relay, retried, and with intact headers."""

from __future__ import annotations

import email
import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from email.policy import default
from pathlib import Path
from typing import Any, Callable, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ChannelRefused, ChannelUnavailable
from lifeboat.check import ServerState
from lifeboat.config.load import Config
from lifeboat.config.notifications import SmtpOptions
from lifeboat.metrics import expose, host_samples
from lifeboat.notify import read_deliveries
from lifeboat.notify.deliver import tell, try_channels
from lifeboat.notify.notice import RESOLVED, Notice
from lifeboat.notify.smtp import message
from support.processes import free_port
from support.sinks import Certificate, MailSink

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
NOTICE = Notice("critical", "db1: full of cluster main ended with status 1", NOW, "größer\n.\nend", "k", job="full")
Made = Callable[..., Config]


def channel(certificate: Certificate, *ports: int, **more: Any) -> Dict[str, Any]:
    relays = [f"localhost:{port}" for port in ports]
    return {
        "name": "mail", "type": "smtp", "relays": relays, "sender": "lifeboat@example.com",
        "to": ["a@example.com", "b@example.com"], "ca_bundle": str(certificate.pem), **more,
    }  # fmt: skip


def test_a_mail_arrives_encrypted_and_whole(configure: Made, mail: MailSink, certificate: Certificate) -> None:
    done = tell(configure(channel(certificate, mail.port)), NOTICE)
    assert done.delivered == ("mail",) and not done.unnoted
    (got,) = mail.mails
    assert mail.encrypted == [True]
    assert got["Subject"] == "[lifeboat] db1: full of cluster main ended with status 1"
    assert (got["From"], got["To"]) == ("lifeboat@example.com", "a@example.com, b@example.com")
    assert got["Auto-Submitted"] == "auto-generated" and got["Date"].datetime == NOW
    assert got["Message-ID"].startswith("<lifeboat-") and got["Message-ID"].endswith("@example.com>")
    assert got["Importance"] == "high" and got["Lifeboat-Key"] == "k"
    assert "größer\n.\nend" in got.get_content().replace("\r\n", "\n")


def test_451_and_then_accepted(configure: Made, mail: MailSink, certificate: Certificate) -> None:
    mail.answers += ["451 come back later"]
    done = tell(configure(channel(certificate, mail.port)), NOTICE)
    assert done.delivered == ("mail",)
    assert (done.sent[0].attempts, mail.attempts, len(mail.mails)) == (2, 2, 1)


def test_the_second_relay_takes_what_a_dead_one_does_not(
    configure: Made, mail: MailSink, certificate: Certificate
) -> None:
    done = tell(configure(channel(certificate, free_port(), mail.port)), NOTICE)
    assert (done.delivered, done.sent[0].attempts, len(mail.mails)) == (("mail",), 1, 1)


def test_a_relay_that_says_451_and_then_dies_is_told_by_the_metrics_once_no_other_one_takes_it(
    configure: Made, certificate: Certificate
) -> None:
    with MailSink(certificate) as second:
        with MailSink(certificate, answers=["451 come back later"], dies=True) as first:
            second.answers += ["451 not yet"]
            config = configure(channel(certificate, first.port, second.port))
            done = tell(config, NOTICE)
            # Tried again after both had put it off: the first is gone by then.
            assert (done.delivered, done.sent[0].attempts) == (("mail",), 2)
            assert (first.attempts, second.attempts, len(second.mails)) == (1, 2, 1)
        assert told_of(config) == {"last_success": NOW.timestamp(), "failures": 0}
    later = NOW + timedelta(minutes=5)
    assert not tell(config, replace(NOTICE, key="other", at=later)).delivered
    assert told_of(config) == {"last_success": NOW.timestamp(), "failures": 1}


def told_of(config: Config) -> Dict[str, float]:
    """What the host's metrics tell of the channel."""
    deliveries = read_deliveries(str(config.notifications.state_dir))
    text = expose([host_samples(config, ServerState(), [], {}, deliveries, NOW)]).decode()
    found = re.findall(r'^lifeboat_notification_(\w+){channel="mail",cluster="main"} (\S+)$', text, re.MULTILINE)
    names = {"failures_total": "failures", "last_success_timestamp_seconds": "last_success"}
    return {names[name]: float(value) for name, value in found}


def test_a_relay_that_refuses_for_good_is_not_asked_again(
    configure: Made, mail: MailSink, certificate: Certificate
) -> None:
    mail.answers += ["554 no"] * 9
    done = tell(configure(channel(certificate, mail.port)), NOTICE)
    assert isinstance(done.sent[0].error, ChannelRefused) and "554" in done.sent[0].error.message
    assert mail.attempts == 1


def test_a_certificate_of_somebody_else_is_refused(
    configure: Made, mail: MailSink, certificate: Certificate, tmp_path: Path
) -> None:
    other = Certificate.make(tmp_path)
    for bundle in (other.pem, None):
        done = tell(configure({**channel(certificate, mail.port), "ca_bundle": bundle and str(bundle)}), NOTICE)
        assert isinstance(done.sent[0].error, ChannelRefused) and "certificate" in done.sent[0].error.message
    # The right authority, and not the name that is in the certificate.
    named = {**channel(certificate), "relays": [f"127.0.0.1:{mail.port}"]}
    assert isinstance(tell(configure(named), NOTICE).sent[0].error, ChannelRefused)
    assert mail.mails == []


def test_a_relay_without_starttls_gets_nothing(configure: Made, certificate: Certificate) -> None:
    with MailSink() as plain:
        done = tell(configure(channel(certificate, plain.port)), NOTICE)
        assert isinstance(done.sent[0].error, ChannelRefused) and "STARTTLS" in done.sent[0].error.message
        assert plain.attempts == 0
        there = {**channel(certificate, plain.port), "tls": "none"}
        assert tell(configure(there), NOTICE).delivered == ("mail",)
        assert plain.encrypted == [False]


def test_a_login_with_a_password_from_a_file(configure: Made, certificate: Certificate, tmp_path: Path) -> None:
    words = tmp_path / "password"
    words.write_text("hidden-password\n")
    with MailSink(certificate, login=("dba", "hidden-password")) as sink:
        config = configure(channel(certificate, sink.port, username="dba", password_file=str(words)))
        assert tell(config, NOTICE).delivered == ("mail",)
        words.write_text("hidden-wrong\n")
        (sent,) = try_channels(config, {"mail": NOTICE}).sent
        assert isinstance(sent.error, ChannelRefused)
        assert "login" in sent.error.message and "hidden" not in repr(sent) + str(sent.as_dict())
        words.unlink()
        (sent,) = try_channels(config, {"mail": NOTICE}).sent
        assert str(words) in str(sent.error)
        assert len(sink.mails) == 1


def test_one_recipient_that_is_refused_is_told_of(configure: Made, mail: MailSink, certificate: Certificate) -> None:
    mail.refused = ["b@example.com"]
    (sent,) = tell(configure(channel(certificate, mail.port)), NOTICE).sent
    assert sent.error is None and "b@example.com" in sent.remark
    mail.refused += ["a@example.com"]
    (sent,) = try_channels(configure(channel(certificate, mail.port)), {"mail": NOTICE}).sent
    assert isinstance(sent.error, ChannelRefused) and "every recipient" in sent.error.message


def test_an_unreachable_relay_is_reported_after_a_while(configure: Made, certificate: Certificate) -> None:
    (sent,) = tell(configure(channel(certificate, free_port()), patience=1.5), NOTICE).sent
    assert isinstance(sent.error, ChannelUnavailable) and sent.attempts == 2


OPTIONS = SmtpOptions(("localhost",), "lifeboat@example.com", ("a@example.com",))


@given(st.text(max_size=400), st.text(max_size=400), st.text(max_size=300))
def test_no_words_become_a_header_or_another_recipient(subject: str, text: str, key: str) -> None:
    clean = [word.encode("utf-8", "replace").decode() for word in (subject, text, key)]
    made = message(OPTIONS, Notice("info", clean[0], NOW, clean[1], clean[2], RESOLVED), "lifeboat-1")
    read = email.message_from_bytes(made.as_bytes(), policy=default)
    expected = {
        "from", "to", "subject", "date", "message-id", "auto-submitted", "lifeboat-severity", "lifeboat-state",
        "lifeboat-key", "content-type", "content-transfer-encoding", "mime-version",
    }  # fmt: skip
    assert {name.lower() for name in read} <= expected and len(read.keys()) == len(set(read.keys()))
    assert read["To"] == "a@example.com"
    assert all(len(line) <= 998 for line in made.as_bytes().splitlines())


@pytest.mark.parametrize("break_", ["\n", "\r\n", "\r", "\x85", "\u2028", "\x0b", "\x00"])
def test_a_subject_with_a_line_break_is_one_line(
    break_: str, configure: Made, mail: MailSink, certificate: Certificate
) -> None:
    evil = Notice("warning", f"all is well{break_}Bcc: c@example.com{break_}{break_}another body", NOW)
    assert tell(configure(channel(certificate, mail.port)), evil).delivered
    (got,) = mail.mails
    assert got["Bcc"] is None and got["Subject"] == "[lifeboat] all is well Bcc: c@example.com another body"
