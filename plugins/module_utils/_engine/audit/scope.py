# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record an operation: who did it and how it ended. A failure to record never makes the operation fail."""

from __future__ import annotations

import os
import pwd
import socket
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence

from ..base import clock
from ..base.errors import LifeboatError
from ..config.load import Config
from ..config.sections import AuditConfig
from .event import FAILED, OK, Event, chain_name
from .journal import Written, write
from .localfile import tell_system

# Environment variables in which a caller may identify itself, and their names in the event.
_ENVIRONMENT = {
    "LIFEBOAT_CONTROLLER": "controller",
    "LIFEBOAT_RUN": "run",
    "SUDO_USER": "login",
}
_MOST = 200


@dataclass
class Note:
    """The operation's additions to its event. With ``skip`` nothing happened, and no event is written."""

    objects: List[str] = field(default_factory=list)
    details: Dict[str, Any] = field(default_factory=dict)
    skip: bool = False
    failed: Optional[str] = None


@dataclass
class _Caller:
    """The command or module that this process runs, and messages about what could not be recorded."""

    via: str = ""
    untold: List[str] = field(default_factory=list)


_CALLER = _Caller()


def called_by(via: str) -> None:
    """Set the command or module that this process runs."""
    _CALLER.via = via


def take_warnings() -> List[str]:
    """Messages about what could not be recorded since the last call."""
    found, _CALLER.untold = _CALLER.untold, []
    return found


def who() -> Dict[str, str]:
    """User and host, and as far as known the command or module, the login behind sudo, the client's address, the
    controller and its run.
    """
    try:
        # Not from the environment, which may be inherited when changing to another user.
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        user = str(os.geteuid())
    found = {"user": user, "host": socket.gethostname(), "via": _CALLER.via}
    found.update({name: os.environ.get(key, "")[:_MOST] for key, name in _ENVIRONMENT.items()})
    client = os.environ.get("SSH_CLIENT", "").split()
    return {k: v for k, v in {**found, "from": client[0] if client else ""}.items() if v}


@contextmanager
def audited(config: Config, what: str, objects: Sequence[str] = (), written: bool = True) -> Iterator[Note]:
    """Record the block and its result as one event. Without ``written`` no event is recorded."""
    note = Note(list(objects), skip=not written)
    try:
        yield note
    except BaseException as exc:
        note.failed = exc.error_code if isinstance(exc, LifeboatError) else _name(exc)
        if written:
            record(config, what, note)
        raise
    if not note.skip:
        record(config, what, note)


def _name(exc: BaseException) -> str:
    return "interrupted" if isinstance(exc, (KeyboardInterrupt, GeneratorExit)) else type(exc).__name__


def record(config: Config, what: str, note: Note) -> Optional[Written]:
    """Write the event; if that fails anywhere, it is reported, and the operation continues."""
    caller = who()
    draft = Event(
        chain=chain_name(caller["host"], caller["user"]),
        number=0,
        previous=None,
        at=clock.now(),
        what=what,
        result=FAILED if note.failed else OK,
        cluster=config.cluster,
        who=caller,
        error_code=note.failed,
        objects=tuple(note.objects),
        details=note.details,
    )
    try:
        written = write(config, draft)
    except Exception as exc:
        _CALLER.untold.append(f"the {what} is not on record: {exc}")
        return None
    _CALLER.untold += _complaints(what, written)
    return written


def announce(what: str, objects: Sequence[str], details: Mapping[str, Any]) -> bool:
    """Record in the system log only, before there is a repository; False if nothing accepts it."""
    caller = who()
    event = Event(
        chain_name(caller["host"], caller["user"]), 0, None, clock.now(), what, OK, "", caller,
        objects=tuple(objects), details=details,
    )  # fmt: skip
    return tell_system(AuditConfig().syslog, event.record())


def _complaints(what: str, written: Written) -> List[str]:
    missing: Mapping[str, LifeboatError] = written.missing
    found = [f"repository {name} has no record of the {what}: {exc.message}" for name, exc in missing.items()]
    if written.refused:
        found.append(f"the local file (audit.file) has no record of the {what}: {written.refused}")
    if not written.durable:
        found.append(f"the {what} is not on record: no repository and no local file (audit.file) accepted it")
    return found
