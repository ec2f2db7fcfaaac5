# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command by its name, and the file that has it: known without importing one."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

#: The file in ``commands`` and what the command does, in the order of the help. Those without text are not listed:
#: only a restore or a drill calls them.
VERBS: Dict[str, Tuple[str, str]] = {
    "backup": ("backup", "make a base backup"),
    "list": ("listing", "list backups, windows and gaps"),
    "show": ("listing", "show one backup, what its host needs, and how to restore it by hand"),
    "check": ("check", "check archiving, the objectives, and gaps"),
    "assess": ("assess", "show which ways back there are, what each loses and how long it takes"),
    "metrics": ("metrics", "show what is measured here, in the exposition format of Prometheus"),
    "exporter": ("exporter", "serve metrics and a status page of all clusters, from their repositories alone"),
    "usage": ("usage", "show how much each repository holds, when it is full, and what the next prune frees"),
    "config": ("configuration", "check the configuration and show it, without secrets"),
    "files": ("files", "store, list and restore file sets"),
    "dump": ("dump", "store, list and restore dumps of single databases"),
    "wal-push": ("wal", "archive one WAL file (archive_command)"),
    "wal-fetch": ("wal", "fetch one WAL file (restore_command)"),
    "wal-prefetch": ("wal", ""),
    "wal-agent": ("wal_agent", "store WAL ahead of archive_command, until stopped"),
    "wal-stream": ("wal_stream", "store the unfinished WAL segment every few seconds"),
    "wal-prove": ("prove", "switch to a new WAL segment and find the finished one in every required repository"),
    "restore": ("restore", "restore the cluster, to the latest moment or a chosen target"),
    "standby": ("standby", "show how far a standby is behind and what its promotion would lose; change the primary"),
    "verify": ("verify", "read backups, WAL, dumps and files back in every repository; restore one as a test"),
    "sync": ("sync", "copy to repositories what another one has"),
    "table": ("table", "restore single tables as they were at a point in time"),
    "prune": ("prune", "remove what the retention policy does not keep"),
    "hold": ("prune", "hold a backup, so that retention keeps it; or release it"),
    "audit": ("audit", "list what happened, and verify that the record is complete"),
    "evidence": ("evidence", "write one archive of evidence for an auditor, with checksums and an index"),
    "erasure": ("erasure", "register what was erased, so that restores erase it again"),
    "leader": ("leader", "show which site leads, or claim to lead"),
    "log-ship": ("logs", "store new log lines, until stopped"),
    "logs": ("logs", "read stored logs"),
    "notify": ("notify", "notify somebody, or test the channels by which that is done"),
    "drill": ("drills", "keep the evidence of drills in the repositories, list it, and plot the trend"),
    "incident": ("incident", "open an incident, see it, acknowledge it, tell how it is, and close it"),
    "incident-watch": ("incident_watch", "tell the people who are to be told of open incidents, until stopped"),
    "drill-ledger": ("drill", ""),
    "drill-survey": ("drill", ""),
    "drill-strike": ("drill", ""),
    "drill-judge": ("drill", ""),
    "drill-report": ("drill", ""),
}

#: Of ``wal-fetch``: recovery must stop, and not take this for the end of the WAL.
ABORT_RECOVERY = 254
#: Of ``check``: nothing could be found out, by wrong usage, an unreadable configuration or a mistake of this program.
UNKNOWN = 3
#: argparse's 2 would tell a recovery that the WAL has ended, a monitoring that the cluster is in danger, and whoever
#: asks for the leader that this site is deposed.
MISUSED = {"wal-fetch": ABORT_RECOVERY, "check": UNKNOWN, "leader": UNKNOWN, "standby": UNKNOWN}

_WITH_A_VALUE = ("--config", "--as-of")


def verb_in(words: Sequence[str]) -> Optional[str]:
    """The command that these arguments name; None if they name none, or an unknown one. Pure."""
    waiting = iter(words)
    for word in waiting:
        if word in _WITH_A_VALUE:
            next(waiting, None)
        elif not word.startswith("-"):
            return word if word in VERBS else None
    return None
