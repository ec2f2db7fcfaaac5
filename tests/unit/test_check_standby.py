# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check`` on a standby, what becomes of it in the metrics, and who is deposed."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Dict, List, Optional

import pytest
from lifeboat.check import Check, ServerState
from lifeboat.check.standby import judge
from lifeboat.config.load import Config, DirectoryOptions, RepositoryConfig
from lifeboat.metrics import host_samples
from lifeboat.postgres.facts import Position
from lifeboat.restore import StandbyStatus, StandbyStored

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
FED = Position(1000, NOW, 1, "not paused")


def status(at: Position = FED, end: int = 1000, since: float = 0.0, **more: object) -> StandbyStatus:
    waiting = NOW - timedelta(seconds=since) if end > at.lsn else None
    return StandbyStatus(at, StandbyStored("far", 1, end, end, waiting, **more), NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "rpo", "said", "words"),
    [
        (status(), None, "ok", "replayed to 0/3E8"),
        (status(end=2_000_000, since=5), 60.0, "ok", "2.0 MB behind repository far"),
        (status(end=2_000_000, since=61), 60.0, "warning", "longer than the RPO"),
        (status(end=2_000_000, since=61), None, "ok", "behind"),
        (status(Position(1000, NOW, 1, "paused")), None, "warning", "paused"),
        (status(missing=("000000010000000000000005",)), None, "warning", "000000010000000000000005"),
        (status(left_at=500), None, "warning", "before this standby's position"),
        # As it waits for a segment, pieces are all that there is of it.
        (status(only_pieces=("000000010000000000000005",)), 60.0, "ok", "replayed"),
    ],
)
def test_a_standby_is_judged_by_what_does_not_go_by(
    found: StandbyStatus, rpo: Optional[float], said: str, words: str
) -> None:
    check = judge(found, rpo)
    assert (check.check, check.status) == ("standby", said) and words in check.message
    assert bool(check.hint) == (said != "ok") and check.value == found.lag_seconds


def samples(*checks: Check, lag: Optional[float] = None) -> Dict[str, float]:
    config = Config("main", (RepositoryConfig("near", DirectoryOptions(str(Path("/nowhere")))),))
    made = host_samples(config, ServerState(lag=lag), list(checks), {}, {}, NOW)
    return {metric.name: value for metric, _labels, value in made}


def test_the_longer_lag_counts() -> None:
    behind = Check("standby", "ok", "", value=30.0)
    assert samples(behind)["standby_lag_seconds"] == 30
    assert samples(behind, lag=40.0)["standby_lag_seconds"] == 40
    assert samples(behind, lag=0.0)["standby_lag_seconds"] == 30
    assert "standby_lag_seconds" not in samples()


def test_only_a_primary_of_another_site_is_deposed() -> None:
    def said(*found: Check) -> List[Optional[float]]:
        made = samples(*found)
        return [made.get("leader_deposed"), made.get("leader_epoch")]

    conflict = Check("leadership", "critical", "Repositories have different epochs.")
    assert said(Check("leadership", "critical", "", value=2.0)) == [1, 2]
    assert said(Check("leadership", "ok", "", value=2.0)) == [0, 2]
    # Nobody has claimed to lead.
    assert said(Check("leadership", "warning", "", value=0.0)) == [0, 0]
    assert said(Check("leadership", "ok", "", value=2.0), conflict) == [0, 2]
    assert said(Check("leadership", "warning", "unknown")) == [None, None] == said()
