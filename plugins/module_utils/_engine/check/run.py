# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check``: whether archiving works, the window meets the objective, and there are no gaps."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Dict, Iterator, List, Mapping, Sequence

from ..base import clock
from ..base.errors import LifeboatError, RecordForeign
from ..codec.age import Seal
from ..config.load import Config, RepositoryConfig
from ..config.sections import ObjectivesConfig
from ..listing import read_contents
from ..notify import known_deliveries
from ..provision.bucket_rules import harmful_rules
from ..records.model import format_time
from ..repository.drills import Drills, read_drills
from ..repository.holds import look_at_holds
from ..repository.kinds import kind_of
from ..repository.records import Aside, look_at_all
from ..repository.repository import Repositories, Repository
from ..repository.restore_tests import Tested, look_at_tests
from ..repository.signatures import Signatures
from ..repository.verifications import Known, read_known
from ..usage import has_limit, measured
from ..verify import SET_APART, look_for_foreign
from ..verify import words_of as words_of_foreign
from ..wal.inventory import find_file
from .answer import CRITICAL, OK, WARNING, Check, span, worst
from .contents import of_contents
from .encryption import Encryption, at_rest, in_transit
from .immutability import read_lock
from .incidents import incidents
from .leadership import of_leadership
from .notices import of_notices
from .server import ServerState, of_server, read_server
from .standby import of_standby

# Maximum number of set-apart objects, and of records without a valid signature, to list.
_NAMED, _FOREIGN = 5, 20


def check(config: Config) -> List[Check]:
    """Run every check; one that cannot be run is a critical result, never an exception."""
    return check_with(config, read_server(config))


def check_with(config: Config, state: ServerState) -> List[Check]:
    """As :func:`check`, with the state of the server already read."""
    out = [*of_server(config, state), *_file_sets(config)]
    out += of_notices([channel.name for channel in config.notifications.channels], known_deliveries(config))
    out += incidents(config)
    repositories = Repositories.open(config)
    out += _seal(repositories.seal)
    try:
        out += of_leadership(config, repositories, state)
        out += of_standby(config, state)
        for entry, repository in zip(config.repositories, repositories.items):
            out += _of_repository(config, entry, repository, state)
    finally:
        repositories.close()
    return out


def _of_repository(config: Config, entry: RepositoryConfig, repository: Repository, state: ServerState) -> List[Check]:
    """The checks of one repository; if it cannot be read, the last one is the error."""
    name, severity = repository.name, CRITICAL if repository.required else WARNING
    archived_name, system = (None, None) if "server" in dict(state.errors) else (state.archived, state.system)
    out = [_encrypted("in_transit", in_transit(entry), name)]
    try:
        if system:
            repository.owns(system)
        there = bool(archived_name and system and find_file(repository, system, archived_name))
        contents = read_contents(repository, config.retention)
        out += of_contents(config, contents, severity, state.wait if there else None)
        out.append(
            _encrypted("at_rest", at_rest(entry, config.cluster, repository.seal.seals, contents.chains.newest), name)
        )
        words, hint = read_lock(entry, config.cluster, contents.chains.newest)
        out.append(Check("lock", WARNING if hint else OK, words, hint, name))
        out += _lifecycle(config, repository)
        (tests, doubted), known = look_at_tests(repository), read_known(repository)
        holds = look_at_holds(repository)
        drills = read_drills(repository)
        out += _foreign(repository)
        aside = (*contents.aside, *holds.aside, *known.aside, *doubted, *drills.aside)
        out += apart(name, [a for a in aside if kind_of(config.cluster, a.key).name != "foreign"])
        out += verified(name, known, tests, config.objectives, clock.now())
        out += drilled(name, drills, config.objectives, clock.now())
        out += _quota(entry, repository)
        look_at_all(repository)
        out += signed(name, repository.signatures, severity)
        if archived_name and system and repository.required:
            out.append(_has_segment(there, name, archived_name))
    except LifeboatError as exc:
        out.append(_failed("repository", exc, severity, name))
    return out


def verified(
    name: str, known: Known, tests: Mapping[str, Tested], promised: ObjectivesConfig, now: datetime
) -> Iterator[Check]:
    """Whether the newest verification is recent enough, and the result of the last restore test. Pure."""
    limit = promised.max_verify_age
    if limit is not None:
        late = known.newest is None or now - known.newest > timedelta(days=limit)
        age = "It was never verified" if known.newest is None else f"It was verified {span(now - known.newest)} ago"
        more, hint = f"; max_verify_age is {limit:g} days.", "Run lifeboat verify; see the log of its scheduled job."
        status = WARNING if late else OK
        yield Check("verification", status, age + (more if late else ""), hint if late else "", repository=name)
    label, last = max(tests.items(), key=lambda test: test[1].at, default=("", None))
    if last and not last.proven:
        text = f"The last restore test, of {label} at {format_time(last.at)[:19]}Z, failed."
        hint = f"Repeat it to see the reasons: lifeboat verify --restore {label}."
        yield Check("restore_test", WARNING, text, hint, repository=name)


def drilled(name: str, drills: Drills, promised: ObjectivesConfig, now: datetime) -> Iterator[Check]:
    """Whether the newest drill passed, and, if ``max_drill_age`` is set, one that passed is recent enough. Pure."""
    limit, last, good = promised.max_drill_age, drills.last, drills.last_passed
    if last and not last.passed:
        text = f"The last drill, {last.label}, failed: {last.checks_passed} of {last.checks} checks passed."
        yield Check(
            "drill", WARNING, text, f"See lifeboat drill show {last.label}, then repeat the drill.", repository=name
        )
    elif limit is not None:
        late = good is None or now - good.stored_at > timedelta(days=limit)
        age = "No drill has passed" if good is None else f"A drill passed {span(now - good.stored_at)} ago"
        hint = "Run the playbook dr_rehearse or dr_drill, and keep the evidence (docs/drill.md)." if late else ""
        more = f"; max_drill_age is {limit:g} days." if late else ""
        yield Check("drill", WARNING if late else OK, age + more, hint, repository=name)


def apart(name: str, aside: Sequence[Aside]) -> Iterator[Check]:
    """The objects in a repository that do not count: foreign, damaged or implausible ones. Pure."""
    # Records without a valid signature are reported with the signatures.
    aside = [item for item in aside if not isinstance(item.error, RecordForeign)]
    if aside:
        more = f" and {len(aside) - _NAMED} more" if len(aside) > _NAMED else ""
        words = " ".join(item.error.message for item in aside[:_NAMED])
        hint = "Find out who stored it; docs/ransomware.md says what to do if somebody else has the writer's keys."
        yield Check("set_apart", WARNING, f"{words}{more}", hint, repository=name)


def signed(name: str, signatures: Signatures, severity: str) -> Iterator[Check]:
    """Who signed the records that were read, and which records do not count. Pure."""
    if not signatures.required:
        return
    by = Counter(signer or "nobody, stored by signing.unsigned_until" for signer in signatures.signed.values())
    words = ", ".join(f"{count} by {signer}" for signer, count in sorted(by.items()))
    yield Check("signatures", OK, f"{sum(by.values())} records are signed{': ' * bool(by)}{words}", repository=name)
    foreign = sorted(signatures.foreign.items())
    for _key, error in foreign[:_FOREIGN]:
        yield Check("foreign_record", severity, error.message, error.hint, repository=name)
    if len(foreign) > _FOREIGN:
        more = f"{len(foreign) - _FOREIGN} more records do not count."
        yield Check("foreign_record", severity, more, "List all with lifeboat verify.", repository=name)


def _seal(seal: Seal) -> Iterator[Check]:
    """Whether this host can seal, and open what it sealed."""
    if not seal.seals:
        return
    try:
        seal.require()
        text = f"sealed to {len(seal.recipients)} recipients; this host"
        if not seal.has_identity:
            yield Check("seal", OK, f"{text} has no identity, so it cannot restore")
        elif seal.open_bytes(seal.close(b"proof"), "a trial object") == b"proof":
            yield Check("seal", OK, f"{text} has an identity that opens it")
    except LifeboatError as exc:
        yield _failed("seal", exc)


def _file_sets(config: Config) -> Iterator[Check]:
    """Whose credentials can write the file sets that root restores."""
    if not config.file_sets:
        return
    if config.files_apart:
        yield Check("file_sets", OK, "stored with their own credentials, which only root has")
        return
    paths = ", ".join(sorted({path for chosen in config.file_sets for path in chosen.paths}))
    text = f"stored with the credentials of backups, whose holder decides what root restores below {paths}"
    yield Check("file_sets", OK, text, "Give them their own credentials: docs/files.md, Credentials.")


def _encrypted(name: str, found: Encryption, repository: str) -> Check:
    return Check(name, WARNING if found.wrong else OK, found.words, found.wrong or "", repository)


def _lifecycle(config: Config, repository: Repository) -> Iterator[Check]:
    """Whether a lifecycle rule would delete what retention keeps; no result if rules cannot be read."""
    store = {r.name: r.store for r in config.repositories}[repository.name]
    for harm in harmful_rules(store, f"{repository.layout.cluster}/"):
        yield Check(
            "lifecycle",
            WARNING,
            f"{harm} Backups need each other and their WAL, whatever their age.",
            "Exclude the repository's prefix from the rule; use lifeboat prune to remove objects.",
            repository=repository.name,
        )


def _quota(entry: RepositoryConfig, repository: Repository) -> Iterator[Check]:
    """Whether the repository is nearly full, if its limit is known: one more listing."""
    if has_limit(entry):
        found = measured(entry, repository)
        status, words, hint = found.judgement
        used, most = (found.limit.bytes - found.limit.free, found.limit.bytes) if found.limit else (None, None)
        yield Check("quota", status, words, hint, repository.name, value=used, unit="B", limit=most)


def _foreign(repository: Repository) -> Iterator[Check]:
    """Objects below the cluster's prefix that are not Lifeboat's."""
    found = look_for_foreign(repository)
    if found.count:
        yield Check("foreign_objects", WARNING, words_of_foreign(found), SET_APART, repository=repository.name)


def _failed(name: str, exc: LifeboatError, status: str = CRITICAL, repository: str = "") -> Check:
    return Check(name, status, exc.message, exc.hint, repository)


def _has_segment(there: bool, repository: str, name: str) -> Check:
    if there:
        return Check("wal", OK, f"has {name}, the last file that the server archived", repository=repository)
    return Check(
        "wal",
        CRITICAL,
        f"PostgreSQL reports {name} as archived, but the repository does not have it.",
        "Set archive_command to Lifeboat's with this configuration, then make a full backup.",
        repository=repository,
    )


def as_dict(checks: List[Check]) -> Dict[str, Any]:
    """The results as JSON-serializable data, and the worst status."""
    return {"status": worst(c.status for c in checks), "checks": [c.as_dict() for c in checks]}
