# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decisions about backups, timelines and targets. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Collection, List, Mapping, Optional, Sequence

from ..base.errors import BackupMissing, TargetUnreachable, WalGap
from ..base.wal_names import Segment, format_lsn, parse_lsn
from ..postgres.timeline import TimelinePath, path_to
from ..records.model import BackupManifest, Target, format_time
from ..repository.chain import Break, progress_of
from ..wal.inventory import Run


def choose_timeline(
    target: Target, known: Collection[int], histories: Mapping[int, str], stored: Collection[int]
) -> Optional[TimelinePath]:
    """The path to the target's timeline; None for ``current`` (it is the chosen backup's).

    ``known`` are the timelines of backups, ``stored`` those that there is WAL of.
    """
    if target.timeline == "current":
        return None
    numbers = sorted(set(known) | set(histories))
    if target.timeline == "latest":
        return path_to(latest_timeline(known, histories, stored), histories)
    number = int(target.timeline)
    if number not in numbers:
        raise TargetUnreachable(
            f"The repository knows no timeline {number}; it knows {', '.join(map(str, numbers))}.",
            "Choose one of those, or latest.",
            timelines=numbers,
        )
    return path_to(number, histories)


def latest_timeline(known: Collection[int], histories: Collection[int], stored: Collection[int]) -> int:
    """The highest timeline of a backup, or of a history file that there is WAL of (``stored``).

    A history alone, which whoever may store can make, must not end recovery where it forks.
    """
    return max({*known, *(set(histories) & set(stored))})


def on_path(backups: Sequence[BackupManifest], path: Optional[TimelinePath]) -> List[BackupManifest]:
    """The backups from which recovery can follow ``path``."""
    return [b for b in backups if path is None or path.contains(b.timeline, b.stop_lsn)]


def require_on_path(backup: BackupManifest, path: Optional[TimelinePath]) -> None:
    """TargetUnreachable when the path left the backup's timeline before the backup was finished."""
    if path is None or path.contains(backup.timeline, backup.stop_lsn):
        return
    fork = path.fork_of(backup.timeline)
    how = (
        f"it left timeline {backup.timeline} at {format_lsn(fork)},"
        f" before that backup's end at {format_lsn(backup.stop_lsn)}"
        if fork is not None
        else (f"it does not pass timeline {backup.timeline}")
    )
    raise TargetUnreachable(
        f"Timeline {path.timeline} cannot be reached from backup {backup.label}: {how}.",
        f"Choose target timeline {backup.timeline} (or current),"
        f" or a backup that was made on timeline {path.timeline}'s way.",
        label=backup.label,
        timeline=path.timeline,
    )


def choose_backup(
    backups: Sequence[BackupManifest],
    target: Target,
    position: Optional[int],
    label: Optional[str],
    path: Optional[TimelinePath],
) -> BackupManifest:
    """The latest backup finished before the target; ``backups`` has only one if a label was requested.

    ``position`` is the target's LSN, if it has one.
    """
    if not backups:
        raise BackupMissing(
            "No backup lies on the way to the target timeline.",
            "Choose another target timeline; lifeboat list shows each backup's.",
        )
    if label:
        require_on_path(backups[0], path)
    candidates = on_path(backups, path)
    if not candidates:
        require_on_path(max(backups, key=progress_of), path)
    good = [b for b in candidates if not _too_early(b, target, position)]
    if good:
        return max(good, key=progress_of)
    first = min(candidates, key=progress_of)
    what = f"{target.describe()}" + (
        f" (at {format_lsn(position)})" if position is not None and target.kind != "lsn" else ""
    )
    began = (
        first.started_at <= target.moment()
        if target.kind == "time"
        else position is not None and position > first.start_lsn
    )
    where = (
        f"lies between the start and the end of backup {first.label}" if began else f"lies before backup {first.label}"
    )
    which = "the backup that was asked for" if label else "the earliest that can lead there"
    raise TargetUnreachable(
        f"The target {what} {where}, {which}:"
        f" it became consistent at {format_time(first.finished_at)} (LSN {format_lsn(first.stop_lsn)}).",
        f"Choose a target after that{', or another backup' if label else ''}.",
        earliest=format_time(first.finished_at),
        earliest_lsn=format_lsn(first.stop_lsn),
        label=first.label,
    )


def choose_whole(
    backups: Sequence[BackupManifest],
    everything: Sequence[BackupManifest],
    broken: Mapping[str, Break],
    repository: str,
    target: Target,
    position: Optional[int],
    label: Optional[str],
    path: Optional[TimelinePath],
) -> BackupManifest:
    """As :func:`choose_backup`, among those whose chain is whole; ``everything`` are all backups of the cluster.

    ChainBroken, with a hint, if only a broken chain leads to the target, or one was asked for.
    """
    wanted = choose_backup(backups, target, position, label, path)
    if wanted.label not in broken:
        return wanted
    try:
        other = choose_backup([b for b in everything if b.label not in broken], target, position, None, path)
    except (BackupMissing, TargetUnreachable) as exc:
        earliest = exc.details.get("earliest")
        out = (
            f"No other backup reaches this target: choose one after {earliest} (backup {exc.details['label']})"
            if earliest
            else "No other backup leads there"
        )
        raise broken[wanted.label].error(repository, f"{out}.") from exc
    if label:
        raise broken[wanted.label].error(
            repository, f"Nothing was touched. Backup {other.label} reaches the same target: choose that one (label)."
        )
    return other


def _too_early(backup: BackupManifest, target: Target, position: Optional[int]) -> bool:
    if target.kind == "time":
        return target.moment() <= backup.finished_at
    return position is not None and position < backup.stop_lsn


def target_position(target: Target, located: Optional[int]) -> Optional[int]:
    """The target as an LSN, if it is one or was found in the WAL."""
    return parse_lsn(target.value or "") if target.kind == "lsn" else located


def require_consistent(backup: BackupManifest, run: Run) -> None:
    """WalGap unless the run reaches the end of the backup."""
    if run.end < backup.stop_lsn:
        missing = _first_missing(run)
        raise WalGap(
            f"Backup {backup.label} cannot be made consistent: WAL segment {missing} is not in the repository.",
            "Nothing was touched. Choose another backup (label).",
            missing=list(run.missing) or [missing],
            label=backup.label,
        )


def require_reachable(
    target: Target,
    position: Optional[int],
    run: Run,
    latest: Optional[datetime],
    now: datetime,
    last_record: Optional[int] = None,
) -> None:
    """Raise WalGap or TargetUnreachable if the existing WAL does not contain the target.

    ``latest`` is the time of the last commit in the run, ``last_record`` the LSN of its last record, if looked up.
    """
    if target.kind == "immediate":
        return
    if target.kind == "latest":
        if run.missing:
            raise _gap(run, "the latest moment", latest, last_record)
        return
    if target.kind == "time":
        moment = target.moment()
        if moment > now:
            raise TargetUnreachable(
                f"The target time {format_time(moment)} lies in the future (it is {format_time(now)}).",
                "Choose latest, or a past time.",
                **_until(run, latest, last_record),
            )
        if latest is None or not (moment < latest or (moment == latest and not target.inclusive)):
            _beyond(target, run, latest, last_record)
    elif position is None or position > run.end or (last_record is not None and position > last_record):
        _beyond(target, run, latest, last_record)


def _beyond(target: Target, run: Run, latest: Optional[datetime], last_record: Optional[int]) -> None:
    if run.missing:
        raise _gap(run, target.describe(), latest, last_record)
    until = _until(run, latest, last_record)
    if target.kind == "time" and target.moment() == latest:
        raise TargetUnreachable(
            f"The target {target.describe()} is the last archived commit itself: PostgreSQL stops behind a time at the"
            " first later commit, and none was archived.",
            " ".join(["Choose latest, which ends with that commit.", *warnings_of(run)]),
            **until,
        )
    time = (
        f"the last archived commit, at {until['latest']}"
        if until["latest"]
        else "the end of the backup, with no commit after it"
    )
    raise TargetUnreachable(
        f"The target {target.describe()} lies after the archived WAL: it ends with {time} (LSN {until['latest_lsn']}).",
        " ".join(["Choose latest, or a target before that.", *warnings_of(run)]),
        **until,
    )


def warnings_of(run: Run) -> List[str]:
    """Warnings for a restore to the end of this WAL: there was more of it, or some of it is not used."""
    if run.lost:
        first, last = run.lost[0], run.lost[-1]
        return [
            f"{len(run.lost)} WAL segments, {first.name} to {last.name}, are on record as archived and are not in the"
            f" repository: what was committed behind LSN {format_lsn(first.start)} is lost unless another repository"
            " has them."
        ]
    if run.unused:
        names = f"{run.unused[0].name} to {run.unused[-1].name}"
        return [
            f"The WAL ends at {format_lsn(run.end)}: {run.next_needed.name} was never archived. {len(run.unused)}"
            f" segments behind it, {names}, had been stored ahead and are left out."
        ]
    return []


def _gap(run: Run, what: str, latest: Optional[datetime], last_record: Optional[int]) -> WalGap:
    until = _until(run, latest, last_record)
    more = f" and {run.missing_count - 1} more" if run.missing_count > 1 else ""
    reach = f" The latest commit before the gap is at {until['latest']}." if until["latest"] else ""
    return WalGap(
        f"{what[0].upper()}{what[1:]} cannot be reached: WAL segment {_first_missing(run)}{more}"
        f" is not in the repository, but later ones are.{reach}",
        f"Nothing was touched. Restore to the last record before the gap: --lsn {until['latest_lsn']}.",
        missing=list(run.missing),
        missing_count=run.missing_count,
        **until,
    )


def _until(run: Run, latest: Optional[datetime], last_record: Optional[int]) -> dict[str, Optional[str]]:
    """The time of the last commit, and the last LSN that a restore can stop at."""
    end = run.end if last_record is None else last_record
    return {"latest": format_time(latest) if latest else None, "latest_lsn": format_lsn(end)}


def _first_missing(run: Run) -> str:
    return run.missing[0] if run.missing else run.next_needed.name


def segments_needed(backup: BackupManifest, target: Target, position: Optional[int], run: Run) -> int:
    """The most segments that recovery reads."""
    if target.kind == "immediate":
        last = Segment.ending_at(backup.timeline, backup.stop_lsn, backup.segment_size).number
    elif position is not None:
        last = Segment.ending_at(backup.timeline, position, backup.segment_size).number
    else:
        return len(run.segments)
    return last - run.first_needed.number + 1
