# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a cluster: ``plan`` reads and decides, ``apply`` carries it out."""

from .apply import apply
from .extract import LOG
from .follow import Follow
from .follow import apply as apply_follow
from .follow import plan as plan_follow
from .follow import write_settings as write_standby_settings
from .pace import Pace, estimate_seconds, last_pace
from .plan import plan
from .request import PASSIVE, RestorePlan, RestoreRequest, RestoreResult
from .runbook import restore_by_hand
from .standby_status import Status as StandbyStatus
from .standby_status import Stored as StandbyStored
from .standby_status import read as standby_status_of
from .standby_status import walk as standby_walk
from .target import latest_timeline, on_path

__all__ = [
    "LOG",
    "PASSIVE",
    "Follow",
    "Pace",
    "RestorePlan",
    "RestoreRequest",
    "RestoreResult",
    "StandbyStatus",
    "StandbyStored",
    "apply",
    "apply_follow",
    "estimate_seconds",
    "last_pace",
    "latest_timeline",
    "on_path",
    "plan",
    "plan_follow",
    "restore_by_hand",
    "standby_status_of",
    "standby_walk",
    "write_standby_settings",
]
