# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Guards, which stop a plan that may be a mistake. Each has a name, and is lifted only by that name. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable, Collection, List, Mapping, Optional, Sequence, Tuple

from ..config.retention import RetentionConfig
from ..records.model import BackupManifest, format_time
from .plan import PrunePlan


@dataclass(frozen=True)
class Circumstances:
    """Input of the guards besides the plan: ``now`` by this host's clock and, read at the same time, ``store_time`` by
    the store's, the newest backup that counts, and the ``restores`` under way.
    """

    now: datetime
    store_time: datetime
    newest: Optional[BackupManifest]
    restores: Sequence[str] = ()


@dataclass(frozen=True)
class Objection:
    """A guard's name and the message of its objection."""

    guard: str
    message: str


def _share(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    if plan.share <= policy.max_share:
        return None
    return (
        f"the plan removes {plan.share:.1f} % of the repository's bytes, more than {policy.max_share:g} %"
        " (retention.max_share)"
    )


def _clock(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    skew = (seen.now - seen.store_time).total_seconds()
    if abs(skew) <= policy.max_clock_skew:
        return None
    return (
        f"the clock of this host is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the store's"
        f" ({format_time(seen.store_time)})"
    )


def _age(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    if seen.newest is None:
        return "no backup is plausible, can be restored and has what retention.trust demands"
    if seen.newest.finished_at - seen.now > timedelta(seconds=policy.max_clock_skew):
        return f"the newest backup, {seen.newest.label}, is dated in the future: its age is unknown"
    if seen.now - seen.newest.finished_at <= timedelta(days=policy.max_backup_age_days):
        return None
    days = (seen.now - seen.newest.finished_at) / timedelta(days=1)
    return (
        f"the newest backup, {seen.newest.label}, is {days:.1f} days old, more than {policy.max_backup_age_days:g}"
        " (retention.max_backup_age_days): backups are not being made"
    )


def _restore(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    return f"a restore is under way: {'; '.join(seen.restores)}" if seen.restores else None


def _shrunk(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    """Never object. Until this guard is lifted, a shrunken backup does not count, so those before it are kept."""
    return None


_Guard = Callable[[PrunePlan, RetentionConfig, Circumstances], Optional[str]]
_GUARDS: Mapping[str, _Guard] = {
    "share": _share,
    "clock": _clock,
    "age": _age,
    "restore": _restore,
    "shrunk": _shrunk,
}
GUARDS: Tuple[str, ...] = tuple(_GUARDS)
#: Hints that resolve the cause of an objection, other than lifting the guard.
WAYS_OUT: Mapping[str, str] = {
    "share": "Check what would be removed: lifeboat prune --plan.",
    "clock": "Correct the wrong clock (NTP: timedatectl).",
    "age": "Make a backup first (lifeboat backup), and check it as retention.trust demands: lifeboat verify, or"
    " lifeboat verify --restore.",
    "restore": "Wait until the restore has ended.",
    "shrunk": "Check what would be removed: lifeboat prune --plan.",
}


def objections(
    plan: PrunePlan, policy: RetentionConfig, seen: Circumstances, lifted: Collection[str]
) -> List[Objection]:
    """The objections of all guards that are not ``lifted``; none if nothing would be removed."""
    if not plan.removals:
        return []
    said = ((name, guard(plan, policy, seen)) for name, guard in _GUARDS.items() if name not in lifted)
    return [Objection(name, words) for name, words in said if words]
