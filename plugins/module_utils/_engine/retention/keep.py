# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which backups are kept, and why. Pure: a function of the catalog, the policy and the time.

Every backup is compared individually with the strong ones (see :mod:`.strength`): a rule keeps it if the rule would
keep it among only itself and the strong ones. So a record that does not count never replaces another backup.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime, timedelta, timezone
from typing import Callable, Collection, Dict, Iterable, List, Mapping, Tuple, TypeVar

from ..config.retention import RetentionConfig
from ..records.model import BackupManifest
from ..repository.chain import Chains
from .strength import Standing

Reasons = Dict[str, List[str]]
#: Backups by the time at which they were consistent.
Order = Tuple[datetime, str]
_T = TypeVar("_T", str, Order)

_PERIODS: Tuple[Tuple[str, Callable[[datetime], str]], ...] = (
    ("daily", lambda t: f"{t:%Y-%m-%d}"),
    ("weekly", lambda t: "{}-W{:02}".format(*t.isocalendar()[:2])),
    ("monthly", lambda t: f"{t:%Y-%m}"),
    ("yearly", lambda t: f"{t:%Y}"),
)


def order_of(backup: BackupManifest) -> Order:
    """The sort key: the time at which the backup was consistent."""
    return backup.finished_at, backup.label


class Rivals:
    """The strong backups that may replace others; ``verified`` are the verified ones among them."""

    def __init__(self, strong: Iterable[BackupManifest], verified: Collection[str]) -> None:
        backups = sorted(strong, key=order_of)
        self._all = [order_of(b) for b in backups]
        self._fulls = [order_of(b) for b in backups if b.type == "full"]
        self._verified = [order_of(b) for b in backups if b.label in verified]
        self._newest = {
            period: {bucket(_utc(moment)): (moment, label) for moment, label in self._fulls}
            for period, bucket in _PERIODS
        }
        self._names = {period: sorted(found) for period, found in self._newest.items()}

    def places(self, backup: BackupManifest, policy: RetentionConfig, was_verified: bool) -> List[str]:
        """The reasons of the policy to keep this backup among them, such as ``daily: 2026-11-22``."""
        order, found = order_of(backup), []
        # Another backup may be based on it, even one being made now.
        if not _after(self._all, order):
            found.append("the newest")
        if backup.type == "full" and _after(self._fulls, order) < policy.keep_last:
            found.append(f"one of the newest {policy.keep_last} full backups")
        for period, bucket in _PERIODS if backup.type == "full" else ():
            name = bucket(_utc(backup.finished_at))
            is_newest = order >= self._newest[period].get(name, order)
            if is_newest and _after(self._names[period], name) < getattr(policy, period):
                found.append(f"{period}: {name}")
        if was_verified and not _after(self._verified, order):
            found.append("the newest that was verified")
        return found


def kept_backups(
    chains: Chains,
    standing: Standing,
    policy: RetentionConfig,
    ages: Mapping[str, timedelta],
    rivals: Mapping[str, Rivals],
    verified: Collection[str],
    held: Mapping[str, str],
    bases: Mapping[str, str],
) -> Mapping[str, Tuple[str, ...]]:
    """The reasons for each kept backup, by label; foreign ones are left out.

    ``rivals`` are, by system identifier, the backups to compare with, ``held`` the reasons of holds, ``bases`` the
    backups that point-in-time recovery starts from. Backups that a kept one is based on are kept too.
    """
    reasons: Reasons = {}

    def keep(label: str, reason: str) -> None:
        reasons.setdefault(label, []).append(reason)

    for label, backup in chains.known.items():
        if label in standing.foreign:
            continue
        days = policy.days_of(backup.type)
        if ages[label] < timedelta(days=days):
            keep(label, f"younger than {days:g} days")
        if label in standing.fresh:
            keep(label, f"stored less than {policy.settle_hours:g} hours ago")
        for place in rivals[backup.system_identifier].places(backup, policy, label in verified):
            keep(label, place)
        if label in held:
            keep(label, f"held: {held[label]}")
        if label in bases:
            keep(label, bases[label])
    for label in list(reasons):
        for parent in _parents(chains, label):
            if parent not in standing.foreign:
                keep(parent, f"{label} needs it")
    return {label: tuple(dict.fromkeys(why)) for label, why in reasons.items()}


def _after(values: List[_T], value: _T) -> int:
    """How many of the sorted ``values`` are greater than ``value``."""
    return len(values) - bisect_right(values, value)


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc)


def _parents(chains: Chains, label: str) -> List[str]:
    """All recorded backups that a backup is based on, even if its chain is broken."""
    found: List[str] = []
    parent = chains.known[label].parent
    while parent in chains.known and parent not in found:
        found.append(str(parent))
        parent = chains.known[str(parent)].parent
    return found
