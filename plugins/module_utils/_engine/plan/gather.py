# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the repositories of a cluster have, for the plan. Read-only, and without anything that changes by itself: every
time in it is that of an event.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..base.errors import LifeboatError, ObjectCorrupt
from ..config.described import shown
from ..config.load import Config, RepositoryConfig
from ..drill import propose
from ..incident.places import stored_in
from ..incident.record import PRIORITIES
from ..incident.timeline import Incident
from ..leadership.read import look
from ..metrics import Stored, read_stored
from ..records.model import BackupManifest, format_time
from ..repository.drills import Drill
from ..repository.layout import compression_of
from ..repository.repository import Repositories, Repository
from ..repository.restore_tests import newest_reports
from ..restore import restore_by_hand
from ..wal.keep import holds_sealed

# Of the reports of restore tests: one may be damaged.
_LOOKED_AT = 5
# Whoever may store can open thousands.
_MOST_INCIDENTS = 50


def gather(config: Config) -> Dict[str, Any]:
    """The facts of a cluster: what its configuration promises, and of each repository what it has, or why it is unread.

    The first error is raised where no repository answers: a plan without any facts would replace one that has them.
    """
    errors: List[LifeboatError] = []
    found: List[Dict[str, Any]] = []
    incidents: Dict[str, Incident] = {}
    leader: Optional[str] = None
    drills: Sequence[Drill] = ()
    with Repositories.open(config) as repositories:
        for entry, repository in zip(config.repositories, repositories.items):
            about = _about(entry)
            try:
                stored = read_stored(config, entry, repository)
                facts = {**about, **_of(repository, stored), "error": None}
                told, leads = stored_in(config, repository), _leader(repository)
            except LifeboatError as exc:
                errors.append(exc)
                found.append({**about, "error": exc.message})
                continue
            found.append(facts)
            drills = max(drills, stored.drills.items, key=len)
            incidents = {**told, **incidents}
            leader = leader or leads
    if len(errors) == len(found):
        raise errors[0]
    promised = config.incidents
    return {
        "cluster": config.cluster,
        "objectives": shown(config.objectives),
        "retention": shown(config.retention),
        "priority": promised.priority,
        "priorities": {p: promised.objective(p, config.objectives.rto).total_seconds() for p in PRIORITIES},
        "update_interval": promised.update_interval,
        "escalate": promised.escalate,
        "removes": True,
        "ladder": [{"after": rung.after, "roles": list(rung.roles)} for rung in promised.ladder],
        "contacts": [shown(contact) for contact in promised.in_order],
        "signed": bool(config.signing.signers),
        "leader": leader,
        "next_drill": _next_drill(config, drills),
        "repositories": found,
        "incidents": [_incident(name, incidents[name]) for name in _unfinished(incidents)],
    }


def _about(entry: RepositoryConfig) -> Dict[str, Any]:
    """Where it is, without what it takes to get in."""
    return {
        "name": entry.name,
        "kind": entry.store.traits.name,
        "location": entry.store.location,
        "endpoint": entry.store.endpoint,
        "region": getattr(entry.store, "region", None),
        "required": entry.required,
        "lock": entry.store.lock_mode,
        "versions": entry.store.traits.versions,
    }


def _of(repository: Repository, stored: Stored) -> Dict[str, Any]:
    contents = stored.contents
    newest, way = contents.chains.newest, contents.to_latest()
    tested = max(stored.tests.items(), key=lambda item: item[1].at, default=None)
    return {
        "backups": len(contents.catalog.backups),
        "newest": _backup(newest, stored) if newest else None,
        "restorable": way is not None and not way.run.missing and not way.run.lost,
        "window_start": format_time(contents.windows[-1].start) if contents.windows else None,
        "locked_until": format_time(stored.locked_until) if stored.locked_until else None,
        "verified_at": format_time(stored.known.newest) if stored.known.newest else None,
        "damaged": stored.known.damaged,
        "restore_test": {"label": tested[0], **tested[1].as_dict(), **_pace(repository)} if tested else None,
        "file_sets": {name: format_time(at) for name, at in sorted(stored.file_sets.items())},
        "dumps": {name: format_time(at) for name, at in sorted(stored.dumps.items())},
        "drills": _drills(stored.drills.items),
        "by_hand": _by_hand(repository, stored, newest) if newest else None,
    }


def _backup(backup: BackupManifest, stored: Stored) -> Dict[str, Any]:
    verified = stored.known.labels.get(backup.label)
    return {
        "label": backup.label,
        "type": backup.type,
        "chain": [link.label for link in stored.contents.chains.whole[backup.label]],
        "finished_at": format_time(backup.finished_at),
        "stored_bytes": sum(link.stored_size for link in stored.contents.chains.whole[backup.label]),
        "restored_bytes": backup.final_size,
        "server_version": backup.server_version,
        "verified_at": format_time(verified) if verified else None,
        "sealed": bool(backup.recipients),
        "recipients": list(backup.recipients),
        "requirements": dict(backup.requirements),
        "tablespaces": [{"oid": t.oid, "location": t.location, "in_place": t.in_place} for t in backup.tablespaces],
    }


def _pace(repository: Repository) -> Dict[str, Any]:
    """How long the newest restore test that got so far took to have its server open, in seconds."""
    for report in newest_reports(repository, _LOOKED_AT):
        with suppress(ObjectCorrupt):
            if report.has("restored"):
                seconds = report.inner("restored").inner("timings").number("total")
                return {"seconds": round(seconds, 1), "seconds_at": format_time(report.moment("ended_at"))}
    return {"seconds": None, "seconds_at": None}


def _next_drill(config: Config, drills: Sequence[Drill]) -> Dict[str, Any]:
    """What is to be rehearsed next, and when (None: now)."""
    found = propose(drills, config.objectives.max_drill_age, len(config.repositories))
    return {"scenario": found.scenario, "due": format_time(found.due) if found.due else None}


def _drills(drills: Sequence[Drill]) -> List[Dict[str, Any]]:
    """The newest of each scenario, by scenario."""
    newest: Dict[str, Drill] = {drill.scenario: drill for drill in drills}
    return [{key: value for key, value in newest[name].as_dict().items() if key != "files"} for name in sorted(newest)]


def _by_hand(repository: Repository, stored: Stored, newest: BackupManifest) -> Dict[str, Any]:
    chain = stored.contents.chains.whole[newest.label]
    sealed_wal = holds_sealed(repository, newest.system_identifier)
    return {
        "label": newest.label,
        "script": restore_by_hand(repository, chain, sealed_wal),
        "sealed": sealed_wal or any(link.recipients for link in chain),
        "lz4": any(compression_of(file.name) == "lz4" for link in chain for file in link.files),
    }


def _leader(repository: Repository) -> Optional[str]:
    """The site that leads; None where no leadership is kept."""
    for system in repository.systems():
        epoch = look([repository], system).now.leader
        if epoch is not None:
            return epoch.site
    return None


def _unfinished(incidents: Mapping[str, Incident]) -> List[str]:
    """Those that are open, or of which something is left to do: the newest, by name."""
    left = [n for n, i in incidents.items() if i.is_open or any(not action.done for action in i.actions)]
    return sorted(left)[-_MOST_INCIDENTS:]


def _incident(name: str, incident: Incident) -> Mapping[str, Any]:
    opened, closed = incident.opened, incident.closed
    return {
        "incident": name,
        "title": opened.text if opened else "",
        "priority": incident.priority,
        "open": incident.is_open,
        "began_at": format_time(incident.began) if incident.began else None,
        "closed_at": format_time(closed.when) if closed else None,
        "actions": [action.as_dict() for action in incident.actions if not action.done],
    }
