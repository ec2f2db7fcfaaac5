# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read everything that is stored back, in every repository.

What was verified lately is not read again; that it is still there, in its size, is looked at every time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import List, Optional

from .. import clock
from ..audit.scope import audited
from ..config import Config
from ..errors import LifeboatError
from ..info import read_contents
from ..progress import Progress, Silent
from ..repository.repository import Repositories
from ..repository.verifications import Known, read_known
from .compare import Held, compare
from .one import OneRepository
from .report import Finding, Verification

# A required repository has a segment before PostgreSQL is told so; what is on its way is there after so many seconds.
_ON_ITS_WAY = 600.0


def verify(
    config: Config,
    label: Optional[str] = None,
    progress: Optional[Progress] = None,
    max_age: Optional[float] = None,
    record: bool = True,
) -> Verification:
    """Verify one backup with all that its chain needs, or all backups, WAL, dumps and copies of file sets.

    What a record of the last ``max_age`` days says to be intact is not read again (None: all is read); a named backup
    always is. Each repository gets a ``record`` of what was read, if it takes one. Memory: as for a read of the store,
    and four segments.
    """
    with audited(config, "verify", apply=record) as note:
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
            one = OneRepository(repository, contents, out, progress, *known.lately(since))
            one.run(label, record)
            seen.append(one)
    finally:
        repositories.close()
    if not label:
        told = {(f.repository, f.key) for f in out.findings}
        out.findings += [f for f in compare([_held(config, one) for one in seen]) if (f.repository, f.key) not in told]
    out.seconds = clock.monotonic() - begin
    return out


def _held(config: Config, one: OneRepository) -> Held:
    catalog, repository, now = one.contents.catalog, one.repository, clock.now()
    lag = next(r.max_lag for r in config.repositories if r.name == repository.name)
    lagging = now - timedelta(seconds=lag)
    return Held(
        repository.name,
        repository.layout,
        frozenset({*(f"backups/{b.label}" for b in catalog.backups), *(c.name for c in one.copies if c.finished)}),
        frozenset({*(f"backups/{u}" for u in catalog.unfinished), *(c.name for c in one.copies if not c.finished)}),
        now - timedelta(seconds=_ON_ITS_WAY) if repository.required else lagging,
        now if repository.required else lagging,
        {system: {s: info.modified for s, info in have.items()} for system, have in one.have.items()},
    )
