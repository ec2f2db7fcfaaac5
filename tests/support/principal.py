# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Actions of another user of the machine, while root works."""

from __future__ import annotations

import os
import traceback
from typing import Callable

SECRET = "root:$y$j9T$secret"


class Principal:
    """An ordinary user of this machine, with only its own group."""

    def __init__(self, uid: int) -> None:
        self.uid = uid

    def run(self, work: Callable[[], object]) -> None:
        """Run the work in a process of this user; any exception fails the test."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.setgroups([])
                os.setresgid(self.uid, self.uid, self.uid)
                os.setresuid(self.uid, self.uid, self.uid)
                work()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, "what the other user did failed"
