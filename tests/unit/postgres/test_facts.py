# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a server lacks, by the wrong setting."""

from __future__ import annotations

from typing import Any, Optional

import pytest
from lifeboat.base.errors import ServerNotReady
from lifeboat.postgres.facts import ServerFacts, require_backup_ready


def facts(**changes: Any) -> ServerFacts:
    usual = {
        "version": "17.2", "version_num": 170002, "system_identifier": "7", "in_recovery": False,
        "wal_level": "replica", "archive_mode": "on", "archive_command": "lifeboat wal-push %p", "archive_library": "",
        "segment_size": 1 << 24, "tablespaces": (), "space_sizes": {}, "may_replicate": True, "user": "postgres",
    }  # fmt: skip
    return ServerFacts(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({}, None),
        ({"archive_mode": "off"}, "archive_mode"),
        ({"archive_command": " "}, "archive_command"),
        ({"archive_command": "", "archive_library": "basic_archive"}, None),
        # A standby whose archive_mode is on needs no other one: what is empty is its command.
        ({"in_recovery": True}, None),
        ({"in_recovery": True, "archive_command": ""}, "archive_command"),
        ({"in_recovery": True, "archive_mode": "off", "archive_command": ""}, "archive_mode"),
        ({"in_recovery": True, "archive_mode": "always", "archive_command": ""}, None),
    ],
)  # fmt: skip
def test_the_setting_that_is_named_is_the_one_that_is_wrong(changes: Any, setting: Optional[str]) -> None:
    if setting is None:
        require_backup_ready(facts(**changes))
        return
    with pytest.raises(ServerNotReady) as refused:
        require_backup_ready(facts(**changes))
    assert refused.value.details["setting"] == setting and f"{setting} " in refused.value.hint
