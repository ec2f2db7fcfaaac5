# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root's notices where another user can write: they are delivered, and root follows no link."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import ChannelRefused
from lifeboat.config.load import Config, parse
from lifeboat.notify import read_deliveries
from lifeboat.notify.deliver import tell, try_channels
from lifeboat.notify.notice import Notice
from support.principal import SECRET, Principal
from support.sinks import WebSink

NOTICE = Notice("critical", "subject", datetime(2026, 11, 27, tzinfo=timezone.utc), "text", "key")


def config(place: Path, state_dir: Path, channel: Dict[str, Any]) -> Config:
    return parse(
        {
            "cluster": "main",
            "repositories": [{"type": "directory", "path": str(place)}],
            "audit": {"file": str(place / "audit.jsonl"), "syslog": ""},
            "notifications": {"state_dir": str(state_dir), "patience": 1, "channels": [channel]},
        }
    )


def test_a_state_in_a_directory_of_somebody_else_is_not_written(
    place: Path, theirs: Path, inner: Path, postgres: Principal
) -> None:
    for name in ("state.json", "state.lock"):
        postgres.run(partial(os.symlink, inner / name, theirs / name))
    with WebSink() as sink:
        done = tell(config(place, theirs, {"name": "hook", "type": "webhook", "webhook_url": sink.url}), NOTICE)
        assert done.delivered == ("hook",) and str(theirs) in done.unnoted
        assert os.listdir(inner) == []
        own = place / "own" / "main"
        done = tell(config(place, own, {"name": "hook", "type": "webhook", "webhook_url": sink.url}), NOTICE)
        assert done.delivered == ("hook",) and not done.unnoted
        assert read_deliveries(str(own))["hook"].delivered == 1
        assert own.stat().st_mode & 0o022 == 0


@pytest.mark.parametrize("kind", ["webhook", "apprise"])
def test_a_secret_is_not_read_through_a_link_of_somebody_else(
    place: Path, theirs: Path, shadow: Path, postgres: Principal, kind: str
) -> None:
    link = theirs / "link"
    postgres.run(lambda: link.symlink_to(shadow))
    with WebSink() as sink:
        channels: Dict[str, Dict[str, Any]] = {
            "webhook": {"webhook_url": sink.url, "secret_file": str(link)},
            "apprise": {"config_file": str(link), "program": "/bin/cat"},
        }
        made = config(place, place / "state", {"name": "it", "type": kind, **channels[kind]})
        (sent,) = try_channels(made, {"it": NOTICE}).sent
        assert isinstance(sent.error, ChannelRefused) and str(link) in sent.error.message
        assert SECRET not in str(sent.error) and sink.requests == []
