# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked, and for how long."""

from __future__ import annotations

from math import inf, nan
from pathlib import Path

import pytest
from lifeboat.assess.facts import SILENT, Asked
from lifeboat.assess.gather import gather
from lifeboat.base.errors import ConfigError
from lifeboat.config.load import Config, parse


def shop(tmp_path: Path) -> Config:
    store = {"name": "here", "type": "directory", "path": str(tmp_path)}
    return parse({"cluster": "shop", "repositories": [store]}, source="/tmp/elsewhere/shop.yml")


def test_from_another_host_no_server_is_taken_for_the_one_of_the_cluster(tmp_path: Path) -> None:
    server = gather(shop(tmp_path), Asked(config_file="/etc/lifeboat/shop.yml"), seconds=60.0).server
    assert server.state == SILENT and not server.asked and "another host" in server.error


@pytest.mark.parametrize("seconds", [0.0, -1.0, inf, nan, 1e9])
def test_a_time_that_nobody_can_wait_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(ConfigError):
        gather(shop(tmp_path), Asked(), seconds=seconds)
