# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat assess``: gather, refuse a wrong target, decide. Touches nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, Optional, Tuple

from ..config.load import Config
from ..records.model import format_time
from .decide import Decision, decide, first_steps
from .facts import Asked, Damages, Facts, Place
from .gather import MOST_SECONDS, Loss, gather
from .target import require_reachable


@dataclass(frozen=True)
class Assessment:
    """What was asked, what is known, and the ways back; ``first`` is what to do before any of them."""

    asked: Asked
    facts: Facts
    decision: Decision
    first: Tuple[str, ...]

    def as_dict(self) -> Dict[str, Any]:
        """For JSON, and the result of the module."""
        facts, best = self.facts, self.decision.best
        return {
            "cluster": facts.cluster,
            "at": format_time(facts.now),
            "disaster": self.decision.disaster,
            "named": bool(self.asked.disaster),
            "best": best.name if best else None,
            "command": best.command if best else None,
            "ways": [way.as_dict() for way in self.decision.ways],
            "first": list(self.first),
            "repositories": [_place(place) for place in (*facts.places, *facts.past)],
            "server": {"state": facts.server.state, "error": facts.server.error},
            "damages": _damages(facts.damages),
            "silent": dict(facts.silent),
            "objectives": {"rpo": facts.rpo, "rto": facts.rto},
            "contacts": list(facts.contacts),
            "seconds": round(facts.seconds, 3),
        }


def assess(
    config: Config,
    asked: Asked,
    loss: Loss = None,
    seconds: float = MOST_SECONDS,
    amcheck: bool = False,
) -> Assessment:
    """Look for at most ``seconds``, then decide. TargetUnreachable or BackupMissing for a target that nothing reaches.

    ``loss`` and ``amcheck`` as in :func:`.gather.gather`.
    """
    facts = gather(config, asked, loss, seconds, amcheck)
    require_reachable(facts, asked)
    source = asked.config_file or config.source or "/etc/lifeboat/main.yml"
    decision = decide(facts, asked, source)
    return Assessment(asked, facts, decision, tuple(first_steps(facts, asked, decision, source)))


def _damages(found: Optional[Damages]) -> Optional[Dict[str, Any]]:
    if found is None:
        return None
    relations = [{**asdict(damage), "blocks": list(damage.blocks)} for damage in found.found]
    return {"relations": relations, "unread": list(found.unread), "noted": list(found.noted)}


def _place(place: Place) -> Dict[str, Any]:
    end = place.end
    return {
        "name": place.name,
        "location": place.location,
        "required": place.required,
        "as_of": format_time(place.as_of) if place.as_of else None,
        "error": place.error or None,
        "end": format_time(end) if end else None,
        "last_commit": format_time(place.last_commit) if place.last_commit else None,
        "commit_rate": place.rate,
        "newest": place.backups[-1].label if place.backups else None,
        "backups": len(place.backups),
        "windows": [
            {"timeline": s.timeline, "start": format_time(s.start), "end": format_time(s.end)} for s in place.spans
        ],
        "findings": [*place.findings, *place.frozen],
    }
