# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a plan that may be a mistake. Each guard has a name, and is lifted by that name only. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable, Collection, List, Mapping, Optional, Sequence, Tuple

from ..config.retention import RetentionConfig
from ..records.model import BackupManifest, format_time
from .plan import PrunePlan


@dataclass(frozen=True)
class Circumstances:
    """What is known besides the plan. ``store_time`` is the store's clock, read between two readings of ours.

    ``newest`` is the newest backup that counts.
    """

    now: datetime
    store_time: datetime
    newest: Optional[BackupManifest]
    restores: Sequence[str] = ()


@dataclass(frozen=True)
class Objection:
    """A guard's name and its message."""

    guard: str
    message: str


def _share(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    if plan.share <= policy.max_share:
        return None
    return (
        f"it would remove {plan.share:.1f} % of the repository's bytes, more than {policy.max_share:g} %"
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
        return "there is no backup that can be restored, is plausible and is what retention.trust asks for"
    if seen.newest.finished_at - seen.now > timedelta(seconds=policy.max_clock_skew):
        return f"the newest backup, {seen.newest.label}, claims to be of a time that is yet to come: its age is unknown"
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
    """Never objects: a shrunken backup does not count, and what it would replace is kept, until this is lifted."""
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
#: What ends the objection itself, in words; lifting the guard does not.
WAYS_OUT: Mapping[str, str] = {
    "share": "Look at what would go: lifeboat prune --plan.",
    "clock": "Set the clock that is wrong (NTP: timedatectl).",
    "age": "Make a backup first: lifeboat backup, and what retention.trust asks for (lifeboat verify, or with"
    " --restore).",
    "restore": "Wait until the restore has ended.",
    "shrunk": "Look at what would go: lifeboat prune --plan.",
}


def objections(
    plan: PrunePlan, policy: RetentionConfig, seen: Circumstances, lifted: Collection[str]
) -> List[Objection]:
    """The objections of all guards that are not ``lifted``; none if nothing would be removed."""
    if not plan.removals:
        return []
    said = ((name, guard(plan, policy, seen)) for name, guard in _GUARDS.items() if name not in lifted)
    return [Objection(name, words) for name, words in said if words]
