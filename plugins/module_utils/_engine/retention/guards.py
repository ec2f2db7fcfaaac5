# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stops a plan that may be a mistake. Each guard has a name, and is lifted by that name only. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Callable, Collection, List, Mapping, Optional, Sequence, Tuple

from ..model import BackupManifest, format_time
from .plan import PrunePlan
from .policy import RetentionConfig


@dataclass(frozen=True)
class Circumstances:
    """What is known beside the plan. ``store_time`` is the store's clock, read between two looks at ours."""

    now: datetime
    store_time: datetime
    newest: Optional[BackupManifest]
    restores: Sequence[str] = ()


@dataclass(frozen=True)
class Objection:
    """A guard's name, and what it says."""

    guard: str
    message: str


def _share(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    if plan.share <= policy.max_share:
        return None
    return (
        f"it would remove {plan.share:.0f} % of the repository's bytes, more than {policy.max_share:g} %"
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
        return "there is no backup that can be restored"
    if seen.now - seen.newest.finished_at <= timedelta(days=policy.max_backup_age_days):
        return None
    days = (seen.now - seen.newest.finished_at) / timedelta(days=1)
    return (
        f"the newest backup, {seen.newest.label}, is {days:.1f} days old, more than {policy.max_backup_age_days:g}"
        " (retention.max_backup_age_days): backups are not being made"
    )


def _restore(plan: PrunePlan, policy: RetentionConfig, seen: Circumstances) -> Optional[str]:
    return f"a restore is under way: {'; '.join(seen.restores)}" if seen.restores else None


_Guard = Callable[[PrunePlan, RetentionConfig, Circumstances], Optional[str]]
_GUARDS: Mapping[str, _Guard] = {"share": _share, "clock": _clock, "age": _age, "restore": _restore}
GUARDS: Tuple[str, ...] = tuple(_GUARDS)


def objections(
    plan: PrunePlan, policy: RetentionConfig, seen: Circumstances, lifted: Collection[str]
) -> List[Objection]:
    """What speaks against removing anything, but for the ``lifted`` guards; nothing where nothing is removed."""
    if not plan.removals:
        return []
    said = ((name, guard(plan, policy, seen)) for name, guard in _GUARDS.items() if name not in lifted)
    return [Objection(name, words) for name, words in said if words]
