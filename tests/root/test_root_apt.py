# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tools wait for another apt process, such as the one that a new machine starts by itself."""

from __future__ import annotations

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LISTS = Path("/var/lib/apt/lists/lock")


@pytest.mark.skipif(not os.access(LISTS, os.W_OK), reason="needs apt, and root outside of a user namespace")
def test_another_apt_is_waited_for() -> None:
    with LISTS.open("a") as held:
        fcntl.lockf(held, fcntl.LOCK_EX)
        tool = subprocess.Popen(
            # It is installed already.
            [ROOT / "tools/apt", "coreutils"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert tool.stdout is not None
        said = tool.stdout.readline()
        fcntl.lockf(held, fcntl.LOCK_UN)
    rest, _nothing = tool.communicate(timeout=300)
    assert (said, tool.returncode) == ("apt: waiting for another apt to finish\n", 0), said + rest
