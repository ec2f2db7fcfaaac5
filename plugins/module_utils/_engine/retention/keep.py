# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups stay, and why. Pure: a function of the catalogue, the policy and the time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..model import BackupManifest
from ..repository.chain import Chains
from .policy import RetentionConfig

Reasons = Dict[str, List[str]]

_PERIODS: Tuple[Tuple[str, Callable[[datetime], str]], ...] = (
    ("daily", lambda t: f"{t:%Y-%m-%d}"),
    ("weekly", lambda t: "{}-W{:02}".format(*t.isocalendar()[:2])),
    ("monthly", lambda t: f"{t:%Y-%m}"),
    ("yearly", lambda t: f"{t:%Y}"),
)


def kept_backups(
    chains: Chains,
    policy: RetentionConfig,
    now: datetime,
    held: Mapping[str, str],
    verified: Optional[str],
    bases: Mapping[str, str],
) -> Mapping[str, Tuple[str, ...]]:
    """The reasons to keep each backup that stays, by label.

    ``held`` tells the reasons of holds, ``verified`` is the newest backup that was verified, ``bases`` tells which
    backups point-in-time recovery begins with. What a kept backup is based on stays too.
    """
    reasons: Reasons = {}

    def keep(label: str, reason: str) -> None:
        reasons.setdefault(label, []).append(reason)

    for backup in chains.known.values():
        days = policy.days_of(backup.type)
        if now - backup.finished_at < timedelta(days=days):
            keep(backup.label, f"younger than {days:g} days")
    whole = sorted(chains.restorable, key=lambda b: (b.finished_at, b.label), reverse=True)
    # The next one may be based on it, even now.
    for backup in whole[:1]:
        keep(backup.label, "the newest")
    fulls = [b for b in whole if b.type == "full"]
    for backup in fulls[: policy.keep_last]:
        keep(backup.label, f"one of the newest {policy.keep_last} full backups")
    for period, bucket in _PERIODS:
        for name, backup in _newest_of_each(fulls, bucket, getattr(policy, period)).items():
            keep(backup.label, f"{period}: {name}")
    for label, why in held.items():
        if label in chains.known:
            keep(label, f"held: {why}")
    if verified in chains.known:
        keep(str(verified), "the newest that was verified")
    for label, why in bases.items():
        keep(label, why)
    for label in list(reasons):
        for parent in _parents(chains, label):
            keep(parent, f"{label} needs it")
    return {label: tuple(dict.fromkeys(why)) for label, why in reasons.items()}


def _newest_of_each(
    fulls: Sequence[BackupManifest], bucket: Callable[[datetime], str], count: int
) -> Dict[str, BackupManifest]:
    """The newest backup of each of the last ``count`` periods that have one; ``fulls`` are newest first."""
    found: Dict[str, BackupManifest] = {}
    for backup in fulls:
        name = bucket(backup.finished_at.astimezone(timezone.utc))
        if name not in found and len(found) == count:
            break
        found.setdefault(name, backup)
    return found


def _parents(chains: Chains, label: str) -> List[str]:
    """Everything that a backup is based on and that has a record, whether or not its chain is whole."""
    found: List[str] = []
    parent = chains.known[label].parent
    while parent in chains.known and parent not in found:
        found.append(str(parent))
        parent = chains.known[str(parent)].parent
    return found
