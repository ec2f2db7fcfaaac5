# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the ways back, to be pasted into a shell. Pure.

Nothing that a record of a repository says gets into a command but the label of a backup or a dump, whose form is
checked. What the operator did not name is a word in capitals.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from shlex import quote
from typing import Dict, List, Optional, Sequence

from ..base.errors import ConfigError
from ..postgres.identifiers import conninfo
from ..records.fields import printable
from ..records.model import format_time
from .facts import Asked, Damage, Server

#: Words of a command that the operator has to replace.
HOST, NEW_HOST, STANDBY_HOST, DATABASE, TABLE = "HOST", "NEW_HOST", "STANDBY", "DATABASE", "SCHEMA.TABLE"
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:,+-]*\Z")


def playbook(asked: Asked, name: str, host: str, variables: Optional[Dict[str, str]] = None) -> str:
    """``ansible-playbook`` of the collection for a host; variables without a value are left out."""
    words = ["ansible-playbook", "-i", quote(asked.inventory or "INVENTORY"), f"lifeboat.postgres.{name}"]
    for key, value in {"lifeboat_hosts": host, **(variables or {})}.items():
        if value:
            words.append(f"-e {key}={_plain(value)}")
    return " ".join(words)


def _plain(value: str) -> str:
    """A value that neither the shell nor Ansible reads as anything else; ConfigError."""
    if _PLAIN.match(value):
        return value
    raise ConfigError(
        f"{value!r} cannot be written into a command.", "Use a name of letters, digits, '.', ':', '_' and '-'."
    )


def stop_at(asked: Asked) -> Dict[str, str]:
    """The variables of a playbook for a point in time or a backup; none for the latest moment of the newest one."""
    target = {} if asked.target is None else {"dr_target": "time", "dr_target_value": format_time(asked.target)}
    return {**target, "restore_label": asked.label}


def happened(asked: Asked) -> Dict[str, str]:
    """When it happened, from which the report counts the loss and the recovery time, if that was said."""
    when = asked.disaster_at
    return {"dr_disaster_at": format_time(when.replace(microsecond=0)) if when else ""}


def rebuild(asked: Asked, lost: str = "", as_of: Optional[datetime] = None) -> str:
    """Rebuild on an empty host, without the repositories that are ``lost``."""
    more = {"dr_old_host": asked.old_host, **happened(asked), **stop_at(asked)}
    more.update(lifeboat_lost_repositories=lost, dr_as_of=format_time(as_of) if as_of else "")
    return playbook(asked, "dr_rebuild", asked.new_host or NEW_HOST, more)


def in_place(asked: Asked, cluster: str) -> str:
    """Restore this cluster in place: without its name the playbook would take the first one of the host."""
    more = {"dr_cluster": cluster, **happened(asked), **stop_at(asked)}
    return playbook(asked, "dr_restore", asked.host or HOST, more)


def failover(asked: Asked, lost: str = "") -> str:
    """Promote the standby, without the repositories that are ``lost``."""
    more = {"dr_old_host": asked.old_host, **happened(asked), "lifeboat_lost_repositories": lost}
    return playbook(asked, "dr_failover", asked.standby or STANDBY_HOST, more)


def from_dump(asked: Asked, label: str, cluster: str) -> str:
    """Restore a database of this cluster from a dump; what Ansible would take for a template is left to be replaced."""
    name = asked.database or DATABASE
    if "{" in name or name != printable(name):
        name = DATABASE
    plain = _PLAIN.match(name) is not None
    more = {"dr_cluster": cluster, "dr_database": name if plain else "", "dr_dump_label": label}
    line = playbook(asked, "dr_dump", asked.host or HOST, more)
    # Only as JSON a value can have spaces and quotes.
    return line if plain else f"{line} -e {quote(json.dumps({'dr_database': name}))}"


def _lifeboat(config_file: str, *words: str) -> str:
    return " ".join(["sudo -u postgres lifeboat --config", quote(config_file), *words])


def _stop(asked: Asked, label: str = "") -> List[str]:
    stop = ["--time", quote(format_time(asked.target))] if asked.target else ["--latest"]
    named = label or asked.label
    return [*stop, *(["--label", quote(named)] if named else [])]


def _name(name: str, otherwise: str) -> str:
    """A name as an argument, unless it would be an option."""
    return quote(name) if name and not name.startswith("-") else otherwise


def delta(asked: Asked, config_file: str, label: str = "") -> str:
    """Rewrite what differs, on the stopped server, from the backup ``label``."""
    return _lifeboat(config_file, "restore", "--delta", *_stop(asked, label))


def tables(asked: Asked, config_file: str) -> str:
    """Restore tables beside the live ones."""
    named = [_name(name, TABLE) for name in asked.tables] or [TABLE]
    return _lifeboat(config_file, "table", "restore", _name(asked.database, DATABASE), *named, *_stop(asked))


def search(asked: Asked, config_file: str, since: Optional[datetime]) -> str:
    """Find the statement that deleted or changed rows."""
    named = [_name(name, TABLE) for name in asked.tables] or [TABLE]
    begin = quote(format_time(since)) if since else "TIME"
    return _lifeboat(config_file, "table", "search", _name(asked.database, DATABASE), *named, "--from", begin)


def reindex(damaged: Sequence[Damage], server: Server) -> str:
    """Build indexes again; their names are quoted as SQL quotes them, and only pg_catalog is in the search path."""
    where = [f"--host={quote(server.host)}"] if server.host else []
    words = ["sudo -u postgres env PGOPTIONS='-c search_path=pg_catalog,pg_temp' psql --no-psqlrc", *where]
    words.append(f"--port={server.port}")
    each = [(quote(conninfo(d.database)), quote(f"REINDEX INDEX {d.relation}")) for d in damaged]
    return " && ".join(" ".join([*words, f"--dbname={name}", f"--command={what}"]) for name, what in each)


def beside(asked: Asked, config_file: str) -> str:
    """Restore the cluster beside the live one, to take one database out of it."""
    return _lifeboat(config_file, "restore", *_stop(asked), "--data-dir DIRECTORY", "--set port=5999")
