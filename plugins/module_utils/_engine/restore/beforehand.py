# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check beforehand what would fail only after the extraction: settings, the port, the name of a restore point."""

from __future__ import annotations

import os
import re
from typing import Any, Mapping, Optional, Sequence

from ..base.errors import ConfigError, TargetUnreachable
from ..base.process import run
from ..base.temporary import temporary_directory
from ..base.wal_names import format_lsn
from ..postgres.controldata import program
from ..postgres.recovery import SETTINGS_FILE, with_settings
from ..postgres.running import Running, running_servers
from ..records.model import BackupManifest, Target
from .request import RestoreRequest

# Time, process and severity as in the server's log, or the name of the program.
_PREFIX = re.compile(r"^.*?\b(?:LOG|FATAL|ERROR|WARNING|DETAIL|HINT): |^postgres: ")
# The restore sets these itself, or they would make the server run somewhere else.
_OURS = ("restore_command", "data_directory", "config_file")


def require_settings(bin_dir: Optional[str], settings: Mapping[str, Any]) -> None:
    """ConfigError if PostgreSQL rejects the settings: ``postgres -C`` reads them as the server will."""
    ours = [name for name in settings if name.lower() in _OURS or name.lower().startswith("recovery_target")]
    if ours:
        raise ConfigError(
            f"A restore sets {ours[0]} itself.", f"Leave {ours[0]} out of the settings; give a target or a data_dir."
        )
    if not settings:
        return
    with temporary_directory("lifeboat-settings-") as scratch:
        for name, text in (("postgresql.conf", ""), (SETTINGS_FILE, with_settings("", settings))):
            with open(os.path.join(scratch, name), "w", encoding="utf-8") as stream:
                stream.write(text)
        said = run([program(bin_dir, "postgres"), "-D", scratch, "-C", "data_directory"], check=False)
    if said.status:
        words = [_PREFIX.sub("", line).strip() for line in said.stderr.splitlines() if line.strip()]
        raise ConfigError(
            f"PostgreSQL rejects the settings of this restore: {'; '.join(words)}.",
            "Correct them (--set NAME=VALUE, or settings).",
            settings=sorted(settings),
        )


def require_port(request: RestoreRequest, data_dir: str, usual: int) -> None:
    """ConfigError if the restored server could not open its port because another server on this host uses it."""
    opens = request.action in ("pause", "standby") or (request.action == "promote" and request.leave == "running")
    if opens:
        others = [s for s in running_servers() if s.data_dir != os.path.realpath(data_dir)]
        port = str(request.settings.get("port", usual))
        other = port_taken(port, request.settings, others)
        # A server that pauses or follows has to run.
        ways = {"pause": "choose action shutdown", "standby": "stop that one"}
        other_way = ways.get(request.action, "leave it stopped (leave)")
        if other:
            raise ConfigError(
                f"Port {port} of the restored server is in use by the server in {other.data_dir}"
                f" (process {other.pid}).",
                f"Give the restored server another port (--set port=5999, or settings), or {other_way}.",
                port=port,
            )


def port_taken(port: str, settings: Mapping[str, Any], others: Sequence[Running]) -> Optional[Running]:
    """The server that already uses the port; none if the settings name other sockets and no address. Pure."""
    apart = settings.get("listen_addresses") == "" and "unix_socket_directories" in settings
    same = (s for s in others if s.port is not None and str(s.port) == port)
    return next(
        (s for s in same if not apart or s.sockets in str(settings["unix_socket_directories"]).split(",")), None
    )


def require_single(target: Target, backup: BackupManifest, positions: Sequence[int]) -> None:
    """TargetUnreachable if the restore point occurs more than once: recovery stops at the first. Pure."""
    if len(positions) > 1:
        places = [format_lsn(p) for p in sorted(positions)]
        raise TargetUnreachable(
            f"The WAL after backup {backup.label} has the restore point {target.value!r} {len(places)} times, at"
            f" {', '.join(places)}: recovery would stop at the first.",
            f"Give the position instead (--lsn {places[-1]}, or target lsn), or choose a newer backup.",
            positions=places,
        )
