# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two requests are the same restore, and what a marker means for the files around it."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.records.model import Target
from lifeboat.restore.marker import MARKER, control_digest, fingerprint, identify, unfinished_places, write_marker
from lifeboat.restore.request import RestoreRequest

USUAL = RestoreRequest(Target("latest"))
#: Every field of a request, and another value of those that decide what comes back.
OTHER: Dict[str, Any] = {
    "label": "20261122T020000Z-full", "tablespaces": {"/a": "/b"}, "action": "pause", "archiving": "on",
    "settings": {"port": 1}, "delta": True, "pieces": False, "erasures": False, "wal_dir": "/wal",
}  # fmt: skip
#: How it is done, who asks, and what has a word of its own in the fingerprint.
NOT_OF_THE_RESULT = {
    "target", "data_dir", "existing", "leave", "timeout", "assume_stopped", "confirm_erasures", "unconfirmed",
    "request_id",
}  # fmt: skip


def test_all_that_decides_what_comes_back_makes_another_request() -> None:
    assert {f.name for f in fields(RestoreRequest)} == {*OTHER, *NOT_OF_THE_RESULT}
    usual = fingerprint(USUAL, "latest", "/data")
    for name, value in OTHER.items():
        there = replace(USUAL, target=Target("immediate"), **{name: value})
        assert fingerprint(there, "latest", "/data") != usual, name
    assert fingerprint(USUAL, "immediate", "/data") != usual
    assert fingerprint(USUAL, "latest", "/elsewhere") != usual
    assert fingerprint(replace(USUAL, target=Target(timeline="2")), "latest", "/data") != usual
    assert fingerprint(USUAL, "latest", "/data", datetime.now(timezone.utc)) != usual
    same = replace(USUAL, leave="stopped", existing="move_aside", timeout=1.0, assume_stopped=True)
    assert fingerprint(same, "latest", "/data") == usual


def test_an_id_is_not_empty() -> None:
    with pytest.raises(ConfigError, match="request_id"):
        replace(USUAL, request_id=" ")


@pytest.mark.parametrize("kind", ["latest", "immediate", "name"])
def test_there_is_no_moment_before_these_targets(kind: str) -> None:
    with pytest.raises(ConfigError, match=kind):
        RestoreRequest(Target(kind, "point" if kind == "name" else None, inclusive=False))


def test_a_mark_alone_clears_nothing(tmp_path: Path) -> None:
    top, space = tmp_path / "data", tmp_path / "space"
    for made in (top, space):
        made.mkdir()
    data, places = str(top), [str(top), str(space)]
    mark = {"finished": False, "places": identify([str(space)])}
    assert unfinished_places(None, data) == []
    write_marker(data, mark)
    assert unfinished_places(None, data) == places, "nothing of a cluster is there yet"
    control, label = top / "global" / "pg_control", top / "backup_label"
    control.parent.mkdir()
    control.write_bytes(b"in production")
    assert unfinished_places(None, data) == [], "it may be in use"
    write_marker(data, {**mark, "left": control_digest(data)})
    assert unfinished_places(None, data) == places, "as a failed restore left it"
    control.write_bytes(b"in production, later")
    assert unfinished_places(None, data) == [], "used since"
    label.touch()
    for older, found in ((60, places), (-60, [])):
        at = (top / MARKER).stat().st_mtime - older
        os.utime(control, (at, at))
        assert unfinished_places(None, data) == found
    label.unlink()
    write_marker(data, {**mark, "finished": True})
    assert unfinished_places(None, data) == []


def test_a_directory_that_another_restore_made_anew_is_not_cleared(tmp_path: Path) -> None:
    data, wal = tmp_path / "data", tmp_path / "wal"
    for made in (data, wal):
        made.mkdir()
    write_marker(str(data), {"finished": False, "places": identify([str(wal)])})
    assert unfinished_places(None, str(data)) == [str(data), str(wal)]
    wal.rename(tmp_path / "wal.before")
    assert unfinished_places(None, str(data)) == [str(data)]
    wal.mkdir()
    assert unfinished_places(None, str(data)) == [str(data)]
