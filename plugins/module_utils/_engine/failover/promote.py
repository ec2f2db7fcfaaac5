# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Promote a standby: wait until everything is replayed, claim the leadership, and end the recovery.

In one call, because clients wait from the stop of the old primary until this is done.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import Any, Dict, Mapping, Optional, Tuple

from ..audit.scope import audited
from ..base import clock
from ..base.errors import ConfigError, LifeboatError, PromotionRefused, PromotionUnfinished, StoreUnavailable
from ..base.files import open_to_read
from ..base.wal_names import Segment, format_lsn
from ..config.load import Config
from ..leadership import claim
from ..leadership.decide import Request as Claim
from ..postgres import server
from ..postgres.connection import Session, session
from ..postgres.controldata import ControlData, read_control
from ..postgres.facts import Position, replay_position, require_data_dir
from ..restore import standby_status_of
from ..wal.feed import read_handed
from ..wal.segment import is_cut_off, next_record, read_header
from . import loss
from .judge import NO_LOSS, OK, Limit, accepted_lsn, read_limit
from .site import data_dir_of, histories_in, place_of

#: Seconds to wait for the replay, and for the end of the recovery.
CATCH_UP, TIMEOUT = 60, 60
_POLL, _LOOK = 0.05, 1.0


@dataclass(frozen=True)
class Request:
    """``handover``: where the old primary stopped (LSN); None if it was lost, so that what is stored is replayed first.

    Then ``limit`` is the most that may be lost, and ``accepted`` the LSN at which somebody has accepted a greater loss.
    ``claim``: the epoch to put in between; None if this site leads already, or if the leadership is not kept.
    ``catch_up`` and ``timeout`` are the seconds to wait for the replay, and for the end of the recovery.
    """

    handover: Optional[int] = None
    limit: Limit = NO_LOSS
    accepted: Optional[int] = None
    claim: Optional[Claim] = None
    catch_up: float = CATCH_UP
    timeout: float = TIMEOUT


def request(config: Config, options: Mapping[str, Any]) -> Request:
    """The request of a command or a module, by the names of its options; ConfigError for a value that cannot work.

    With ``claim``, the kind of the epoch, this site claims the leadership.
    """
    catch_up, timeout, kind = options["catch_up"], options["timeout"], options["claim"]
    if catch_up < 0 or timeout <= 0:
        raise ConfigError(
            f"The seconds to wait are {catch_up:g} for the replay and {timeout:g} for the end of the recovery.",
            "Give 0 or more for the replay, and more than 0 for the recovery.",
        )
    handover = claim.handover_of(options["handover_lsn"] or None)
    limit = read_limit(options["max_loss"] or None, config.objectives.rpo)
    accepted = accepted_lsn(options["accept_loss"] or None)
    wanted = None
    if kind:
        token = options["token"] or None
        wanted = Claim(config.site, kind, claim.timeline_of(config, None), handover, token)
        claim.require_possible(wanted)
    return Request(handover, limit, accepted, wanted, catch_up, timeout)


@dataclass(frozen=True)
class Promoted:
    """The server's timeline and the LSN where it began, both None in a plan; ``epoch`` is what was claimed."""

    changed: bool
    replayed: Optional[int] = None
    timeline: Optional[int] = None
    fork: Optional[int] = None
    epoch: Optional[Dict[str, Any]] = None

    def as_dict(self) -> Dict[str, Any]:
        lsns = {"replayed_lsn": self.replayed, "fork_lsn": self.fork}
        shown = {name: None if lsn is None else format_lsn(lsn) for name, lsn in lsns.items()}
        return {"changed": self.changed, "timeline": self.timeline, "epoch": self.epoch, **shown}


def plan(config: Config, request: Request) -> Promoted:
    """Whether :func:`apply` would promote the server; nothing is written or waited for."""
    data_dir = data_dir_of(config)
    control = read_control(config.bin_dir, data_dir)
    with session(config.connection) as sql:
        require_data_dir(sql, data_dir)
        if _recovering(sql):
            at = replay_position(sql, control.segment_size)
            _require_not_beyond(at, request)
            if request.claim:
                claim.plan(config, request.claim)
            return Promoted(True, at.lsn)
    return _promoted(config, data_dir, bool(_begun(config, request)))


def apply(config: Config, request: Request) -> Promoted:
    """Claim the leadership and promote the server; one that is a primary already is left as it is.

    PromotionRefused before anything is changed if the standby does not get to where the old primary stopped, if more is
    lost than is allowed, or if a primary would claim anew: it can only finish its own claim. PromotionUnfinished after
    the claim if the recovery does not end in time. Otherwise the errors of a claim.
    """
    data_dir = data_dir_of(config)
    server.refuse_root()
    control = read_control(config.bin_dir, data_dir)
    with audited(config, "promote") as note:
        with session(config.connection) as sql:
            require_data_dir(sql, data_dir)
            standby = _recovering(sql)
            if not standby:
                _begun(config, request)
            at = _catch_up(config, sql, control, request) if standby else None
            claimed = claim.apply(config, request.claim) if request.claim else None
            if standby:
                server.promote(config.bin_dir, data_dir)
                _await_end(sql, data_dir, request.timeout)
        done = _promoted(config, data_dir, standby or bool(claimed and claimed.repositories))
        epoch = claimed.epoch.shown() if claimed else None
        done = replace(done, replayed=at.lsn if at else None, epoch=epoch)
        note.skip = not done.changed
        note.objects.append(f"{control.system_identifier}/{done.timeline}")
        note.details.update({name: told for name, told in done.as_dict().items() if name.endswith("_lsn")})
        return done


def _begun(config: Config, request: Request) -> Tuple[str, ...]:
    """The repositories that lack the claim of this primary; PromotionRefused unless it was begun before.

    A server that was promoted by this request has claimed before. Any other primary would depose the one that leads.
    """
    if request.claim is None:
        return ()
    planned = claim.plan(config, request.claim)
    if not planned.begun:
        raise PromotionRefused(
            "The server is a primary already, and nobody has begun this claim for its site.",
            "Nothing was claimed. Is this the old primary? Stop it: dr_rejoin makes it a standby. If it is to lead:"
            " lifeboat leader claim.",
        )
    return planned.repositories


def _require_not_beyond(at: Position, request: Request) -> None:
    if request.handover is not None and at.lsn > request.handover:
        raise _refused(
            at,
            f"but the old primary stopped at {format_lsn(request.handover)}: something was written after that",
            "Was the old primary started again? Stop it, and hand over again: lifeboat standby handover.",
        )


def _recovering(sql: Session) -> bool:
    return bool(sql.value("SELECT pg_is_in_recovery()"))


def _catch_up(config: Config, sql: Session, control: ControlData, request: Request) -> Position:
    """The position once all is replayed, and nothing more is lost than is allowed."""
    until, size = clock.monotonic() + request.catch_up, control.segment_size
    while True:
        at = replay_position(sql, size)
        _require_not_beyond(at, request)
        # The repository is not asked before the standby is there, but then always: it may have more.
        there = at.lsn == (request.handover or at.lsn)
        try:
            if there and (found := _replayed(config, request, size)):
                at = found
                break
        except StoreUnavailable:
            if clock.monotonic() >= until:
                raise
        if clock.monotonic() >= until:
            goal = f"not to {format_lsn(request.handover)}, where the old primary stopped" if request.handover else ""
            why = "; ".join(standby_status_of(config).obstacles) or "the repository has no more WAL"
            raise _refused(
                at,
                f"{goal or 'not to the end of what is stored'}, after {request.catch_up:g} s: {why}",
                "Look at lifeboat standby status, and repeat it. WAL that another repository has: lifeboat sync.",
            )
        clock.sleep(_LOOK if there else _POLL)
    if request.handover is None:
        lost, verdict = loss.read(config, request.limit, request.accepted)
        if verdict.word != OK:
            lsn = format_lsn(lost.lsn)
            raise _refused(
                at,
                f"and more would be lost than is allowed: {'; '.join(verdict.reasons)}",
                f"To accept that: --accept-loss {lsn}, or accept_loss of the module.",
            )
    return at


def _replayed(config: Config, request: Request, size: int) -> Optional[Position]:
    """The position once all that is stored is replayed, after a loss but for a record that was never finished."""
    status = standby_status_of(config)
    if not status.lag_bytes:
        return status.at
    all_there = request.handover is None and _has_all(data_dir_of(config), status.at, status.stored.end, size)
    return status.at if all_there else None


def _has_all(data_dir: str, at: Position, end: int, size: int) -> bool:
    """Whether the server has all WAL up to ``end``, where what is stored ends, and only an incomplete record is left.

    A primary that was killed often leaves one, whose end was never written, and which is never replayed.
    """
    wal_dir = os.path.join(data_dir, "pg_wal")
    last = Segment.at(at.timeline, end - 1, size)
    handed = read_handed(wal_dir, last.name)
    if (handed.end and last.start + handed.end < end) or not os.path.exists(os.path.join(wal_dir, last.name)):
        return False
    segment = Segment.at(at.timeline, at.lsn, size)
    try:
        with open_to_read(os.path.join(wal_dir, segment.name)) as stream:
            block = read_header(segment.name, stream.read(64)).block
            begin = next_record(at.lsn, block, size)
            stream.seek(begin - segment.start)
            total = int.from_bytes(stream.read(4), sys.byteorder)
    except (OSError, LifeboatError):
        return False
    return begin >= end or is_cut_off(begin, total, end, block, size)


def _refused(at: Position, why: str, hint: str) -> PromotionRefused:
    lsn = format_lsn(at.lsn)
    return PromotionRefused(
        f"The standby has replayed to {lsn}, {why}.", f"Nothing was promoted. {hint}", replayed_lsn=lsn
    )


def _await_end(sql: Session, data_dir: str, seconds: float) -> None:
    until = clock.monotonic() + seconds
    while _recovering(sql):
        if clock.monotonic() >= until:
            raise PromotionUnfinished(
                f"The server in {data_dir} was told to end its recovery {seconds:g} s ago, and is still in it.",
                "It becomes the primary later: see its log, and repeat this to wait for it. Keep the old primary down.",
                data_dir=data_dir,
            )
        clock.sleep(_POLL)


def _promoted(config: Config, data_dir: str, changed: bool) -> Promoted:
    wal_dir = os.path.join(data_dir, "pg_wal")
    control = read_control(config.bin_dir, data_dir)
    place = place_of(config, control, data_dir, histories_in(wal_dir, os.listdir(wal_dir)))
    return Promoted(changed, None, place.path.timeline, place.fork)
