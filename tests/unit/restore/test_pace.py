# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The estimate for a restore: from measurements, if there are any."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.errors import ObjectCorrupt
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.records.fields import Fields
from lifeboat.repository.repository import Repository
from lifeboat.restore.marker import MARKER
from lifeboat.restore.pace import Pace, estimate_seconds, last_pace, pace_of
from support.records import a_backup

MEASURED: Dict[str, Any] = {
    "bytes_restored": 400_000_000,
    "segments": 100,
    "timings": {"extract": 6.0, "verify": 2.0, "recover": 5.0},
}


def test_a_whole_restore_says_how_fast_the_next_one_is() -> None:
    assert pace_of(Fields(MEASURED, "x"), "then") == Pace(50e6, 0.05, "then")
    backup = a_backup(0, 1, 40, 400)
    seconds, basis = estimate_seconds((backup,), 40, Pace(backup.data_size / 7, 0.05, "then"))
    assert seconds == pytest.approx(7 + 2 + 3)
    assert "then" in basis and "0.05 s a segment" in basis


@pytest.mark.parametrize(
    "change",
    [{"timings": {"compare": 1.0, "extract": 2.0}}, {"timings": {"recover": 5.0}}, {"bytes_restored": 0}],
)
def test_a_delta_restore_and_one_that_fetched_nothing_say_nothing(change: Dict[str, Any]) -> None:
    assert pace_of(Fields({**MEASURED, **change}, "x"), "then") is None


@pytest.mark.parametrize("seconds", [9e18, 5e-324])
def test_no_number_of_a_record_makes_a_forecast_endless(seconds: float) -> None:
    wild = {"bytes_restored": 1, "segments": 10, "timings": {"extract": seconds, "recover": 9e18}}
    assert pace_of(Fields(wild, "x"), "then") is None
    backup = a_backup(0, 1, 40, 400)
    for measured in (None, Pace(1e3, 9e18, "then")):
        told, _basis = estimate_seconds((replace(backup, timings={"stream": 9e18}),), 40, measured)
        assert timedelta(seconds=told) < timedelta(days=365 * 50)


def test_a_few_segments_say_nothing_of_replay() -> None:
    assert pace_of(Fields({**MEASURED, "segments": 3}, "x"), "then") == Pace(50e6, None, "then")


@pytest.mark.parametrize("change", [{"timings": {"extract": -1.0}}, {"segments": "many"}, {"timings": None}])
def test_nonsense_is_damage(change: Dict[str, Any]) -> None:
    with pytest.raises(ObjectCorrupt):
        pace_of(Fields({**MEASURED, **change}, "x"), "then")


def test_the_last_restore_here_counts_before_the_newest_test(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    repository = Repository.open(RepositoryConfig("near", DirectoryOptions(str(tmp_path / "store"))), "main")
    layout = repository.layout
    old, failed = (f"{layout.restore_tests}2026110{day}T000000Z-{day:08x}.json" for day in (1, 2))
    repository.put_record(old, {"format": 1, "ended_at": "2026-11-01T00:00:00Z", "restored": MEASURED})
    repository.put_record(failed, {"format": 1, "ended_at": "2026-11-02T00:00:00Z", "restored": None})
    repository.store.put(f"{layout.restore_tests}zzz", b"junk")
    for number in range(4):
        future = {"format": 1, "ended_at": "2299-01-01T00:00:00Z", "restored": {**MEASURED, "bytes_restored": 8e12}}
        repository.put_record(f"{layout.restore_tests}22990101T000000Z-{number:08x}.json", future)
    data = tmp_path / "data"
    data.mkdir()
    found = last_pace(repository, str(data))
    assert found and found.source == "as in the restore test of 2026-11-01T00:00:00Z"

    (data / MARKER).write_text(json.dumps({"finished": True, "result": {**MEASURED, "segments": 10}}))
    os.utime(data / MARKER, (0, 0))
    assert last_pace(repository, str(data)) == Pace(50e6, 0.5, "as in the restore of 1970-01-01T00:00:00Z")

    # A delta restore says nothing; nor does what is no file, or would never end.
    (data / MARKER).write_text(json.dumps({"result": {**MEASURED, "timings": {"compare": 1.0, "extract": 1.0}}}))
    assert last_pace(repository, str(data)) == found
    (data / MARKER).unlink()
    os.mkfifo(data / MARKER)
    assert last_pace(repository, str(data)) == found
