# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dead man's switches, with a real HTTP server: what is pinged when, and what errors reveal."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
from lifeboat.base.errors import ChannelRefused, ChannelUnavailable, ConfigError
from lifeboat.config.notifications import PingConfig, parse_notifications
from lifeboat.notify.ping import FAIL, START, SUCCESS, event_of, ping
from support.sinks import WebSink


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with WebSink() as server:
        yield server


@pytest.mark.parametrize(
    ("status", "event"), [("0", SUCCESS), ("10", SUCCESS), ("1", FAIL), ("75", FAIL), ("KILL", FAIL), ("255", FAIL)]
)
def test_a_warning_is_no_failure_of_the_job(status: str, event: str) -> None:
    assert event_of(status) == event


def test_each_switch_of_the_job_is_pinged(sink: WebSink, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"{sink.url}/other\n")
    switches = [
        PingConfig("full", ping_url=f"{sink.url}/one/"),
        PingConfig("full", ping_url_file=str(tmp_path / "url")),
        PingConfig("check", ping_url=f"{sink.url}/check"),
    ]
    base = sink.url.split("/", 3)[3:] or [""]
    root = f"/{base[0]}".rstrip("/")
    for event in (START, SUCCESS, FAIL):
        assert ping(switches, "full", event) == 2
    assert ping(switches, "sync", SUCCESS) == 0
    paths = [request.path for request in sink.requests]
    assert paths == [f"{root}/{name}{end}" for end in ("/start", "", "/fail") for name in ("one", "other")]


def test_one_that_does_not_answer_keeps_no_other_from_being_pinged(sink: WebSink) -> None:
    sink.answers = [500]
    switches = [PingConfig("full", ping_url=f"{sink.url}/secret-one"), PingConfig("full", ping_url=f"{sink.url}/two")]
    with pytest.raises(ChannelUnavailable) as caught:
        ping(switches, "full", SUCCESS)
    assert len(sink.requests) == 2 and "secret-one" not in f"{caught.value}{caught.value.hint}"
    sink.answers = [404]
    with pytest.raises(ChannelRefused):
        ping(switches[:1], "full", SUCCESS)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"job": "nightly", "ping_url": "https://hc.test/x"}, "job is 'nightly'"),
        ({"job": "full"}, "neither ping_url nor ping_url_file"),
        ({"job": "full", "ping_url": "https://hc.test/x", "ping_url_file": "/x"}, "both ping_url and ping_url_file"),
        ({"job": "full", "ping_url": "http://hc.test/x"}, "plain HTTP"),
        ({"job": "full", "ping_url": "https://hc.test/x", "timeout": 900}, "timeout is 900"),
        ({"job": "full", "ping_urls": "https://hc.test/x"}, "ping_urls"),
    ],
)
def test_bad_input_is_named(entry: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_notifications({"pings": [entry]}, "main.yml")
    assert words in f"{caught.value.message} {caught.value.hint}" and "hc.test" not in caught.value.message
