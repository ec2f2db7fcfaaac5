# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command by name, with its file, so that none has to be imported to find it."""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

#: The file in ``commands`` and what the command does, in the order of the help. Commands without text are not listed:
#: only restores or drills call them.
VERBS: Dict[str, Tuple[str, str]] = {
    "backup": ("backup", "make a base backup"),
    "list": ("listing", "list backups, windows and gaps"),
    "show": ("listing", "show one backup, what its host needs, and how to restore it without Lifeboat"),
    "check": ("check", "check archiving, the objectives, and gaps"),
    "assess": ("assess", "show which ways back there are, what each loses and how long it takes"),
    "metrics": ("metrics", "show this host's metrics in Prometheus' exposition format"),
    "exporter": ("exporter", "serve metrics and a status page of all clusters, from their repositories alone"),
    "usage": ("usage", "show the size of each repository, when it will be full, and what the next prune will free"),
    "config": ("configuration", "check the configuration and show it, without secrets"),
    "files": ("files", "store, list and restore file sets"),
    "dump": ("dump", "store, list and restore dumps of single databases"),
    "wal-push": ("wal", "archive one WAL file (archive_command)"),
    "wal-fetch": ("wal", "fetch one WAL file (restore_command)"),
    "wal-prefetch": ("wal", ""),
    "wal-agent": ("wal_agent", "store WAL ahead of archive_command, until stopped"),
    "wal-stream": ("wal_stream", "store the unfinished WAL segment every few seconds"),
    "wal-prove": (
        "prove",
        "switch to a new WAL segment, and wait until the finished one is in every required repository",
    ),
    "restore": ("restore", "restore the cluster to the latest moment or another target"),
    "standby": ("standby", "show a standby's lag and what its promotion would lose; change the primary"),
    "verify": ("verify", "read back backups, WAL, dumps and files in every repository; restore a backup as a test"),
    "sync": ("sync", "copy missing objects from one repository to others"),
    "table": ("table", "restore single tables as they were at a point in time"),
    "thaw": ("thaw", "make what a restore needs readable again, if a bucket has moved it to an archive class"),
    "prune": ("prune", "remove what the retention policy does not keep"),
    "hold": ("prune", "hold a backup, so that retention keeps it; or release it"),
    "audit": ("audit", "list recorded events, and verify that none is missing"),
    "evidence": ("evidence", "write one archive of evidence for an auditor, with checksums and an index"),
    "erasure": ("erasure", "register erasures, so that restores erase again"),
    "leader": ("leader", "show which site leads, or claim to lead"),
    "log-ship": ("logs", "store new log lines, until stopped"),
    "logs": ("logs", "read stored logs"),
    "notify": ("notify", "send notices, or test their channels"),
    "drill": ("drills", "store the evidence of drills in the repositories, list it, and plot the trend"),
    "incident": ("incident", "open, show, acknowledge, update and close incidents"),
    "incident-watch": ("incident_watch", "notify people of open incidents, until stopped"),
    "drill-ledger": ("drill", ""),
    "drill-survey": ("drill", ""),
    "drill-strike": ("drill", ""),
    "drill-judge": ("drill", ""),
    "drill-report": ("drill", ""),
}

#: Exit status of ``wal-fetch`` that stops recovery, instead of looking like the end of WAL.
ABORT_RECOVERY = 254
#: Exit status of ``check`` if nothing could be checked: wrong usage, unreadable configuration or a bug.
UNKNOWN = 3
#: argparse's 2 would mean the end of WAL to recovery, a critical result to monitoring, and a deposed site to
#: ``leader check``.
MISUSED = {"wal-fetch": ABORT_RECOVERY, "check": UNKNOWN, "leader": UNKNOWN, "standby": UNKNOWN}

_WITH_A_VALUE = ("--config", "--as-of")


def verb_in(words: Sequence[str]) -> Optional[str]:
    """The command in these arguments; None if there is none, or an unknown one. Pure."""
    waiting = iter(words)
    for word in waiting:
        if word in _WITH_A_VALUE:
            next(waiting, None)
        elif not word.startswith("-"):
            return word if word in VERBS else None
    return None
