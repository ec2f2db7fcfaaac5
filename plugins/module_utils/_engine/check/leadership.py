# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which site leads, as ``lifeboat check`` reports it."""

from __future__ import annotations

from typing import Iterator, List

from ..base.errors import LifeboatError
from ..config.load import Config
from ..leadership.read import Seen, look, system_of
from ..leadership.watch import deposed
from ..repository.repository import Repositories
from .answer import CRITICAL, OK, WARNING, Check
from .server import ServerState

# Maximum number of set-apart epochs to name.
_NAMED = 5


def of_leadership(config: Config, repositories: Repositories, state: ServerState) -> List[Check]:
    """The checks of leadership, by a listing of each required repository; none without ``site``."""
    if not config.site:
        return []
    try:
        system = state.system or system_of(config, repositories.required)
        seen = look(repositories.required, system)
    except LifeboatError as exc:
        return [Check("leadership", WARNING, f"The leading site is unknown: {exc.message}", exc.hint)]
    return list(judge(config.site, seen, bool(state.facts and state.facts.in_recovery)))


def judge(site: str, seen: Seen, standby: bool) -> Iterator[Check]:
    """Judge the epochs that were read. A standby does not have to lead. Pure."""
    now, leader = seen.now, seen.now.leader
    number = float(leader.number if leader else 0)
    if leader is None:
        hint = "" if standby else "Run lifeboat leader claim --kind first on the site of the primary."
        yield Check("leadership", OK if standby else WARNING, "No site has claimed to lead.", hint, value=number)
    elif leader.site == site:
        yield Check("leadership", OK, f"this site ({site}) leads, by {leader.describe()}", value=number)
    elif standby or not now.deposes(site):
        status = OK if standby else WARNING
        more = "; this server is a standby" if standby else f", but a later epoch may belong to this site ({site})"
        yield Check("leadership", status, f"site {leader.site} leads, by {leader.describe()}{more}", value=number)
    else:
        error = deposed(site, leader)
        yield Check("leadership", CRITICAL, error.message, error.hint, value=number)
    for name, unread in sorted(seen.unread.items()):
        yield Check("leadership", WARNING, f"Cannot read epochs: {unread.message}", unread.hint, name)
    if now.conflicts:
        told = "; ".join(f"epoch {a.number} in {a.repository}: {a.why}" for a in now.aside if a.number in now.conflicts)
        hint = "Find out who claimed it, then claim the next one for the site that is to lead: docs/regions.md."
        yield Check("leadership", CRITICAL, f"Repositories have different epochs. {told}", hint)
    aside = [a for a in now.aside if a.number not in now.conflicts]
    if aside:
        named = "; ".join(f"epoch {a.number} in {a.repository}: {a.why}" for a in aside[:_NAMED])
        more = f" and {len(aside) - _NAMED} more" if len(aside) > _NAMED else ""
        hint = "They depose no site. Repair them with lifeboat verify --repair, or find out who stored them."
        yield Check("leadership", WARNING, f"Epochs were set apart. {named}{more}", hint)
