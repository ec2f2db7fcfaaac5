# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask while WAL is archived whether this site still leads: at the start, then about once a minute.

A repository that does not answer deposes nobody, and what it said before still counts. It may take a minute until a
site sees that another one leads.
"""

from __future__ import annotations

from threading import Lock
from typing import Dict, List, Sequence, Tuple

from ..base import clock
from ..base.errors import Deposed
from ..base.wal_names import format_lsn
from ..repository.repository import Repository
from .decide import Found, Leadership, decide
from .read import Reader, ask
from .record import Epoch

#: Seconds between two looks of a site that leads, and of one that does not: it may have the leadership back.
_LEADS, _DEPOSED = 60.0, 5.0


class Watch:
    """The leadership as one process sees it; for several threads. Without ``site`` none is kept and nothing asked."""

    def __init__(self, site: str, required: Sequence[Repository]) -> None:
        self._site, self._readers, self._lock = site, [Reader(r) for r in required], Lock()
        self._said: Dict[Tuple[str, str], List[Found]] = {}
        self._due: Dict[str, float] = {}
        self._now: Dict[str, Leadership] = {}

    def require(self, system: str) -> None:
        """Deposed if another site leads the cluster ``system``."""
        if not self._site:
            return
        with self._lock:
            if clock.monotonic() >= self._due.get(system, 0.0):
                self._look(system)
            now = self._now[system]
        if now.leader is not None and now.deposes(self._site):
            raise deposed(self._site, now.leader)

    def _look(self, system: str) -> None:
        for name, answer in ask(self._readers, system).items():
            if isinstance(answer, list):
                self._said[name, system] = answer
        said = [found for (_name, of), answer in self._said.items() if of == system for found in answer]
        now, before = decide(said), self._now.get(system)
        # An epoch that was removed or damaged makes nobody a leader who was none.
        if before is not None and number_of(now) < number_of(before):
            now = before
        self._now[system] = now
        self._due[system] = clock.monotonic() + (_DEPOSED if now.deposes(self._site) else _LEADS)


def number_of(now: Leadership) -> int:
    """The number of the epoch that counts; 0 if there is none."""
    return now.leader.number if now.leader else 0


def deposed(site: str, leader: Epoch) -> Deposed:
    """The error that names both sites."""
    return Deposed(
        f"Site {leader.site} leads, by {leader.describe()}: site {site} is deposed and archives nothing.",
        "PostgreSQL keeps its WAL. Is this an old primary? Stop it; its WAL behind the fork is nobody's. If this site"
        " shall lead again: lifeboat leader claim --kind failover.",
        site=site,
        leader=leader.site,
        epoch=leader.number,
        handover_lsn=format_lsn(leader.handover) if leader.handover is not None else None,
    )
