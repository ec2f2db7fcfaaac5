# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a repository meets the objectives: backups, gaps, lost WAL, the window, the duration of a restore."""

from __future__ import annotations

from datetime import timedelta
from typing import Iterator, Optional

from ..base import clock
from ..base.units import about
from ..base.wal_names import format_lsn
from ..config.load import Config
from ..listing import Contents, words_of
from ..records.model import format_time
from ..restore import estimate_seconds, last_pace
from .answer import OK, WARNING, Check, span


def of_contents(config: Config, contents: Contents, severity: str, wait: Optional[float]) -> Iterator[Check]:
    """The checks of one repository's contents. ``wait``: see :func:`longest_wait`."""
    name, now, promised = contents.repository.name, clock.now(), config.objectives
    newest = contents.chains.newest
    bring = f"Copy missing objects from another repository: lifeboat sync --to {contents.repository.name}. "
    bring = bring if len(config.repositories) > 1 else ""
    for label, broken in sorted(contents.chains.broken.items()):
        hint = f"It cannot be restored. {bring}If there is no newer backup, make a full one now: lifeboat backup."
        yield Check("backup", severity, f"Its chain is broken: {broken}.", hint, repository=name, about=label)
    if newest is None:
        what = "whole" if contents.chains.broken else "finished"
        yield Check(
            "backups", severity, f"It has no {what} backup.", f"{bring}Make one: lifeboat backup.", repository=name
        )
        return
    for backup in contents.ahead:
        hint = "Set the clocks (timedatectl), then make a full backup: lifeboat backup."
        yield Check("clock", severity if backup is newest else WARNING, words_of(backup), hint, repository=name)
    if newest not in contents.ahead:
        age = max(now - newest.finished_at, timedelta())
        limit = promised.max_backup_age
        late = limit is not None and age.total_seconds() > limit
        yield Check(
            "backups",
            severity if late else OK,
            f"{len(contents.catalog.backups)} backups, the newest {newest.label} is {span(age)} old"
            + (f", more than {span(timedelta(seconds=limit or 0))}" if late else ""),
            "See the log of the scheduled backup." if late else "",
            name,
            value=age.total_seconds(),
            unit="s",
            limit=limit,
        )
    for damaged in (d for d in contents.catalog.damaged if not d.foreign):
        yield Check("backup", severity, damaged.error.message, damaged.error.hint, repository=name, about=damaged.label)
    way = contents.to_latest()
    if way is None:
        yield Check(
            "latest",
            severity,
            f"No backup leads to timeline {contents.latest} of the newest WAL, so a restore to latest is refused.",
            "Make a full backup now: lifeboat backup.",
            repository=name,
        )
    # A gap before a newer backup only narrows the window: the present can still be reached.
    mended = way is not None and not way.run.missing
    for label, run in contents.gaps():
        more = f" and {run.missing_count - 1} more" if run.missing_count > 1 else ""
        yield Check(
            "gap",
            WARNING if mended else severity,
            f"After backup {label}, WAL segment {run.missing[0]}{more} is missing.",
            f"Backups from {way.backup.label} on are not affected; restores from earlier ones end at the gap."
            if way and mended
            else f"{bring}Make a full backup now (lifeboat backup): no restore crosses the gap.",
            repository=name,
        )
    lost = max((run for _label, run in contents.every_run() if run.lost), key=lambda run: run.end, default=None)
    if lost:
        yield Check(
            "lost_wal",
            severity if way is None or way.run.lost else WARNING,
            f"{len(lost.lost)} WAL segments after {format_lsn(lost.end)}, from {lost.lost[0].name} on, were archived"
            " but are missing.",
            f"{bring}Find out who deleted them (docs/ransomware.md), then make a full backup.",
            repository=name,
        )
    yield _window(config, contents, name, severity, wait)
    if promised.rto is not None and way is not None:
        pace = last_pace(contents.repository, config.data_dir)
        seconds, basis = estimate_seconds(contents.chains.whole[way.backup.label], len(way.run.segments), pace)
        text = f"to the latest moment about {span(timedelta(seconds=seconds))} ({basis})"
        if seconds > promised.rto:
            hint = "Make backups more often, so that less WAL has to be replayed; then measure with a drill."
            text, status = f"{text}, more than the RTO of {promised.rto:g} s", severity
        else:
            status, hint = OK, ""
        yield Check("restore", status, text, hint, name, value=seconds, unit="s", limit=promised.rto)


def _window(config: Config, contents: Contents, name: str, severity: str, wait: Optional[float]) -> Check:
    promised, now = config.objectives, clock.now()
    if not contents.windows:
        return Check(
            "window",
            severity,
            "No point-in-time restore is possible.",
            "Make a full backup, and check that WAL is archived.",
            repository=name,
        )
    last = max(contents.windows, key=lambda w: w.end)
    text = (
        f"{format_time(last.start)} to {format_time(last.end)}"
        f" ({span(last.end - last.start)}) on timeline {last.timeline}"
    )
    exposed = min((now - last.end).total_seconds(), float("inf") if wait is None else wait)
    most, which, hint = promised.rpo, "the RPO", "Set archive_timeout below the RPO, and check that archiving works."
    if not contents.repository.required:
        most = next(r.max_lag for r in config.repositories if r.name == contents.repository.name)
        which, hint = "its max_lag", "Run lifeboat sync; see the log of its scheduled job."
    first = min(w.start for w in contents.windows)
    if most is not None and exposed > most:
        status = severity
        text += f": commits up to {about(exposed)} old may be missing here, more than {which} of {most:g} s."
    elif promised.window is not None and now - first < timedelta(days=promised.window):
        status, hint = WARNING, "If it does not grow with time, check retention."
        text += f": shorter than the promised {promised.window:g} days."
    else:
        status, hint = OK, ""
    return Check("window", status, text, hint, name, value=exposed, unit="s", limit=most)
