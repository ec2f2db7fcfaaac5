# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Delivery: reserve, repetition, record; programs as channels; and the output of the command."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from lifeboat.base.errors import ChannelRefused, ChannelUnavailable, NoticeUndelivered
from lifeboat.cli.main import main
from lifeboat.config.load import Config
from lifeboat.notify import read_deliveries
from lifeboat.notify.deliver import is_told, tell, try_channels
from lifeboat.notify.notice import OPEN, RESOLVED, Notice
from support.processes import free_port
from support.sinks import WebSink

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
Made = Callable[..., Config]


def notice(state: str = OPEN, at: datetime = NOW, severity: str = "critical") -> Notice:
    return Notice(severity, "the subject", at, "the text\n", "the key", state, "main", "db1", "full", "1")


def dead(name: str = "dead", **more: Any) -> Dict[str, Any]:
    return {"name": name, "type": "slack", "webhook_url": f"http://localhost:{free_port()}/hidden-path", **more}


def hook(sink: WebSink, name: str = "hook", **more: Any) -> Dict[str, Any]:
    return {"name": name, "type": "webhook", "webhook_url": f"{sink.url}/{name}", **more}


def events(config: Config) -> List[Dict[str, Any]]:
    lines = Path(str(config.audit.file)).read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_where_one_fails_the_next_of_the_reserve_has_it(configure: Made, web: WebSink) -> None:
    reserve = [dead("too", severities=[]), hook(web, severities=[]), hook(web, "last", severities=[])]
    config = configure(dead(severities=["critical"]), *reserve, patience=1)
    done = tell(config, notice())
    assert done.delivered == ("hook",) and [s.channel for s in done.failed] == ["dead", "too"]
    assert [request.path for request in web.requests] == ["/hook"]


def test_a_failed_channel_is_notified_at_the_next_run_and_the_others_are_not(configure: Made, web: WebSink) -> None:
    with WebSink() as other:
        other.answers = [403]
        config = configure(hook(other, "first", severities=["critical"]), hook(web, "second"), repeat=3600)
        done = tell(config, notice())
        assert [s.channel for s in done.failed] == ["first"] and done.delivered == ("second",)
        done = tell(config, notice(at=NOW + timedelta(minutes=10)))
        assert (done.delivered, done.quiet) == (("first",), ("second",))
        done = tell(config, notice(at=NOW + timedelta(minutes=20)))
        assert (done.sent, done.quiet) == ((), ("first", "second"))
        assert (len(other.requests), len(web.requests)) == (2, 1)


def test_a_channel_that_hangs_holds_up_no_other_one(configure: Made, web: WebSink, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    wait = {"name": "slow", "type": "command", "argv": ["sh", "-c", f"until [ -e {gate} ]; do sleep 0.05; done"]}
    opens = {"name": "opens", "type": "command", "argv": ["touch", str(gate)]}
    assert tell(configure(wait, opens), notice()).delivered == ("slow", "opens")


def test_the_reserve_is_quiet_too(configure: Made, web: WebSink) -> None:
    config = configure(dead(severities=["critical"]), hook(web, severities=[]), patience=1)
    for minute in range(3):
        assert tell(config, notice(at=NOW + timedelta(minutes=minute))).known
    assert len(web.requests) == 1
    done = tell(config, notice(RESOLVED))
    assert done.delivered == ("hook",) and not is_told(config, "the key")


def test_nobody_has_it_until_somebody_took_it(configure: Made, web: WebSink) -> None:
    web.answers = [404]
    config = configure(hook(web))
    with pytest.raises(NoticeUndelivered) as caught:
        tell(config, notice()).require_known(notice())
    assert "404" in caught.value.message and caught.value.details == {"channels": {"hook": "channel_refused"}}
    assert not is_told(config, "the key")
    assert tell(config, notice(at=NOW + timedelta(minutes=1))).delivered == ("hook",)
    assert is_told(config, "the key")


def test_each_delivery_is_on_record(configure: Made, web: WebSink) -> None:
    config = configure(hook(web), dead(), patience=1)
    tell(config, notice())
    (event,) = events(config)
    assert (event["what"], event["result"], event["objects"]) == ("notice", "ok", ["hook"])
    assert event["details"] == {
        "severity": "critical", "state": "open", "failed": {"dead": "channel_unavailable"}, "key": "the key",
        "job": "full", "status": "1",
    }  # fmt: skip
    found = read_deliveries(str(config.notifications.state_dir))
    assert (found["hook"].last_success, found["hook"].failures) == (NOW, 0)
    assert (found["dead"].last_success, found["dead"].last_failure, found["dead"].failures) == (None, NOW, 1)
    assert found["dead"].error_code == "channel_unavailable"
    tell(configure(dead(), patience=1), notice())
    assert events(config)[-1]["error_code"] == "notice_undelivered"
    assert set(read_deliveries(str(config.notifications.state_dir))) == {"dead"}


def test_a_state_that_cannot_be_written_stops_no_notice(configure: Made, web: WebSink, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    config = configure(hook(web), state_dir=str(tmp_path / "file" / "state"))
    done = tell(config, notice())
    assert done.delivered == ("hook",) and str(tmp_path / "file") in done.unnoted


def test_a_mistake_in_one_channel_does_not_silence_the_others(configure: Made, web: WebSink) -> None:
    config = configure(dead("broken"), hook(web))

    def opener(channel: Any) -> Any:
        from lifeboat.notify.registry import open_channel

        if channel.name == "broken":
            raise KeyError("hidden")
        return open_channel(channel)

    done = tell(config, notice(), opener=opener)
    assert done.delivered == ("hook",) and "hidden" not in json.dumps(done.as_dict())


# --- programs -----------------------------------------------------------------------------------------------------


def test_a_program_gets_the_notice_twice_over(configure: Made, tmp_path: Path) -> None:
    words = f"cat >{tmp_path}/in; env | grep ^LIFEBOAT_ | sort >{tmp_path}/env"
    config = configure({"name": "own", "type": "command", "argv": ["sh", "-c", words]})
    assert tell(config, notice()).delivered == ("own",)
    assert json.loads((tmp_path / "in").read_text()) == notice().as_dict()
    assert {"LIFEBOAT_SEVERITY=critical", "LIFEBOAT_JOB=full", "LIFEBOAT_SUBJECT=the subject"} <= set(
        (tmp_path / "env").read_text().splitlines()
    )


@pytest.mark.parametrize(
    ("argv", "kind", "words"),
    [
        (["sh", "-c", "echo hidden; exit 3"], ChannelUnavailable, "status 3"),
        (["sh", "-c", "kill -9 $$"], ChannelUnavailable, "signal 9"),
        (["/nowhere/program"], ChannelRefused, "not found"),
        (["sleep", "60"], ChannelUnavailable, "did not end"),
    ],
)
def test_a_program_that_fails_has_not_delivered(configure: Made, argv: List[str], kind: Any, words: str) -> None:
    config = configure({"name": "own", "type": "command", "argv": argv, "timeout": 1}, patience=1)
    (sent,) = try_channels(config, {"own": notice()}).sent
    assert isinstance(sent.error, kind) and words in sent.error.message and "hidden" not in str(sent.error)


def test_apprise_itself_reaches_its_service(configure: Made, web: WebSink, tmp_path: Path) -> None:
    urls, program = tmp_path / "apprise.conf", tmp_path / "apprise"
    urls.write_text(f"json://{web.url.split('://', 1)[1]}/hidden-path\n")
    real = Path(sys.executable).parent / "apprise"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/argv\nexec {real} "$@"\n')
    program.chmod(0o755)
    channel = {"name": "any", "type": "apprise", "config_file": str(urls), "program": str(program), "timeout": 60}
    assert tell(configure(channel), notice()).delivered == ("any",)
    got = json.loads(web.requests[0].body)
    assert (got["title"], got["message"].strip(), got["type"]) == ("[lifeboat] the subject", "the text", "failure")
    assert "hidden" not in (tmp_path / "argv").read_text()
    web.then = 500
    (sent,) = try_channels(configure(channel), {"any": notice()}).sent
    assert isinstance(sent.error, ChannelUnavailable) and "hidden" not in str(sent.error)
    urls.unlink()
    (sent,) = try_channels(configure(channel), {"any": notice()}).sent
    assert isinstance(sent.error, ChannelRefused) and str(urls) in sent.error.message


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def lifeboat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs ``lifeboat notify``: its status, and its output."""

    def run(config: Config, *words: str, text: str = "") -> tuple[int, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        status = main(["--config", str(config.source), "notify", *words])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


Lifeboat = Callable[..., tuple[int, str]]


def test_a_test_says_which_channels_delivered(configure: Made, web: WebSink, lifeboat: Lifeboat) -> None:
    config = configure(hook(web, severities=[]), dead())
    status, said = lifeboat(config, "test")
    assert status == 1 and "hook: delivered" in said and "dead: NOT DELIVERED" in said and "hidden" not in said
    assert "[channel_unavailable]" in said
    assert json.loads(web.requests[0].body)["subject"].endswith("test of channel hook for cluster main")
    status, said = lifeboat(config, "test", "--channel", "hook")
    assert status == 0 and "dead" not in said.replace("no record", "")
    status, said = lifeboat(config, "test", "--channel", "nobody")
    assert status == 1 and "Unknown channel 'nobody'" in said
    assert lifeboat(configure(), "test")[0] == 1


def test_a_notice_of_a_person(configure: Made, web: WebSink, lifeboat: Lifeboat) -> None:
    config = configure(hook(web, severities=["critical"]))
    words = ("send", "--severity", "critical", "--subject", "The disk\nis full", "--key", "disk")
    assert lifeboat(config, *words, text="100 %")[0] == 0
    assert lifeboat(config, *words, text="100 %")[0] == 0
    (request,) = web.requests
    got = json.loads(request.body)
    assert (got["subject"], got["text"], got["key"], got["state"]) == ("The disk is full", "100 %", "disk", "open")
    assert lifeboat(config, *words, "--resolved")[0] == 0
    assert json.loads(web.requests[1].body)["state"] == "resolved"
    status, said = lifeboat(config, "send", "--severity", "info", "--subject", "x")
    assert status == 1 and "[notice_undelivered]" in said
    status, said = lifeboat(config, "send", "--severity", "info", "--subject", "x", "--resolved")
    assert status == 1 and "--key" in said
    web.then = 403
    status, said = lifeboat(config, "send", "--severity", "critical", "--subject", "x")
    assert status == 1 and "No channel delivered 'x'" in said


def test_a_job_is_told_of_when_it_fails_and_when_it_is_well_again(
    configure: Made, web: WebSink, lifeboat: Lifeboat, tmp_path: Path
) -> None:
    config = configure(hook(web))
    for status in ("0", "1", "1", "KILL", "0", "0"):
        assert lifeboat(config, "job", "--job", "full", "--status", status, text="last words")[0] == 0
    told = [json.loads(request.body) for request in web.requests]
    assert [(t["status"], t["state"]) for t in told] == [("1", "open"), ("KILL", "open"), ("0", "resolved")]
    assert told[0]["text"] == "last words" and told[0]["job"] == "full"
    (tmp_path / "words").write_text("from a file")
    assert lifeboat(config, "job", "--job", "sync", "--status", "2", "--text", str(tmp_path / "words"))[0] == 0
    assert json.loads(web.requests[-1].body)["text"] == "from a file"
    assert lifeboat(config, "job", "--job", "full", "--status", "1\n2")[0] == 1
    assert lifeboat(configure(), "job", "--job", "full", "--status", "1")[0] == 0


def test_a_success_is_told_of_where_that_is_wanted(configure: Made, web: WebSink, lifeboat: Lifeboat) -> None:
    config = configure(hook(web), hook(web, "alarms", severities=["critical"]), on_success=["full"])
    for job, status in (("full", "0"), ("sync", "0"), ("full", "0"), ("full", "1"), ("full", "0")):
        assert lifeboat(config, "job", "--job", job, "--status", status)[0] == 0
    told = [(request.path, json.loads(request.body)) for request in web.requests]
    assert [(t["severity"], t["state"]) for path, t in told if path == "/hook"] == [
        ("info", "open"), ("info", "open"), ("critical", "open"), ("critical", "resolved"),
    ]  # fmt: skip
    alarms = [t["state"] for path, t in told if path == "/alarms"]
    assert alarms == ["open", "resolved"]


def test_a_job_of_which_nobody_could_be_told_ends_with_1(configure: Made, web: WebSink, lifeboat: Lifeboat) -> None:
    config = configure(hook(web))
    web.then = 404
    status, said = lifeboat(config, "job", "--job", "full", "--status", "1")
    assert status == 1 and "[notice_undelivered]" in said
    web.then = 200
    assert lifeboat(config, "job", "--job", "full", "--status", "1")[0] == 0
    assert len(web.requests) == 2
