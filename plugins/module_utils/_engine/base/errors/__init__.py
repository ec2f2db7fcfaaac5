# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that Lifeboat raises.

An error names the thing and the value in its message, says what to do in its hint, and carries a stable ``error_code``
that programs may match. Nothing in the engine prints or exits: ``_ansible`` turns an error into ``fail_json`` and
``cli/main.py`` into an exit status. All of them are imported from here.
"""

from .general import *  # noqa: F403
from .operations import *  # noqa: F403
from .repository import *  # noqa: F403
from .stores import *  # noqa: F403
