# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check``: whether archiving works, the window meets the objective, and there are no gaps."""

from .answer import CHECKS, CRITICAL, OK, SEVERITIES, WARNING, Check, worst
from .run import as_dict, check, check_with
from .server import ServerState, read_server

__all__ = [
    "CHECKS",
    "CRITICAL",
    "OK",
    "SEVERITIES",
    "WARNING",
    "Check",
    "ServerState",
    "as_dict",
    "check",
    "check_with",
    "read_server",
    "worst",
]
