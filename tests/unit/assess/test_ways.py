# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single ways back: what is not known about the server is not taken for a fault of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from lifeboat.assess.commands import tables
from lifeboat.assess.decide import decide
from lifeboat.assess.facts import Asked, Backup, Facts, Place, Server, Span
from lifeboat.assess.way import Lasts, Loss, Way, ranked

NOW = datetime(2026, 11, 22, 14, tzinfo=timezone.utc)
BEGIN = NOW - timedelta(days=1)
PLACE = Place(
    "near", "s3://near/shop", spans=(Span(1, "b1", BEGIN, NOW - timedelta(seconds=90)),),
    backups=(Backup("b1", BEGIN, 600.0, "100 MB/s", 10**9),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("server", "best"),
    [(Server(asked=False), "table_beside"), (Server("primary"), "table_beside"), (Server(error="down"), "in_place")],
)
def test_from_another_host_a_deletion_is_still_mended_by_the_way_that_loses_nothing(server: Server, best: str) -> None:
    asked = Asked("deletion", target=NOW - timedelta(hours=1), database="shop", tables=("orders",))
    found = decide(Facts("shop", NOW, (PLACE,), server), asked, "/etc/lifeboat/main.yml").best
    assert found is not None and found.name == best


def test_the_name_of_a_database_is_no_option() -> None:
    asked = Asked("corruption", database="--into=postgres", tables=('"public"."orders"',))
    assert tables(asked, "/etc/lifeboat/main.yml").endswith(""" table restore DATABASE '"public"."orders"' --latest""")


def test_a_little_more_loss_is_equal_and_the_shorter_way_is_taken() -> None:
    slow = Way("slow", "", Loss(1.5, "", None), Lasts(180.0, ""), (), "", "")
    quick = replace(slow, name="quick", loses=Loss(6.0, "", None), lasts=Lasts(60.0, ""))
    lossy = replace(quick, name="lossy", loses=Loss(7.0, "", None))
    assert [way.name for way in ranked((slow, lossy, quick))] == ["quick", "slow", "lossy"]
    free = replace(slow, name="free", loses=Loss(0.0, "", 0))
    assert ranked((quick, free))[0].name == "free"
