# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a repository: its backups, WAL, retention, leadership and records."""

from __future__ import annotations

from .general import LifeboatError

# --- repository ---------------------------------------------------------------------------------------------------


class ForeignRepository(LifeboatError):
    """The repository belongs to another cluster (system identifier), or is no Lifeboat repository."""

    error_code = "repository_foreign"


class BackupMissing(LifeboatError):
    """No backup has the requested label, or there is no backup at all."""

    error_code = "backup_missing"


class ClockWrong(LifeboatError):
    """The server's or the host's clock is far from the store's."""

    error_code = "clock_wrong"


class BackupRunning(LifeboatError):
    """Another backup of the same cluster is under way."""

    error_code = "backup_running"


class FilesVanished(LifeboatError):
    """What a record was about to name is not in the repository any more; the record was not put."""

    error_code = "files_vanished"


class ChainBroken(LifeboatError):
    """A backup needs a parent that is missing or damaged; ``details`` name the backup and the faulty link."""

    error_code = "chain_broken"


# --- WAL ----------------------------------------------------------------------------------------------------------


class WalInvalid(LifeboatError):
    """A file that is offered or fetched as WAL is not the WAL that its name says."""

    error_code = "wal_invalid"


class WalConflict(LifeboatError):
    """The repository holds a segment of that name with different content."""

    error_code = "wal_conflict"


class WalGap(LifeboatError):
    """A WAL segment that is needed is not in the repository; ``details["missing"]`` lists the names."""

    error_code = "wal_gap"


class CloneRefused(LifeboatError):
    """A data directory that the configuration does not protect tried to archive into the repository."""

    error_code = "clone_refused"


class AgentRunning(LifeboatError):
    """Another WAL agent of the same cluster is running."""

    error_code = "agent_running"


class StreamBroken(LifeboatError):
    """The replication stream ended: ``pg_receivewal`` stopped, or another one holds the slot."""

    error_code = "stream_broken"


class SpoolUnusable(LifeboatError):
    """The spool directory cannot be written, or does not keep what is written."""

    error_code = "spool_unusable"


# --- retention ----------------------------------------------------------------------------------------------------


class PruneRefused(LifeboatError):
    """A guard objects to what retention would remove; ``details["objections"]`` name guard and repository."""

    error_code = "prune_refused"


class PruneIncomplete(LifeboatError):
    """The store did not remove everything that it should have."""

    error_code = "prune_incomplete"


class ReleaseRefused(LifeboatError):
    """A hold is not released: these credentials may not, or the release would not count."""

    error_code = "release_refused"


# --- verification -------------------------------------------------------------------------------------------------


class LocksNotRenewed(LifeboatError):
    """Retention removed what was due, but could not renew the locks of what is kept."""

    error_code = "locks_not_renewed"


class RepairRefused(LifeboatError):
    """A damaged object is not replaced: no other repository has a good one, or this one does not let it be removed."""

    error_code = "repair_refused"


# --- audit and erasures -------------------------------------------------------------------------------------------


class AuditUnreadable(LifeboatError):
    """The audit trail cannot be read here."""

    error_code = "audit_unreadable"


class ErasureFailed(LifeboatError):
    """A registered erasure cannot be read or applied again; ``details["id"]`` names it."""

    error_code = "erasure_failed"


class ErasuresUnconfirmed(LifeboatError):
    """Registered erasures that nobody confirmed would run a statement, or are later than ``as_of``; see ``details``."""

    error_code = "erasures_unconfirmed"


# --- leadership ---------------------------------------------------------------------------------------------------


class Deposed(LifeboatError):
    """Another site leads: this one may not archive. ``details`` name both, and the epoch."""

    error_code = "deposed"


class LeadershipTaken(LifeboatError):
    """Somebody else has the epoch that was to be claimed; ``details["site"]`` names the winner."""

    error_code = "leadership_taken"


class LeadershipUnsure(LifeboatError):
    """An epoch cannot be claimed or does not count: the repositories differ, or cannot keep one winner."""

    error_code = "leadership_unsure"
