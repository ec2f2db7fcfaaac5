# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choose the timeline and the backup for a target, and check that the target can be reached. Pure."""

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
    """The path to the target's timeline; None for ``current`` (that of the backup, chosen later).

    ``known`` are the timelines of backups, ``stored`` those with WAL.
    """
    if target.timeline == "current":
        return None
    numbers = sorted(set(known) | set(histories))
    if target.timeline == "latest":
        return path_to(latest_timeline(known, histories, stored), histories)
    number = int(target.timeline)
    if number not in numbers:
        raise TargetUnreachable(
            f"The repository has no timeline {number}; it has {', '.join(map(str, numbers))}.",
            "Choose one of those, or latest.",
            timelines=numbers,
        )
    return path_to(number, histories)


def latest_timeline(known: Collection[int], histories: Collection[int], stored: Collection[int]) -> int:
    """The highest timeline that has a backup, or both a history file and WAL (``stored``).

    A history alone must not end recovery where it forks: anybody who can store objects can create one.
    """
    return max({*known, *(set(histories) & set(stored))})


def on_path(backups: Sequence[BackupManifest], path: Optional[TimelinePath]) -> List[BackupManifest]:
    """The backups from which recovery can follow ``path``."""
    return [b for b in backups if path is None or path.contains(b.timeline, b.stop_lsn)]


def require_on_path(backup: BackupManifest, path: Optional[TimelinePath]) -> None:
    """TargetUnreachable if the path left the backup's timeline before the backup was finished."""
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
        f"Choose target timeline {backup.timeline} (or current), or a backup on the way to timeline {path.timeline}.",
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
            "No backup is on the way to the target timeline.",
            "Choose another target timeline: lifeboat list shows those of the backups.",
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
    where = f"is between the start and the end of backup {first.label}" if began else f"is before backup {first.label}"
    which = "the requested one" if label else "the earliest on the way"
    raise TargetUnreachable(
        f"The target {what} {where} ({which}),"
        f" which is consistent from {format_time(first.finished_at)} (LSN {format_lsn(first.stop_lsn)}) on.",
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
    """As :func:`choose_backup`, but only backups with a complete chain; ``everything`` are all of the cluster.

    ChainBroken, with a hint, if only a broken chain leads to the target, or was requested.
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
            else "No other backup reaches this target"
        )
        raise broken[wanted.label].error(repository, f"{out}.") from exc
    if label:
        raise broken[wanted.label].error(
            repository, f"Choose backup {other.label} (label), which reaches the same target. Nothing was changed."
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
            "Choose another backup (label). Nothing was changed.",
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
    """WalGap or TargetUnreachable if the existing WAL does not contain the target.

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
                f"The target time {format_time(moment)} is in the future (now is {format_time(now)}).",
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
            f"The target {target.describe()} is the last archived commit itself: to stop after a time, PostgreSQL needs"
            " a later commit, and none was archived.",
            " ".join(["Choose latest, which ends with that commit.", *warnings_of(run)]),
            **until,
        )
    time = (
        f"the last archived commit, at {until['latest']}"
        if until["latest"]
        else "the end of the backup, with no commit after it"
    )
    raise TargetUnreachable(
        f"The target {target.describe()} is after the archived WAL, which ends with {time}"
        f" (LSN {until['latest_lsn']}).",
        " ".join(["Choose latest, or a target before that.", *warnings_of(run)]),
        **until,
    )


def warnings_of(run: Run) -> List[str]:
    """Warnings for a restore to the end of this WAL: some was lost, or is not used."""
    if run.lost:
        first, last = run.lost[0], run.lost[-1]
        return [
            f"{len(run.lost)} WAL segments, {first.name} to {last.name}, are on record as archived, but are not in the"
            f" repository: commits after LSN {format_lsn(first.start)} are lost unless another repository has them."
        ]
    if run.unused:
        names = f"{run.unused[0].name} to {run.unused[-1].name}"
        return [
            f"The WAL ends at {format_lsn(run.end)}: {run.next_needed.name} was never archived. {len(run.unused)}"
            f" segments after it, {names}, had been stored ahead and are left out."
        ]
    return []


def _gap(run: Run, what: str, latest: Optional[datetime], last_record: Optional[int]) -> WalGap:
    until = _until(run, latest, last_record)
    more = f" and {run.missing_count - 1} more" if run.missing_count > 1 else ""
    reach = f" The latest commit before the gap is at {until['latest']}." if until["latest"] else ""
    return WalGap(
        f"{what[0].upper()}{what[1:]} cannot be reached: WAL segment {_first_missing(run)}{more}"
        f" is not in the repository, but later ones are.{reach}",
        f"Restore to the last record before the gap: --lsn {until['latest_lsn']}. Nothing was changed.",
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
