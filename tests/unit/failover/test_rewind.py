# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether ``pg_rewind`` can work, and what its failure means."""

from __future__ import annotations

from typing import Optional

import pytest
from lifeboat.failover.rewind import failure, refusal
from lifeboat.postgres.controldata import ControlData


def control(checksums: int) -> ControlData:
    return ControlData("7", "shut down", 1, 1, None, 2**24, 0, 8192, 131072, checksums)


@pytest.mark.parametrize(
    ("checksums", "hints", "conninfo", "part"),
    [
        (1, False, "host=a", None),
        (0, True, "host=a", None),
        (0, False, "host=a", "wal_log_hints"),
        (1, True, None, "primary_conninfo"),
        (1, True, "", "primary_conninfo"),
    ],
)
def test_it_needs_a_connection_and_every_changed_page_in_the_wal(
    checksums: int, hints: bool, conninfo: Optional[str], part: Optional[str]
) -> None:
    why = refusal(control(checksums), hints, conninfo)
    assert (why is None) == (part is None) and (part is None or part in str(why))


def test_only_what_has_begun_leaves_a_data_directory_that_must_not_start() -> None:
    early = failure("/data", "pg_rewind: error: could not connect to server")
    late = failure("/data", "pg_rewind: rewinding from last common checkpoint at 0/2000028 on timeline 1\nerror: full")
    assert (early.error_code, late.error_code) == ("standby_refused", "rewind_failed")
    assert "Nothing was rewound" in early.hint and "restore" in late.hint
    assert "GRANT EXECUTE" in failure("/data", "ERROR:  permission denied for function pg_ls_dir").hint
