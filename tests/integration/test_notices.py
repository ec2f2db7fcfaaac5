# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real backup fails: people are notified of the reason, which every repository records, even after an outage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import free_port
from support.sinks import WebSink

pytestmark = pytest.mark.integration


@pytest.fixture
def sink() -> Iterator[WebSink]:
    with WebSink() as server:
        yield server


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path, sink: WebSink) -> Site:
    """A cluster with two repositories and a channel."""
    (tmp_path / "cold").mkdir()
    channel = {"name": "hook", "type": "webhook", "webhook_url": sink.url}
    return sites(
        newest_postgres, s3_options, DirectoryOptions(str(tmp_path / "cold")), segment_mb=1,
        options={
            "audit": {"file": str(tmp_path / "audit.jsonl"), "syslog": ""},
            "notifications": {"state_dir": str(tmp_path / "state"), "channels": [channel]},
        },
    )  # fmt: skip


def told(sink: WebSink) -> List[Dict[str, Any]]:
    return [json.loads(request.body) for request in sink.requests]


def fail(site: Site, words: Path) -> None:
    """A backup of a stopped server, and its messages."""
    site.cluster.stop()
    words.write_text(site.lifeboat("backup", status=1).stderr)


def test_why_a_backup_failed_is_reported_and_is_on_record_everywhere(site: Site, tmp_path: Path, sink: WebSink) -> None:
    site.backup()
    words = tmp_path / "words"
    fail(site, words)
    for _run in range(2):
        site.lifeboat("notify", "job", "--job", "full", "--status", "1", "--text", str(words))
    site.cluster.start()
    site.backup()
    site.lifeboat("notify", "job", "--job", "full", "--status", "0", "--text", str(words))
    assert [(t["severity"], t["state"]) for t in told(sink)] == [("critical", "open"), ("critical", "resolved")]
    assert told(sink)[0]["text"] == words.read_text().rstrip() and words.read_text()
    events = site.lifeboat("audit", "list", "--what", "notice").data["events"]
    assert [(e["result"], e["objects"], e["details"]["state"]) for e in events] == [
        ("ok", ["hook"], "open"), ("ok", ["hook"], "resolved"),
    ]  # fmt: skip
    verified = site.lifeboat("audit", "verify").data
    assert verified["intact"] and len(set(verified["events"].values())) == 1


def test_an_unreachable_store_is_reported_nevertheless(site: Site, tmp_path: Path, sink: WebSink) -> None:
    site.backup()
    site.repositories[0]["endpoint_url"] = f"http://127.0.0.1:{free_port()}"
    site.write()
    words = tmp_path / "words"
    words.write_text(site.lifeboat("backup", status=1).stderr)
    site.lifeboat("notify", "job", "--job", "full", "--status", "1", "--text", str(words))
    assert "store_unavailable" in told(sink)[0]["text"]
    (event,) = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()][-1:]
    assert (event["what"], event["objects"]) == ("notice", ["hook"])
