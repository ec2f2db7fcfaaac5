# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leads, from the epochs that were read. Pure.

Epochs count from number 1 on, without a hole, and each refers to the one before it. What is damaged, forged or does
not fit is set apart: it deposes nobody, and the epochs before it count as they did. The number that it takes is lost,
so the next claim has the number after it, and refers to the last epoch that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from ..base.errors import ConfigError, LeadershipTaken, LeadershipUnsure, ObjectCorrupt
from .record import FIRST, MOST_EPOCH, Epoch


@dataclass(frozen=True)
class Found:
    """What lies under the number of an epoch in a repository: the epoch, or why it is none that counts."""

    repository: str
    number: int
    epoch: Optional[Epoch] = None
    error: Optional[ObjectCorrupt] = None


@dataclass(frozen=True)
class SetApart:
    """An epoch that does not count, where it is, and why."""

    repository: str
    number: int
    why: str


@dataclass(frozen=True)
class Leadership:
    """``epochs`` are those that count, in their order; the site of the last one leads, nobody if there is none.

    ``conflicts`` are the numbers under which repositories hold different epochs: neither of them counts. ``beyond`` are
    sound epochs behind a hole: some repository that was not read may have what lies there. ``next`` is the first number
    that is free everywhere.
    """

    epochs: Tuple[Epoch, ...] = ()
    aside: Tuple[SetApart, ...] = ()
    conflicts: Tuple[int, ...] = ()
    beyond: Tuple[Epoch, ...] = ()
    next: int = 1

    @property
    def leader(self) -> Optional[Epoch]:
        """The newest epoch that counts."""
        return self.epochs[-1] if self.epochs else None

    def deposes(self, site: str) -> bool:
        """Whether another site leads, which is certain: not if nobody does, nor if a later epoch may be the site's."""
        if self.leader is None or self.leader.site == site:
            return False
        return all(epoch.site != site for epoch in self.beyond)


def decide(found: Iterable[Found]) -> Leadership:
    """Who leads, from what the repositories that answered hold. The order does not matter."""
    under: Dict[int, List[Found]] = {}
    for item in found:
        under.setdefault(item.number, []).append(item)
    epochs: List[Epoch] = []
    aside: List[SetApart] = []
    conflicts: List[int] = []
    number, lost = 1, False
    while number in under:
        items = under.pop(number)
        aside += [SetApart(i.repository, number, i.error.message if i.error else "") for i in items if not i.epoch]
        sound = {i.epoch.digest: i.epoch for i in items if i.epoch}
        if len(sound) > 1:
            conflicts.append(number)
            aside += [SetApart(i.repository, number, _differs(i.epoch, items)) for i in items if i.epoch]
        # What an unreadable one was is not known, so that the next may refer to it.
        elif sound and (lost or _only(sound).previous == (epochs[-1].digest if epochs else None)):
            epochs.append(_only(sound))
            number, lost = number + 1, False
            continue
        else:
            why = "it does not refer to the epoch before it"
            aside += [SetApart(i.repository, number, why) for i in items if i.epoch]
        number, lost = number + 1, True
    for later in sorted(under):
        why = f"there is no epoch {number} before it"
        aside += [SetApart(i.repository, later, i.error.message if i.error else why) for i in under[later]]
    beyond = {i.epoch.digest: i.epoch for items in under.values() for i in items if i.epoch}
    order = sorted(aside, key=lambda a: (a.number, a.repository))
    return Leadership(tuple(epochs), tuple(order), tuple(conflicts), tuple(beyond.values()), number)


def _only(sound: Dict[Optional[str], Epoch]) -> Epoch:
    return next(iter(sound.values()))


def _differs(epoch: Epoch, items: Sequence[Found]) -> str:
    others = sorted({f"{i.repository} that of {i.epoch.site}" for i in items if i.epoch and i.epoch != epoch})
    return f"it is that of {epoch.site}, but {', '.join(others)}"


@dataclass(frozen=True)
class Request:
    """What is claimed. Without ``token`` an epoch of the same site is the same claim.

    ``after`` is the epoch that the claim was decided upon (0: none): if there is a newer one by now, it is refused.
    """

    site: str
    kind: str
    timeline: int
    handover: Optional[int] = None
    token: Optional[str] = None
    after: Optional[int] = None


def begun_already(now: Leadership, wanted: Request) -> Optional[Epoch]:
    """The epoch that this claim has begun before and is to be finished; None: a new one is to be put.

    LeadershipTaken if another attempt has it, ConfigError if the kind of the claim does not fit, LeadershipUnsure where
    no number is left.
    """
    leader = now.leader
    if leader and leader.site == wanted.site:
        if wanted.token in (None, leader.token):
            return leader
        raise taken(leader, f"Site {wanted.site} leads already: another attempt claimed {leader.describe()}.")
    if leader and wanted.after is not None and leader.number != wanted.after:
        raise taken(leader, f"Site {leader.site} leads, by {leader.describe()}, not by epoch {wanted.after}.")
    if not leader and wanted.after:
        raise LeadershipUnsure(
            f"There is no epoch that counts, and the claim is to follow epoch {wanted.after}.",
            "lifeboat leader show tells what was set apart; lifeboat verify --repair heals it from another repository.",
        )
    if leader and wanted.kind == FIRST:
        raise taken(leader, f"Site {leader.site} leads, by {leader.describe()}: this claim is not the first.")
    if not leader and wanted.kind != FIRST:
        raise ConfigError(
            f"No site leads yet, so that {wanted.site} cannot take over by a {wanted.kind}.",
            "Let the site of the primary begin: lifeboat leader claim --kind first.",
        )
    if now.next > MOST_EPOCH:
        raise LeadershipUnsure("There is no number left for an epoch.", "Find out who stored so many objects.")
    return None


def taken(winner: Epoch, words: str) -> LeadershipTaken:
    """The error that names the winner."""
    return LeadershipTaken(
        words,
        "Nothing was claimed. lifeboat leader show tells who leads; if it shall be another site all the same, claim the"
        " next epoch by a switchover or a failover.",
        site=winner.site,
        epoch=winner.number,
        token=winner.token,
    )
