# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which logs are shipped, and which lines belong to the security stream: the section ``logs``. Pure."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Optional, Tuple

from ..base.errors import ConfigError
from .option import build, option, with_tuples

#: The stream that is kept separately and longer than the others.
SECURITY = "security"
#: PostgreSQL's messages about connections, DDL statements and privileges (also pgaudit's).
SECURITY_LINES = (
    r"connection (received|authenticated|authorized)|disconnection: |authentication failed|no pg_hba\.conf entry"
    r"|permission denied|AUDIT: |(statement|execute [^:]*): *(/\*.*?\*/ *)?"
    r"(create|alter|drop|truncate|grant|revoke|reassign|security label|comment)\b"
)
#: The sources that are shipped by default.
DEFAULT_SOURCES: Tuple[Mapping[str, Any], ...] = (
    {"stream": "system", "journal": []},
    {"stream": "postgresql", "files": ["/var/log/postgresql/*.log"]},
    {"stream": "nginx", "files": ["/var/log/nginx/*.log"]},
)
_STREAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}\Z", re.ASCII)
_STATE = "/var/lib/lifeboat/logs"
# Facilities auth and authpriv of syslog (RFC 5424, 6.2.1).
_SECURITY_FACILITIES = ("4", "10")
_SECURITY_IDENTIFIERS = ("sudo", "su", "sshd", "sshd-session", "login", "systemd-logind", "lifeboat-audit")


@dataclass(frozen=True)
class LogSource:
    """Files (absolute paths, ``*`` and ``?`` as in a shell), the journal, or both, and the stream for their lines.

    ``journal`` are matches of ``journalctl`` (empty: the whole journal); None: not the journal.
    """

    stream: str = option("Name of the stream. C(security) has its own retention.")
    files: Tuple[str, ...] = option("Absolute paths, with C(*) and C(?) as in a shell.", (), path=True)
    journal: Optional[Tuple[str, ...]] = option(
        "Matches of C(journalctl). An empty list means the whole journal.", None
    )


@dataclass(frozen=True)
class LogsConfig:
    """Which logs are shipped; none if the section is missing.

    Every ``interval`` seconds new lines are stored as a chunk in each required repository. A megabyte of ``spool_mb``
    has 10^6 bytes; ``security`` ignores case.
    """

    sources: Tuple[LogSource, ...] = option(
        "Sources of lines. Default: the journal, and the logs of PostgreSQL and nginx.", ()
    )
    interval: float = option("Seconds between chunks, from 1 to 60.", 20.0)
    spool_mb: int = option("Megabytes of chunks to keep on disk while a store is unavailable.", 512)
    state_dir: Optional[str] = option(
        "Directory for positions and waiting chunks. Default: C(/var/lib/lifeboat/logs/CLUSTER).", None, path=True
    )
    security: str = option(
        "Regular expression for lines of files that go to the stream C(security). Default: PostgreSQL's messages about "
        "connections, DDL and denied access.",
        SECURITY_LINES,
    )

    def directory(self, cluster: str) -> str:
        """The directory for positions and waiting chunks."""
        return os.path.abspath(self.state_dir or os.path.join(_STATE, cluster))


def parse_logs(data: Any, where: str) -> LogsConfig:
    """Check the section; ConfigError names the path of a wrong option."""
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: logs must be a mapping, not {type(data).__name__}.", "See docs/logs.md.")
    values: Dict[str, Any] = dict(data)
    given = DEFAULT_SOURCES if values.get("sources") is None else values["sources"]
    if not isinstance(given, (list, tuple)):
        raise ConfigError(f"{where}: logs.sources must be a list.", "Write it as a YAML list.")
    values["sources"] = tuple(_source(item, f"logs.sources[{i}]", where) for i, item in enumerate(given))
    found: LogsConfig = build(LogsConfig, values, "logs", where)
    if not 1 <= found.interval <= 60:
        raise ConfigError(f"{where}: logs.interval is {found.interval:g}.", "Use seconds, from 1 to 60.")
    if found.spool_mb < 1:
        raise ConfigError(f"{where}: logs.spool_mb is {found.spool_mb}.", "It must be at least 1.")
    try:
        re.compile(found.security)
    except re.error as exc:
        raise ConfigError(
            f"{where}: logs.security is not a regular expression: {exc}.", "Correct it, or leave it out."
        ) from exc
    return found


def _source(item: Any, path: str, where: str) -> LogSource:
    found: LogSource = build(LogSource, with_tuples(item, ("files", "journal"), path, where), path, where)
    if not _STREAM.match(found.stream):
        raise ConfigError(
            f"{where}: {path}.stream is {found.stream!r}.",
            "Use at most 63 lower-case letters, digits, '_' and '-': it becomes part of every key.",
        )
    if not found.files and found.journal is None:
        raise ConfigError(f"{where}: {path} has neither files nor journal.", "Set at least one of them.")
    for name in found.files:
        if not os.path.isabs(name):
            raise ConfigError(f"{where}: {path}.files has the relative path {name!r}.", "Use an absolute path.")
    return found


def is_security_entry(entry: Mapping[str, Any]) -> bool:
    """Whether a journal entry concerns security, by its facility or the program that wrote it."""
    return (
        str(entry.get("SYSLOG_FACILITY", "")) in _SECURITY_FACILITIES
        or entry.get("SYSLOG_IDENTIFIER") in _SECURITY_IDENTIFIERS
    )
