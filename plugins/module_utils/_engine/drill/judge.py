# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verdict on a restored database: which commits of the ledger it must contain, and which not.

Pure decisions. They follow from how recovery stops (PostgreSQL manual, "Recovery Target"; ``recoveryStopsBefore`` and
``recoveryStopsAfter`` in ``xlogrecovery.c``): at a time, it ends before the first commit record whose time is later
than the target (or equal to it, if the target is not inclusive). A commit record gets its time and its place in the WAL
after the transaction has started and before the client has its acknowledgement. So a commit that was acknowledged
before the target must exist, one that started after it must not, and one in between may or may not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import AbstractSet, Any, Dict, Iterable, Optional, Tuple, Union

from ..base.wal_names import format_lsn
from ..records.model import format_time
from .records import Commit

PRESENT = "present"
ABSENT = "absent"
EITHER = "either"


@dataclass(frozen=True)
class TimeTarget:
    """Recovery had to stop at a time; ``inclusive`` as in ``recovery_target_inclusive``."""

    moment: datetime
    inclusive: bool = True

    def expects(self, commit: Commit) -> str:
        """PRESENT, ABSENT or EITHER."""
        acked = commit.acked_at
        if acked is not None and (acked < self.moment or (self.inclusive and acked == self.moment)):
            return PRESENT
        if commit.started_at > self.moment or (not self.inclusive and commit.started_at == self.moment):
            return ABSENT
        return EITHER


@dataclass(frozen=True)
class WalTarget:
    """Recovery had to go to the end of the WAL, or to an LSN.

    ``reached``: the end of the last replayed record. ``archived``: the end of the WAL that was acknowledged to the
    server as archived: everything before it must exist even if recovery ended earlier.
    """

    reached: int
    archived: Optional[int] = None

    def expects(self, commit: Commit) -> str:
        """PRESENT, ABSENT or EITHER."""
        safe = max(self.reached, self.archived or 0)
        if commit.acked_at is not None and commit.lsn_after is not None and commit.lsn_after <= safe:
            return PRESENT
        if commit.lsn_before >= safe:
            return ABSENT
        return EITHER


JudgedTarget = Union[TimeTarget, WalTarget]


@dataclass(frozen=True)
class Verdict:
    """The restored database compared with the ledger.

    ``missing``: commits that should exist but do not; ``surplus``: commits that exist but should not (or were never in
    the ledger). ``lost``: all acknowledged commits that do not exist, missing or not, in the order of acknowledgement:
    at the latest point they are the loss, at an earlier target the price of going back. ``rpo_seconds``: the time
    from the last surviving commit to the disaster, 0 if none is lost.
    """

    required: int
    forbidden: int
    ambiguous: int
    survived: int
    missing: Tuple[int, ...]
    surplus: Tuple[int, ...]
    lost: Tuple[Commit, ...]
    last_survivor: Optional[Commit]
    rpo_seconds: float

    @property
    def rpo_transactions(self) -> int:
        """The number of lost acknowledged commits."""
        return len(self.lost)

    @property
    def good(self) -> bool:
        """Whether the database matches the ledger."""
        return not self.missing and not self.surplus

    def as_dict(self) -> Dict[str, Any]:
        """JSON-serializable data; each lost commit with its id, time of acknowledgement and LSN."""
        return {
            "required": self.required,
            "forbidden": self.forbidden,
            "ambiguous": self.ambiguous,
            "survived": self.survived,
            "missing": list(self.missing),
            "surplus": list(self.surplus),
            "rpo_transactions": self.rpo_transactions,
            "rpo_seconds": round(self.rpo_seconds, 3),
            "last_survivor": None if self.last_survivor is None else _brief(self.last_survivor),
            "lost": [_brief(commit) for commit in self.lost],
        }


def judge(records: Iterable[Commit], present: AbstractSet[int], target: JudgedTarget, disaster_at: datetime) -> Verdict:
    """Compare the ids ``present`` in the restored database with the ledger's records."""
    commits = list(records)
    expected = {commit.id: target.expects(commit) for commit in commits}
    acknowledged = sorted((c for c in commits if c.acked_at is not None), key=_acked)
    survivors = [c for c in acknowledged if c.id in present]
    lost = [c for c in acknowledged if c.id not in present]
    return Verdict(
        required=sum(1 for e in expected.values() if e == PRESENT),
        forbidden=sum(1 for e in expected.values() if e == ABSENT),
        ambiguous=sum(1 for e in expected.values() if e == EITHER),
        survived=len(survivors),
        missing=tuple(sorted(i for i, e in expected.items() if e == PRESENT and i not in present)),
        surplus=tuple(sorted(i for i in present if expected.get(i, ABSENT) == ABSENT)),
        lost=tuple(lost),
        last_survivor=survivors[-1] if survivors else None,
        rpo_seconds=_rpo(survivors[-1] if survivors else None, lost, disaster_at),
    )


def _rpo(last: Optional[Commit], lost: Iterable[Commit], disaster_at: datetime) -> float:
    first = next(iter(lost), None)
    if first is None:
        return 0.0
    since = _acked(last) if last is not None else first.started_at
    return max((disaster_at - since).total_seconds(), 0.0)


def _acked(commit: Commit) -> datetime:
    if commit.acked_at is None:
        raise ValueError(f"commit {commit.id} was never acknowledged")
    return commit.acked_at


def _brief(commit: Commit) -> Dict[str, Any]:
    return {"id": commit.id, "acked_at": format_time(_acked(commit)), "lsn": format_lsn(commit.lsn_before)}
