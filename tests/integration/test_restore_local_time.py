# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A target time without a zone is interpreted as PostgreSQL does, or refused with its interpretations."""

from __future__ import annotations

import contextlib
import json
from datetime import timezone
from pathlib import Path
from typing import List

import pytest
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import DirectoryOptions
from lifeboat.records.model import Target, format_time, seal_record
from lifeboat.restore.request import RestoreRequest
from support.installations import Installation
from support.lost import Copy
from support.postgres import Sites

pytestmark = pytest.mark.integration
TWICE, NEVER = "2026-10-25 02:30:00", "2026-03-29 02:30:00"
POSIX = "XYZ-3"


def live_in(copy: Copy, zone: str) -> None:
    """Pretend that the backups are of a server with this TimeZone."""
    for path in copy.root.glob("backups/*/manifest.json"):
        record = json.loads(path.read_text())
        record["requirements"]["settings"]["TimeZone"] = zone
        path.chmod(0o600)
        path.write_bytes(seal_record(record))


@pytest.mark.parametrize(
    ("zone", "time", "readings"),
    [
        ("Europe/Berlin", TWICE, ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]),
        ("Europe/Berlin", NEVER, ["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]),
        (POSIX, "2026-10-25 12:00:00", []),
    ],
)
def test_an_ambiguous_time_is_refused_without_a_server_to_interpret_it(
    copy: Copy, tmp_path: Path, zone: str, time: str, readings: List[str]
) -> None:
    live_in(copy, zone)
    with pytest.raises(ConfigError) as caught:
        copy.plan(tmp_path / "data", Target("time", time))
    assert zone in caught.value.message
    assert [reading in caught.value.message for reading in readings] == [True] * len(readings)
    assert all(reading in caught.value.hint for reading in readings[:1])


@pytest.mark.parametrize(("zone", "time"), [("Europe/Berlin", TWICE), ("Europe/Berlin", NEVER), (POSIX, TWICE)])
def test_a_running_server_interprets_an_ambiguous_time(
    sites: Sites, postgres: Installation, tmp_path: Path, zone: str, time: str
) -> None:
    from lifeboat.restore.local_time import resolve

    (tmp_path / "repository").mkdir()
    site = sites(postgres, DirectoryOptions(str(tmp_path / "repository")))
    with contextlib.closing(site.cluster.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"SET TimeZone = '{zone}'")
        cursor.execute(f"SELECT timestamptz '{time}'")
        row = cursor.fetchone()
    target, notes = resolve(site.config, zone, RestoreRequest(Target("time", time)).target)
    assert target.value == format_time(row[0].astimezone(timezone.utc))
    assert zone in notes[0]
