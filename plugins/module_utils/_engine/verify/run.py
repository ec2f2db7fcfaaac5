# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read back all stored objects in every repository.

Objects verified recently are not read again, but their existence and size are checked every time.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Container, Dict, List, Optional, Sequence

from ..audit.event import Event
from ..audit.scope import audited
from ..audit.trail import AuditTrail, read_trail, verified
from ..base import clock
from ..base.errors import LifeboatError
from ..base.progress import Progress, Silent
from ..config.load import Config
from ..listing import read_contents
from ..records.model import open_record, parse_time
from ..repository.kinds import Kind, kind_of
from ..repository.repository import Repositories
from ..repository.verifications import Known, read_known
from . import trail
from .compare import Held, compare
from .one import OneRepository
from .report import Finding, Verification

# Seconds after which a segment that is being archived must be in every required repository.
_ON_ITS_WAY = 600.0


def verify(
    config: Config,
    label: Optional[str] = None,
    progress: Optional[Progress] = None,
    max_age: Optional[float] = None,
    record: bool = True,
) -> Verification:
    """Verify one backup with everything that its chain needs, or all backups, WAL, dumps and copies of file sets.

    Objects that were recorded as intact within ``max_age`` days are not read again (None: all are read); a named backup
    always is. A ``record`` of what was read is put into each repository that accepts it. Memory: as for a read of the
    store, plus four segments.
    """
    with audited(config, "verify", written=record) as note:
        done = _verify(config, label, progress or Silent(), max_age, record)
        note.objects += sorted(done.labels | done.copies)
        note.details.update(intact=done.intact, findings=len(done.findings))
        note.failed = None if done.intact else done.findings[0].error.error_code
        return done


def _verify(
    config: Config, label: Optional[str], progress: Progress, max_age: Optional[float], record: bool
) -> Verification:
    out, begin = Verification(), clock.monotonic()
    seen: List[OneRepository] = []
    known_trail: Optional[AuditTrail] = None
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                contents = read_contents(repository, config.retention)
                if label:
                    contents.catalog.find(label)
                known = read_known(repository) if max_age is not None and not label else Known()
            except LifeboatError as exc:
                if len(repositories.items) == 1:
                    raise
                out.findings.append(Finding(repository.name, label or "", exc))
                continue
            since = clock.now() - timedelta(days=max_age or 0)
            one = OneRepository(repository, contents, out, progress, known, since, config.retention.grace)
            seen.append(one)
            one.run(label)
        if not label:
            known_trail = _trail(config)
            for found in (compare([_held(config, one) for one in seen]), _against_trail(config, seen, known_trail)):
                told = {(f.repository, f.key) for f in out.findings if f.key}
                out.findings += [f for f in found if (f.repository, f.key) not in told]
    finally:
        faults = _faults(known_trail)
        for one in seen if record else ():
            one.record(whole=not label, audit_faults=faults.get(one.repository.name))
        repositories.close()
    out.seconds = clock.monotonic() - begin
    return out


def _trail(config: Config) -> Optional[AuditTrail]:
    """The audit trail; None if it cannot be read: an unreadable repository has a finding already."""
    with suppress(LifeboatError):
        return read_trail(config)
    return None


def _faults(known: Optional[AuditTrail]) -> Dict[str, int]:
    """The number of faults of the trail in each source, for metrics; ``audit verify`` names the events."""
    if known is None:
        return {}
    counted = Counter(fault.source for fault in verified(known).faults)
    return {source.name: counted[source.name] for source in known.sources}


def _against_trail(config: Config, seen: Sequence[OneRepository], known: Optional[AuditTrail]) -> List[Finding]:
    """Findings about objects that the audit trail says were made, in required repositories; none without a trail."""
    asked = [one for one in seen if one.repository.required]
    if not asked or known is None:
        return []
    past = {r.name for r in config.repositories if r.as_of}
    found: List[Finding] = []
    for one in asked:
        held, records = _held(config, one), frozenset(one.survey.records)
        # With as_of, ignore later events.
        sources = [s for s in known.sources if (s.name in past) == (held.name in past)]
        own = AuditTrail(tuple(s for s in sources if s.name == held.name), {}, ()).events()
        there = trail.There(held.name, held.layout, held.finished, held.unfinished, records, _began(one, own))
        found += trail.missing(there, AuditTrail(tuple(sources), {}, ()).events())
    return found


def _began(one: OneRepository, own: Sequence[Event]) -> Optional[datetime]:
    """When the repository was made, by its record or its first event: a record may claim a later time."""
    key, times = one.repository.layout.repository, [event.at for event in own[:1]]
    try:
        times.append(parse_time(open_record(one.repository.get_record(key), key)["created_at"]))
        return min(times)
    except (LifeboatError, KeyError, TypeError, ValueError):
        return min(times, default=None)


def _held(config: Config, one: OneRepository) -> Held:
    catalog, repository, now = one.contents.catalog, one.repository, clock.now()
    lag = next(r.max_lag for r in config.repositories if r.name == repository.name)
    lagging = now - timedelta(seconds=lag)
    return Held(
        repository.name,
        repository.layout,
        frozenset(
            {
                *(f"backups/{b.label}" for b in catalog.backups),
                *(f"backups/{d.label}" for d in catalog.damaged),
                *(c.name for c in one.copies if c.finished),
            }
        ),
        frozenset({*(f"backups/{u}" for u in catalog.unfinished), *(c.name for c in one.copies if not c.finished)}),
        now - timedelta(seconds=_ON_ITS_WAY) if repository.required else lagging,
        now if repository.required else lagging,
        {system: {s: info.modified for s, info in have.items()} for system, have in one.have.items()},
        {**one.survey.records, **one.survey.histories},
        one.texts,
        frozenset(key for key in one.survey.records if _is_own(kind_of(config.cluster, key), one.held)),
    )


def _is_own(kind: Kind, held: Container[str]) -> bool:
    """Whether no other repository needs the record: each is released separately, and sync skips released holds."""
    return kind.name == "release" or (kind.name == "hold" and kind.owner not in held)
