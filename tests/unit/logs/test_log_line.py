# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines keep their text and time; security events go to the security stream."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import parse as parse_config
from lifeboat.config.logs import SECURITY_LINES, is_security_entry
from lifeboat.logs.line import as_text, dump, file_line, journal_line, own_time, parse

NOW = datetime(2026, 11, 23, 14, 2, 3, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("message", "moment"),
    [
        ("2026-11-23 14:02:03.125 UTC [7] LOG:  ready", "2026-11-23T14:02:03.125000+00:00"),
        ("2026-11-23T15:02:03+01:00 host sshd: x", "2026-11-23T14:02:03+00:00"),
        ("[2026-11-23 09:02:03,5 -0500] x", "2026-11-23T14:02:03.500000+00:00"),
        ("2026-11-23 14:02:03+00 x", "2026-11-23T14:02:03+00:00"),
        ("2026-11-23 14:02:03 CET x", None),
        ("2026-13-23 14:02:03Z x", None),
        ("0001-01-01 00:00:00+14:00 x", None),
        ("x 2026-11-23 14:02:03Z", None),
    ],
)
def test_a_line_tells_its_own_time_where_it_says_its_zone(message: str, moment: str | None) -> None:
    found = own_time(message)
    assert (found.isoformat() if found else None) == moment


@given(st.binary(max_size=200).filter(lambda raw: b"\n" not in raw))
def test_whatever_a_line_holds_it_can_be_stored(raw: bytes) -> None:
    line = file_line(as_text(raw), "app", "/x", "db1", NOW)
    assert parse(dump([line, line])) == [line, line]


def test_entries_of_the_journal() -> None:
    entry = {
        "__CURSOR": "s=1;i=2", "__REALTIME_TIMESTAMP": "1795442523000001", "MESSAGE": [104, 105, 255],
        "_SYSTEMD_UNIT": "ssh.service", "SYSLOG_IDENTIFIER": "sshd", "_PID": "7", "PRIORITY": "6",
        "SYSLOG_FACILITY": "10",
    }  # fmt: skip
    assert journal_line(entry, "system", "db1") == {
        "time": "2026-11-23T14:02:03.000001Z", "host": "db1", "stream": "system", "source": "journal",
        "message": "hi\\xff", "unit": "ssh.service", "identifier": "sshd", "pid": "7", "priority": 6,
    }  # fmt: skip
    assert is_security_entry(entry)
    assert is_security_entry({"SYSLOG_FACILITY": "10"}) and is_security_entry({"SYSLOG_IDENTIFIER": "lifeboat-audit"})
    assert is_security_entry({"SYSLOG_IDENTIFIER": "sudo"}) and not is_security_entry({"MESSAGE": "sudo"})
    assert journal_line({"__REALTIME_TIMESTAMP": "0", "MESSAGE": None}, "system", "db1")["message"] == ""


@pytest.mark.parametrize(
    ("message", "security"),
    [
        ("LOG:  connection received: host=10.0.0.1 port=5", True),
        ("LOG:  connection authorized: user=app database=shop", True),
        ("LOG:  disconnection: session time: 0:00:01", True),
        ('FATAL:  password authentication failed for user "app"', True),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', True),
        ("LOG:  statement: DROP TABLE orders", True),
        ("LOG:  execute <unnamed>: /* app */ alter table orders add x int", True),
        ("LOG:  AUDIT: SESSION,1,1,READ,SELECT", True),
        ("LOG:  statement: SELECT 'drop table'", False),
        ("LOG:  checkpoint complete", False),
        ("LOG:  statement: SELECT created FROM orders", False),
    ],
)
def test_what_of_postgresql_is_security(message: str, security: bool) -> None:
    assert bool(re.search(SECURITY_LINES, message, re.IGNORECASE)) is security


def test_the_journal_with_and_without_matches_and_what_is_shipped_by_default() -> None:
    repositories = [{"type": "directory", "path": "/x"}]
    sources = [{"stream": "system", "journal": []}, {"stream": "app", "journal": ["_UID=7"], "files": ["/x"]}]
    found = parse_config({"cluster": "main", "repositories": repositories, "logs": {"sources": sources}}).logs
    assert [(s.journal, s.files) for s in found.sources] == [((), ()), (("_UID=7",), ("/x",))]
    default = parse_config({"cluster": "main", "repositories": repositories, "logs": {}}).logs
    assert [s.stream for s in default.sources] == ["system", "postgresql", "nginx"]
    assert parse_config({"cluster": "main", "repositories": repositories}).logs.sources == ()


@pytest.mark.parametrize(
    ("logs", "words"),
    [
        ({"sources": [{"stream": "a/b", "files": ["/x"]}]}, "logs.sources[0].stream is 'a/b'"),
        ({"sources": [{"stream": "a"}]}, "neither files nor journal"),
        ({"sources": [{"stream": "a", "files": ["x.log"]}]}, "the relative path 'x.log'"),
        ({"sources": [{"stream": "a", "files": "/x"}]}, "must be a list of strings"),
        ({"sources": [], "interval": 90}, "logs.interval is 90"),
        ({"spool_mb": 0}, "logs.spool_mb is 0"),
        ({"security": "("}, "not a regular expression"),
        ({"sources": "x"}, "logs.sources must be a list"),
        ([], "must be a mapping"),
    ],
)
def test_unsuitable_log_sources_are_refused(logs: object, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config({"cluster": "main", "repositories": [{"type": "directory", "path": "/x"}], "logs": logs})
    assert words in refused.value.message and refused.value.hint
