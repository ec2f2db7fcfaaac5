# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager's alerts on the page: only ours, limited, as text; a broken Alertmanager delays nobody."""

from __future__ import annotations

import json
import socket
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError, StoreUnavailable
from lifeboat.exporter.alertmanager import Alert, Alerts, Asked, Manager, parse_alerts
from lifeboat.exporter.page import render
from support.records import EPOCH

PAGE = "https://github.com/lifeboat-authors/lifeboat.postgres/blob/main/docs/alerts.md#"


def an_alert(name: str = "BackupOverdue", severity: str = "warning", page: Optional[str] = None, **more: Any) -> Any:
    return {
        "labels": {"alertname": name, "severity": severity, "cluster": "shop"},
        "annotations": {"summary": "It is late.", "runbook_url": f"{PAGE}{name.lower()}" if page is None else page},
        "startsAt": "2026-11-22T02:00:00.123456789Z",
        "status": {"state": "active"},
        **more,
    }


def parsed(*given: Any, every: bool = False) -> List[str]:
    return [alert.name for alert in parse_alerts(json.dumps(given).encode(), every)]


def test_ours_are_taken_the_worst_first_and_the_watchdog_is_left_out() -> None:
    other = an_alert("DiskFull", page="https://wiki/disk")
    posing = an_alert("DiskFull", page=f"{PAGE}backupoverdue")
    given = [an_alert(), other, posing, an_alert("Watchdog", "none"), an_alert("WalGap", "critical")]
    assert parsed(*given) == ["WalGap", "BackupOverdue"]
    assert parsed(*given, every=True) == ["WalGap", "BackupOverdue", "DiskFull", "DiskFull"]
    assert parsed(an_alert(status={"state": "suppressed"})) == []
    (alert,) = parse_alerts(json.dumps([an_alert()]).encode())
    assert alert.since == EPOCH + timedelta(microseconds=123456) and alert.cluster == "shop"


LEAVES = st.none() | st.text() | st.integers() | st.booleans()
NAMES = st.sampled_from(["labels", "annotations", "status", "startsAt", "alertname"])


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner), max_leaves=20))
def test_any_json_is_a_list_of_alerts_or_an_error(value: Any) -> None:
    raw = json.dumps(value).encode()
    if isinstance(value, list):
        assert all(isinstance(alert, Alert) for alert in parse_alerts(raw, every=True))
    else:
        with pytest.raises(StoreUnavailable):
            parse_alerts(raw)


@pytest.mark.parametrize("raw", [b"", b"[", b"[" * 100_000, b"\xff", b"<html>"])
def test_what_is_no_json_is_an_error(raw: bytes) -> None:
    with pytest.raises(StoreUnavailable):
        parse_alerts(raw)


def page(asked: Optional[Asked]) -> str:
    return render([], [], EPOCH, EPOCH, asked)


def test_the_page_escapes_what_it_is_told_and_says_when_it_knows_nothing() -> None:
    bad = an_alert("WalGap", "critical")
    bad["annotations"]["summary"] = "<script>alert(1)</script>\x1b[2J"
    shown = page(Asked(parse_alerts(json.dumps([bad]).encode()), EPOCH))
    assert "<script" not in shown and "&lt;script&gt;" in shown and "\x1b" not in shown and "WalGap shop" in shown
    assert "Open alerts" not in page(None)
    assert "UNKNOWN" not in page(Asked((), EPOCH)) and "none were open" in page(Asked((), EPOCH))
    late = page(Asked((), EPOCH - timedelta(minutes=6)))
    failed = page(Asked((), EPOCH, error=StoreUnavailable("Alertmanager answered 503.", "")))
    assert all("UNKNOWN" in text for text in (late, failed, page(Asked()))) and "answered 503" in failed
    many = Asked(tuple(Alert(f"A{n}", "warning", "", "") for n in range(200)), EPOCH, more=7)
    assert page(many).count('class="alert"') == 50 and "And 157 more." in page(many)


Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def answering() -> Iterator[Callable[[Answer], Manager]]:
    """An HTTP server with responses chosen by a test."""
    servers: List[HTTPServer] = []

    def start(answer: Answer) -> Manager:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return Manager(f"http://127.0.0.1:{servers[-1].server_port}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sends(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_a_bad_answer_keeps_what_was_known_beside_its_error(answering: Callable[[Answer], Manager]) -> None:
    good = {"is": True}

    def answer(handler: BaseHTTPRequestHandler) -> None:
        sends(json.dumps([an_alert()]).encode() if good["is"] else b"down", 200 if good["is"] else 503)(handler)

    alerts = Alerts(answering(answer))
    alerts.ask()
    assert [a.name for a in alerts.last().alerts] == ["BackupOverdue"] and alerts.last().error is None
    good["is"] = False
    alerts.ask()
    last = alerts.last()
    assert [a.name for a in last.alerts] == ["BackupOverdue"] and last.error and "503" in last.error.message


def test_no_redirect_is_followed_and_an_answer_is_bounded(
    answering: Callable[[Answer], Manager], tmp_path: Path
) -> None:
    secret = tmp_path / "auth"
    secret.write_text("user:hunter2\n")
    seen: List[Optional[str]] = []

    def thief(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.headers["Authorization"])
        sends(b"[]")(handler)

    stolen = answering(thief)
    moved = answering(sends(b"", 302, Location=f"{stolen.url}/"))
    with pytest.raises(StoreUnavailable, match="302"):
        Manager(moved.url, auth_file=str(secret)).ask()
    assert seen == []
    Manager(stolen.url, auth_file=str(secret)).ask()
    assert seen == ["Basic dXNlcjpodW50ZXIy"]
    with pytest.raises(StoreUnavailable, match="more than"):
        answering(sends(b" " * (5 * 1024 * 1024))).ask()
    many = json.dumps([an_alert(f"A{n}", page=f"{PAGE}a{n}") for n in range(300)]).encode()
    asked = Manager(answering(sends(many)).url, match='a="b"').ask()
    assert (len(asked.alerts), asked.more) == (200, 100)


def test_who_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifeboat.exporter.alertmanager._WAIT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(StoreUnavailable, match="cannot be reached"):
        Manager(f"http://127.0.0.1:{server.getsockname()[1]}").ask()


def test_a_body_that_drips_is_given_up(answering: Callable[[Answer], Manager], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifeboat.exporter.alertmanager._WHOLE", 0.3)
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while not over.wait(0.05):
                handler.wfile.write(b" ")
        except OSError:
            pass

    try:
        with pytest.raises(StoreUnavailable, match="within"):
            answering(drip).ask()
    finally:
        over.set()


REFUSED: Dict[str, Dict[str, Any]] = {
    "ftp://x": {}, "http://": {}, "http://x:99999": {}, "file:///etc/passwd": {}, "http://a b": {}, "http://x/?a=b": {},
    "http://user:pw@x": {}, "http://elsewhere.example:9093": {"auth_file": "f"},
}  # fmt: skip


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_is_none_or_would_tell_the_password_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Manager(url, **REFUSED[url]).require_sound()
    assert "pw" not in refused.value.message.replace("password", "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9093", "https://x/alertmanager", "http://elsewhere.example:9093"])
def test_an_address_is_accepted(url: str) -> None:
    Manager(url).require_sound()
