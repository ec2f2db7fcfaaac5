# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recovery settings in ``postgresql.auto.conf`` (PostgreSQL manual, "Archive Recovery", "Recovery Target")."""

from __future__ import annotations

import os
import re
import shlex
import stat
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..records.model import Target, format_time

SETTINGS_FILE = "postgresql.auto.conf"
_NOT_FOUND = 100
_SETTING = re.compile(r"^\s*([A-Za-z_.][A-Za-z0-9_.]*)\s*=?")
_TARGETS = ("recovery_target", *(f"recovery_target_{kind}" for kind in ("lsn", "name", "time", "xid")))
_RECOVERY = (
    "restore_command",
    "recovery_",
    "archive_cleanup_command",
    "primary_conninfo",
    "primary_slot_name",
    "standby_mode",
    "promote_trigger_file",
)


def recovery_settings(target: Target, timeline: int, action: str, restore_command: str) -> Dict[str, str]:
    """The settings that make a server recover to the target, whose time is aware."""
    settings = {"restore_command": restore_command, "recovery_target_timeline": str(timeline)}
    if target.kind == "immediate":
        settings["recovery_target"] = "immediate"
    elif target.kind == "time":
        settings["recovery_target_time"] = format_time(target.moment()).replace("T", " ").replace("Z", "+00")
    elif target.kind != "latest":
        settings[f"recovery_target_{target.kind}"] = target.value or ""
    if target.kind in ("time", "lsn", "xid"):
        settings["recovery_target_inclusive"] = "on" if target.inclusive else "off"
    if target.kind != "latest":
        settings["recovery_target_action"] = action
        return settings
    # A target in postgresql.conf, left by an earlier recovery, would end this one before the latest moment.
    return {**settings, **dict.fromkeys(_TARGETS, "")}


def standby_settings(restore_command: str, primary_conninfo: Optional[str] = None) -> Dict[str, str]:
    """The settings of a hot standby that follows the newest timeline of the archive, and of a primary if given.

    The server waits ``wal_retrieve_retry_interval`` before it tries again to fetch WAL that is not available yet: the
    default of 5 s would be most of the lag.
    """
    return {
        "restore_command": restore_command,
        "recovery_target_timeline": "latest",
        "hot_standby": "on",
        "wal_retrieve_retry_interval": "1s",
        **({"primary_conninfo": primary_conninfo} if primary_conninfo else {}),
    }


@dataclass(frozen=True)
class Ahead:
    """A prefetcher: its working directory, which it serves (see :mod:`..wal.prefetch`), and its process ID."""

    directory: str
    pid: int


# Numbers of polls, 0.02 s each: until the prefetcher must have noticed a request, and have answered it.
_NOTICED, _ANSWERED = 100, 2500


def restore_command(
    command: str,
    config_path: str,
    ahead: Optional[Ahead] = None,
    source: Optional[str] = None,
    without: Sequence[str] = (),
    pieces: bool = False,
    as_of: Optional[datetime] = None,
    follow: bool = False,
) -> str:
    """``restore_command`` that calls the host command; ``%`` is PostgreSQL's escape character.

    "Not found" has its own intermediate status, so that a command that cannot start (1, 2, 127: a broken
    Python, a missing package) stops recovery instead of ending it early.

    ``source`` and ``without`` are names of repositories: see :class:`..wal.fetch.Source`, also for ``pieces``.
    The repositories are read as of ``as_of``. ``follow``: for a standby, see :mod:`..wal.feed`.

    If a prefetcher is running, the file is taken from it; if anything goes wrong, the host command is called. Only
    ``mv``, ``rm`` and ``sleep`` are programs, the rest is built into the shell. Special builtins (``:``) must not
    redirect: if that fails, the shell exits with a status that PostgreSQL interprets as "not found".
    """
    past = f" --as-of={format_time(as_of)}" if as_of else ""
    words = f"{shlex.quote(command)} --config {shlex.quote(config_path)}{past} wal-fetch --not-found={_NOT_FOUND}"
    if source:
        words += "".join([f" --source={shlex.quote(source)}", *(f" --without={shlex.quote(w)}" for w in without)])
    words += (" --follow" if follow else "") + (" --pieces" if pieces else "")
    verdict = f"case $? in 0) exit 0;; {_NOT_FOUND}) exit 1;; *) exit 254;; esac"
    first = _from_prefetcher(ahead, final=not follow) if ahead else ""
    return first + words.replace("%", "%%") + f' "%f" "%p"; {verdict}'


def _from_prefetcher(ahead: Ahead, final: bool) -> str:
    """Ask the prefetcher for the file. ``final``: its "missing" is the answer; otherwise the host command is called."""
    directory = shlex.quote(ahead.directory).replace("%", "%%")
    # Its working directory distinguishes it from another process with this ID; a zombie has none.
    lives = f'[ "/proc/{ahead.pid}/cwd" -ef "$d" ]'
    missing = '[ -n "$gone" ] && exit 1; ' if final else ""
    # Leftovers of a request would make the prefetcher keep a file that nobody takes.
    return (
        f'd={directory}; f="$d/%f"; q="$f.$$"; n=0; gone=; '
        f'if {lives}; then if [ ! -f "$f" ]; then if {{ echo >"$q.want"; }} 2>/dev/null; then '
        f'while [ ! -f "$f" ] && [ $n -lt {_ANSWERED} ] && {lives}; do '
        '[ -f "$q.missing" ] && gone=1 && break; [ -f "$q.ask" ] && break; '
        f'[ $n -gt {_NOTICED} ] && [ -f "$q.want" ] && break; '
        "sleep 0.02; n=$((n+1)); done; fi; "
        'rm -f "$q.want" "$q.seen" "$q.missing" "$q.ask"; '
        f"{missing}fi; "
        '[ -f "$f" ] && mv -f "$f" "%p" && exit 0; fi; '
    )


def without_recovery(text: str) -> str:
    """The content of a settings file without the settings that control recovery."""

    def keep(line: str) -> bool:
        match = _SETTING.match(line)
        return not (match and match.group(1).lower().startswith(_RECOVERY))

    return "".join(line for line in _lines(text) if keep(line))


def with_settings(text: str, settings: Mapping[str, Any]) -> str:
    """The content of a settings file with these settings in place of earlier ones of the same name."""
    names = {name.lower() for name in settings}
    kept = [line for line in _lines(text) if not ((m := _SETTING.match(line)) and m.group(1).lower() in names)]
    return "".join([*kept, *(f"{name} = {quote(value)}\n" for name, value in settings.items())])


def _lines(text: str) -> List[str]:
    """Lines as PostgreSQL separates them: ``str.splitlines`` would also split a value at U+2028 and the like."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")] if text else []


def quote(value: Any) -> str:
    """A value quoted for ``postgresql.conf``."""
    if isinstance(value, bool):
        value = "on" if value else "off"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''").replace("\n", "\\n") + "'"


def rewrite(data_dir: str, settings: Mapping[str, Any]) -> None:
    """Replace all recovery settings of a stopped server with these (none: only remove them)."""
    path = os.path.join(data_dir, SETTINGS_FILE)
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        text = ""
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(with_settings(without_recovery(text), settings))
    os.chmod(path, 0o640 if os.stat(data_dir).st_mode & stat.S_IRGRP else 0o600)


STANDBY, RECOVERY = "standby.signal", "recovery.signal"


def set_signal(data_dir: str, wanted: Optional[str]) -> None:
    """Make ``wanted`` (STANDBY or RECOVERY) the only signal file; None removes both."""
    for name in (STANDBY, RECOVERY):
        try:
            os.unlink(os.path.join(data_dir, name))
        except FileNotFoundError:
            pass
    if wanted:
        with open(os.path.join(data_dir, wanted), "w", encoding="utf-8"):
            pass
