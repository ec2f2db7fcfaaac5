# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run by /usr/bin/lifeboat: runs the package beside this file, and imports nothing from the current directory.

It is called through a link, which the role switches to a newer engine: a running process keeps its own.
"""

import contextlib
import fcntl
import os
import runpy
import sys

_HERE = os.path.realpath(os.path.dirname(os.path.abspath(__file__)))
sys.path[0] = _HERE
# Held until the process exits: the role does not remove an engine that is in use.
_HELD = os.open(_HERE, os.O_RDONLY | os.O_DIRECTORY)
with contextlib.suppress(OSError):
    fcntl.flock(_HELD, fcntl.LOCK_SH | fcntl.LOCK_NB)

runpy.run_module("lifeboat.run", run_name="__main__")
