# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery is compared with the plan: if it ended elsewhere than at the target, it is refused."""

from __future__ import annotations

import os
from typing import Any, Dict, Optional

import pytest
from lifeboat.base.errors import RecoveryFailed
from lifeboat.base.wal_names import Segment, parse_lsn
from lifeboat.postgres.timeline import Step, TimelinePath
from lifeboat.records.model import Target, format_time
from lifeboat.restore.recover import Reached, require_reached, sync_settings
from lifeboat.restore.request import RestorePlan, RestoreRequest
from lifeboat.wal.inventory import Run
from support.records import a_backup, moment

RUN = Run(
    segments=tuple(Segment(1, n) for n in range(2, 6)),
    stored_bytes=400,
    archived_at=moment(100),
    first_needed=Segment(1, 2),
)
AT = "0/4000100"


def a_plan(target: Target, located: Optional[str] = None, **more: Any) -> RestorePlan:
    """To a target after the backup, on timeline 1, with WAL up to 0/6000000."""
    values: Dict[str, Any] = {
        "request": RestoreRequest(target=target),
        "target": target,
        "repository": "repo",
        "passed_over": (),
        "chain": (a_backup(),),
        "path": TimelinePath((Step(1, None),)),
        "run": RUN,
        "data_dir": "/data",
        "places": (),
        "archiving": False,
        "segments_needed": 4,
        "estimated_seconds": 1.0,
        "located": parse_lsn(located) if located else None,
    }
    return RestorePlan(**{**values, **more})


def reached(lsn: str, seconds: Optional[float] = None, timeline: int = 2, parent: int = 1) -> Reached:
    return Reached(parse_lsn(lsn), None if seconds is None else moment(seconds), timeline, parent, "", 1)


@pytest.mark.parametrize(
    ("plan", "end"),
    [
        (a_plan(Target("latest")), reached("0/5000000")),
        (a_plan(Target("latest")), reached("0/6000000")),
        (a_plan(Target("immediate")), reached("0/2000100")),
        (a_plan(Target("time", format_time(moment(50)))), reached(AT, 50)),
        (a_plan(Target("time", format_time(moment(50)))), reached(AT)),
        (a_plan(Target("lsn", AT), AT), reached(AT)),
        (a_plan(Target("lsn", AT), AT), reached("0/4000180")),
        (a_plan(Target("lsn", AT, inclusive=False), AT), reached("0/40000C0")),
        (a_plan(Target("name", "deploy"), AT), reached("0/4000168")),
    ],
)
def test_the_target_is_accepted(plan: RestorePlan, end: Reached) -> None:
    require_reached(plan, end)


@pytest.mark.parametrize(
    ("plan", "end", "named"),
    [
        (a_plan(Target("latest")), reached("0/4FFFFF0"), "the archive reaches 0/6000000"),
        (a_plan(Target("immediate")), reached("0/20000F8"), "before the backup's end at 0/2000100"),
        (a_plan(Target("time", format_time(moment(50)))), reached(AT, 50.000001), "the last replayed commit is at"),
        (a_plan(Target("lsn", AT), AT), reached("0/40000C0"), f"before the target at {AT}"),
        (a_plan(Target("lsn", AT, inclusive=False), AT), reached("0/4000180"), f"after the target at {AT}"),
        (a_plan(Target("xid", "742"), AT), reached("0/3000000"), f"before the target at {AT}"),
        (a_plan(Target("name", "deploy"), AT), reached("0/40000F8"), f"before the target at {AT}"),
        (a_plan(Target("latest")), reached("0/6000000", parent=3, timeline=4), "it followed timeline 3 instead of 1"),
        (
            a_plan(Target("latest"), path=TimelinePath((Step(1, parse_lsn("0/5000000")), Step(2, None)))),
            reached("0/5800000", parent=1, timeline=3),
            "it followed timeline 1 instead of 2",
        ),
    ],
)
def test_an_end_elsewhere_is_refused(plan: RestorePlan, end: Reached, named: str) -> None:
    with pytest.raises(RecoveryFailed) as refused:
        require_reached(plan, end)
    assert named in refused.value.message
    assert "Do not use this server" in refused.value.hint


@pytest.mark.parametrize(
    ("system", "release", "syncfs"),
    [
        ("Linux", "5.8.0-63-generic", True),
        ("Linux", "6.1.0-18-amd64", True),
        ("Linux", "5.10", True),
        ("Linux", "5.7.19", False),
        ("Linux", "4.18.0-553.el8.x86_64", False),
        ("Linux", "unknown", False),
        ("Darwin", "23.5.0", False),
    ],
)
def test_whole_file_systems_are_made_durable_only_where_errors_are_reported(
    system: str, release: str, syncfs: bool
) -> None:
    uname = os.uname_result((system, "host", release, "#1", "x86_64"))
    assert sync_settings(uname) == ({"recovery_init_sync_method": "syncfs"} if syncfs else {})
