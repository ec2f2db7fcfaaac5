# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repair objects that are damaged or missing in one repository, from a good copy in another one.

Objects are write-once, so a damaged one has to be removed before the good one is put. The order never removes the only
copy: the good one is read completely and checked; a trial object is put and deleted, to make sure that both are
allowed; a record of the repair and the damaged bytes are put aside in the same
repository; then the damaged object is removed, the good one is put, and read back.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple
from urllib.parse import unquote

from ..audit.scope import audited
from ..base import clock
from ..base.errors import LifeboatError, ObjectCorrupt, ObjectMissing, RepairRefused
from ..base.progress import Progress, Silent
from ..base.wal_names import is_segment
from ..config.load import Config
from ..records.model import FORMAT, ArchiveFile, format_time
from ..repository.histories import digest_line, sound_history
from ..repository.kinds import Kind, kind_of
from ..repository.layout import MANIFEST, is_sealed, trial
from ..repository.leases import writing
from ..repository.repository import Repositories, Repository
from ..wal.fetch import open_wal
from .copies import promised
from .extras import open_extra, require_digest
from .records import alike, require_sound
from .report import Finding, Verification
from .run import verify
from .survey import LASTING

#: Errors that mean that the object itself is damaged or missing. No other error does.
HEALABLE = ("object_corrupt", "object_missing", "wal_invalid", "wal_gap")


def healable(finding: Finding) -> bool:
    """Whether it names an object that is damaged or missing. Pure."""
    return bool(finding.key) and finding.error.error_code in HEALABLE


@dataclass(frozen=True)
class Repaired:
    """One object: the source of the good copy and the key of the damaged bytes, or why it was not repaired."""

    repository: str
    key: str
    source: str = ""
    aside: str = ""
    removed: bool = False
    error: Optional[LifeboatError] = None

    def as_dict(self) -> Dict[str, Any]:
        return {
            "repository": self.repository,
            "key": self.key,
            "source": self.source,
            "aside": self.aside,
            "removed": self.removed,
            "error": self.error.as_dict() if self.error else None,
        }


# Days, so that what the run before the repair has read counts as known.
_RECENT = 1.0
# Maximum number of objects to name in an audit event.
_NAMED = 100


def verify_and_repair(
    config: Config, label: Optional[str] = None, progress: Optional[Progress] = None, max_age: Optional[float] = None
) -> Tuple[Verification, List[Repaired]]:
    """Verify, repair, and verify again whatever was repaired or depends on it, until that finds nothing more."""
    done, repaired = verify(config, label, progress, max_age), []
    tried: Set[Tuple[str, str]] = set()
    while not done.intact:
        fresh = [f for f in done.findings if (f.repository, f.key) not in tried]
        healed = repair(config, fresh, progress)
        tried.update((f.repository, f.key) for f in fresh)
        repaired += healed
        if all(item.error for item in healed):
            break
        done = verify(config, label, progress, _RECENT if max_age is None else max_age)
    return done, repaired


def repair(config: Config, findings: Sequence[Finding], progress: Optional[Progress] = None) -> List[Repaired]:
    """Repair the objects in these findings. One that cannot be repaired does not stop the others.

    Memory: one WAL segment, otherwise as for a read of the store.
    """
    with audited(config, "repair") as note:
        done = _repair(config, findings, progress or Silent())
        note.skip = not done
        note.details["repaired"] = [{"repository": r.repository, "key": r.key, "from": r.source} for r in done[:_NAMED]]
        note.details["repaired_count"] = sum(not r.error for r in done)
        note.failed = next((r.error.error_code for r in done if r.error), None)
        return done


def _repair(config: Config, findings: Sequence[Finding], progress: Progress) -> List[Repaired]:
    done: List[Repaired] = []
    repositories = Repositories.open(config)
    try:
        seen: Set[Tuple[str, str]] = set()
        refusals: Dict[str, Optional[str]] = {}
        for finding in findings:
            where = (finding.repository, finding.key)
            if not healable(finding) or where in seen:
                continue
            seen.add(where)
            target = repositories.named(finding.repository)
            if target is None:
                continue
            progress.phase(f"{target.name}: repair {finding.key}")
            try:
                bad, good = _digest_instead(target, finding, _find(repositories, target, finding))
                if target.name not in refusals:
                    refusals[target.name] = _refusal(target)
                done.append(_heal(target, bad, good, refusals[target.name]))
            except LifeboatError as exc:
                done.append(Repaired(target.name, finding.key, error=exc))
    finally:
        repositories.close()
    return done


@dataclass(frozen=True)
class _Good:
    """A checked object of another repository: its key there, and what its bytes must be equal to."""

    source: Repository
    key: str
    file: ArchiveFile


def _find(repositories: Repositories, target: Repository, finding: Finding) -> _Good:
    doubts = []
    for source in repositories.items:
        if source is target:
            continue
        try:
            return _find_good(source, target, finding)
        except LifeboatError as exc:
            doubts.append(f"{source.name}: {exc.message}")
    raise RepairRefused(
        f"No other repository has an intact {finding.key}: {'; '.join(doubts) or 'there is no other one'}.",
        f"Nothing was removed. {_way_out(kind_of(target.layout.cluster, finding.key), finding.key)}",
        repository=target.name,
        key=finding.key,
    )


def _way_out(kind: Kind, key: str) -> str:
    """What to do if no copy is intact; only some kinds are eventually removed by retention. Pure."""
    if kind.name == "erasure":
        return (
            "Set it apart manually (docs/ransomware.md), then register the erasure again: lifeboat erasure add. Until"
            " then, a restore needs --without-erasures."
        )
    if kind.name in ("files", "dump"):
        files, name = kind.name == "files", unquote(kind.part)
        again = f"lifeboat files backup {name}" if files else f"lifeboat dump create {name}"
        return f"Make a new one: {again}. Retention will remove the damaged one."
    if kind.name == "drill":
        return "Repeat the drill. Retention will remove the damaged one."
    if kind.name == "history":
        return (
            "Set it and its digest apart manually (docs/ransomware.md), then archive it again in the server's data"
            f" directory: lifeboat wal-push pg_wal/{key.rsplit('/', 1)[-1]}. Retention never removes it."
        )
    if kind.name in LASTING:
        return "Set it apart manually (docs/ransomware.md): retention never removes it."
    return "Make a full backup (lifeboat backup); retention will remove the damaged one."


def _digest_instead(target: Repository, finding: Finding, good: _Good) -> Tuple[Finding, _Good]:
    """If the history itself is good already, repair its digest instead."""
    kind, name = kind_of(target.layout.cluster, finding.key), finding.key.rsplit("/", 1)[-1]
    if kind.name != "history" or finding.key != target.layout.wal(kind.owner, name):
        return finding, good
    here = target.store.get(finding.key) if target.store.head(finding.key) else b""
    if _file_of(here) != good.file:
        return finding, good
    key = target.layout.wal_digest(kind.owner, name)
    return replace(finding, key=key), _Good(good.source, key, _file_of(good.source.store.get(key)))


def _refusal(target: Repository) -> Optional[str]:
    """Why these credentials cannot put and delete there, found by a trial object; None: they can."""
    key = trial(secrets.token_hex(8))
    try:
        # Deleting first is refused even if nothing is there, so that no trial object is left behind.
        failures = target.store.delete([key])
        if not failures:
            target.store.put(key, b"repair\n")
            failures = target.store.delete([key])
    except LifeboatError as exc:
        return exc.message
    return failures[0].reason if failures else None


def _heal(target: Repository, finding: Finding, good: _Good, refusal: Optional[str]) -> Repaired:
    there, aside = target.store.head(finding.key) is not None, ""
    if there:
        if refusal:
            raise _refused(target, finding.key, refusal)
        aside = _put_aside(target, finding, good)
    # If this ends in between, retention must not take what is left for an unfinished backup.
    record = finding.key.endswith(f"/{MANIFEST}")
    with writing([target] if record else [], [finding.key]):
        if there:
            _remove(target, finding.key, aside)
        try:
            _put(target, good)
        except LifeboatError as exc:
            if there:
                exc.hint = (
                    f"Run it again: the damaged object was removed; the good one of {good.source.name} is untouched."
                )
            raise
    return Repaired(target.name, good.key, good.source.name, aside, there)


def _find_good(source: Repository, target: Repository, finding: Finding) -> _Good:
    """Read the object of ``source`` completely and check it as strictly as possible; raises if it is not good."""
    kind = kind_of(source.layout.cluster, finding.key)
    if finding.segment is not None:
        return _good_segment(source, target, finding)
    if kind.name in (*LASTING, "history", "wal"):
        return _good_small(source, target, finding, kind)
    if kind.name not in ("backup", "files", "dump", "drill"):
        raise ObjectMissing(f"{finding.key} cannot be repaired", "")
    directory, name = finding.key.rsplit("/", 1)
    record = f"{directory}/{MANIFEST}"
    raw = source.get_record(record)
    theirs = promised(kind, raw, record)
    if kind.record:
        return _Good(source, record, _file_of(raw))
    file = next((f for f in theirs if f.name == name), None)
    if file is None or file not in promised(kind, target.get_record(record), record):
        raise ObjectCorrupt(f"{finding.key} has another checksum in its record there", "")
    for _chunk in source.store.read(finding.key, sha256=file.sha256, size=file.size):
        pass
    return _Good(source, finding.key, file)


def _alike(source: Repository, key: str, kind: Kind) -> str:
    """The key of the same record in ``source``."""
    if kind.name not in ("hold", "report") or source.store.head(key):
        return key
    cluster = source.layout.cluster
    there = (info.key for info in source.store.list(f"{key.rsplit('/', 1)[0]}/"))
    return next((other for other in there if alike(cluster, key, other)), key)


def _good_small(source: Repository, target: Repository, finding: Finding, kind: Kind) -> _Good:
    """Check a permanent record, a timeline history, a digest, or another file beside the segments."""
    key = _alike(source, finding.key, kind)
    name = key.rsplit("/", 1)[-1]
    raw = source.get_record(key) if kind.name in LASTING else source.store.get(key)
    is_digest = key.startswith(source.layout.wal_digests(kind.owner))
    if kind.name in LASTING:
        require_sound(source.layout, key, raw)
    elif kind.name == "history" and is_digest:
        if digest_line(source.store.get(source.layout.wal(kind.owner, name)), name) != raw:
            raise ObjectCorrupt(f"{key} does not match the history there", "")
    elif kind.name == "history":
        sound_history(source, kind.owner, name, raw)
    elif is_digest:
        require_digest(key, raw)
    elif not is_sealed(key) or source.seal.has_identity:
        open_extra(source, kind.owner, key, raw)
    elif target.store.head(key) is not None:
        raise ObjectCorrupt(f"{key} is sealed, and this host has no identity to check it", "")
    return _Good(source, key, _file_of(raw))


def _good_segment(source: Repository, target: Repository, finding: Finding) -> _Good:
    """Check a segment in the form in which ``source`` has it, opened if possible."""
    name = finding.segment.name if finding.segment else ""
    for key in source.layout.wal_forms(finding.system, name, is_sealed(finding.key)):
        try:
            raw = source.store.get(key)
        except ObjectMissing:
            continue
        if not is_sealed(key) or source.seal.has_identity:
            open_wal(source, finding.system, name, key, raw)
        elif target.store.head(finding.key) is not None:
            # A host that can open neither copy cannot tell which one is damaged.
            raise ObjectCorrupt(f"{key} is sealed, and this host has no identity to check it", "")
        return _Good(source, key, _file_of(raw))
    raise ObjectMissing(f"{name} is missing", "")


def _file_of(raw: bytes) -> ArchiveFile:
    return ArchiveFile("object", len(raw), hashlib.sha256(raw).hexdigest())


def _put_aside(target: Repository, finding: Finding, good: _Good) -> str:
    """Store the damaged bytes beside a record of the repair; returns their key."""
    now, token = clock.now(), secrets.token_hex(4)
    aside = target.layout.damaged(now, token, "object")
    record = {
        "format": FORMAT,
        "at": format_time(now),
        "key": finding.key,
        "source": good.source.name,
        "aside": aside,
        "error": finding.error.as_dict(),
    }
    target.put_record(target.layout.damaged(now, token, "repair.json"), record)
    with target.store.writer(aside) as writer:
        for chunk in target.store.read(finding.key):
            writer.write(chunk)
    return aside


def _remove(target: Repository, key: str, aside: str) -> None:
    failures = target.store.delete([key])
    if failures or target.store.head(key) is not None:
        # Nothing was repaired: remove what was put aside.
        target.store.delete([aside, f"{aside.rsplit('/', 1)[0]}/repair.json"])
        raise _refused(target, key, failures[0].reason if failures else "it still exists")


def _refused(target: Repository, key: str, why: str) -> RepairRefused:
    return RepairRefused(
        f"Cannot remove the damaged object {key} from repository {target.location}: {why}.",
        "Use credentials that can put and delete, such as those of the identity repairer. Nothing was lost.",
        repository=target.name,
        key=key,
    )


def _put(target: Repository, good: _Good) -> None:
    """Copy the object, and read it back."""
    if is_sealed(good.key) and is_segment(name := good.key.rsplit("/", 1)[-1][:24]) and good.file.name == "object":
        _put_digest(target, good, name)
    with target.store.writer(good.key) as writer:
        for chunk in _read(good.source, good):
            writer.write(chunk)
    for _chunk in _read(target, good):
        pass


def _put_digest(target: Repository, good: _Good, name: str) -> None:
    """Put the digest that determines a sealed segment's content first, as when archiving."""
    kind = kind_of(target.layout.cluster, good.key)
    key = target.layout.wal_digest(kind.owner, name)
    if target.store.head(key) is None:
        target.store.put(key, good.source.store.get(key))


def _read(repository: Repository, good: _Good) -> Iterator[bytes]:
    return repository.store.read(good.key, sha256=good.file.sha256, size=good.file.size)
