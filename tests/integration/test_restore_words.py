# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore reports about commits is true: the last existing, the reachable, and the reached one."""

from __future__ import annotations

from pathlib import Path

import pytest
from lifeboat.base.errors import TargetUnreachable
from lifeboat.base.wal_names import format_lsn, parse_lsn
from lifeboat.cli.commands.restore import describe_plan
from lifeboat.records.model import Target, format_time
from support.ledger import expected, rows
from support.lost import Copy, Lost

pytestmark = pytest.mark.integration


def test_an_lsn_after_the_end_is_refused_with_the_last_commit(lost: Lost, copy: Copy, tmp_path: Path) -> None:
    with pytest.raises(TargetUnreachable) as caught:
        copy.plan(tmp_path / "data", Target("lsn", "FF/0"))
    assert caught.value.details["latest"] == format_time(lost.entries[-1].committed)
    assert "no commit" not in caught.value.message
    # What is named as the last LSN can be reached.
    last = str(caught.value.details["latest_lsn"])
    copy.plan(tmp_path / "data", Target("lsn", last))
    with pytest.raises(TargetUnreachable):
        copy.plan(tmp_path / "data", Target("lsn", format_lsn(parse_lsn(last) + 1)))


def test_the_time_of_the_last_commit_is_reported_as_such(lost: Lost, copy: Copy, tmp_path: Path) -> None:
    last = format_time(lost.entries[-1].committed)
    words = describe_plan(copy.plan(tmp_path / "data", Target("time", format_time(lost.entries[-2].committed))))
    assert f"to just before {last}" in words
    with pytest.raises(TargetUnreachable) as caught:
        copy.plan(tmp_path / "data", Target("time", last))
    assert "is after" not in caught.value.message
    assert "last archived commit itself" in caught.value.message
    copy.plan(tmp_path / "data", Target("time", last, inclusive=False))


@pytest.mark.parametrize("action", ["promote", "pause"])
def test_a_commit_that_recovery_stopped_behind_is_the_last_one(
    lost: Lost, copy: Copy, action: str
) -> None:
    clone = lost.site.clone(f"words {action}")
    target = lost.entries[-3]
    ran = copy.restore(clone, "--lsn", target.lsn, "--action", action)
    assert rows(clone) == expected(lost.entries[:-2])
    assert ran.data["restore"]["reached_time"] == format_time(target.committed)
    clone.stop("immediate")
