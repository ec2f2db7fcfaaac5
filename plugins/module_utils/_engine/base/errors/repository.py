# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a repository: its backups, WAL, retention, leadership and records."""

from __future__ import annotations

from .general import LifeboatError

# --- repository ---------------------------------------------------------------------------------------------------


class ForeignRepository(LifeboatError):
    """The repository belongs to another cluster (system identifier), or is not a Lifeboat repository."""

    error_code = "repository_foreign"


class BackupMissing(LifeboatError):
    """No backup has the requested label, or there is no backup at all."""

    error_code = "backup_missing"


class ClockWrong(LifeboatError):
    """The server's or the host's clock differs too much from the store's."""

    error_code = "clock_wrong"


class BackupRunning(LifeboatError):
    """Another backup of the same cluster is running."""

    error_code = "backup_running"


class FilesVanished(LifeboatError):
    """Files disappeared from the repository before the record that lists them was stored; it was not stored."""

    error_code = "files_vanished"


class ChainBroken(LifeboatError):
    """A backup needs a parent that is missing or damaged; ``details`` name the backup and the faulty link."""

    error_code = "chain_broken"


# --- WAL ----------------------------------------------------------------------------------------------------------


class WalInvalid(LifeboatError):
    """The content of a WAL file does not match its name."""

    error_code = "wal_invalid"


class WalConflict(LifeboatError):
    """The repository has a file of this name with different content."""

    error_code = "wal_conflict"


class WalGap(LifeboatError):
    """A required WAL segment is not in the repository; ``details["missing"]`` lists the names."""

    error_code = "wal_gap"


class CloneRefused(LifeboatError):
    """A data directory that the configuration does not protect tried to archive into the repository."""

    error_code = "clone_refused"


class AgentRunning(LifeboatError):
    """Another WAL agent of the same cluster is running."""

    error_code = "agent_running"


class StreamBroken(LifeboatError):
    """The replication stream ended: ``pg_receivewal`` stopped, or another process uses the slot."""

    error_code = "stream_broken"


class SpoolUnusable(LifeboatError):
    """The spool directory cannot be written, or loses what is written to it."""

    error_code = "spool_unusable"


# --- retention ----------------------------------------------------------------------------------------------------


class PruneRefused(LifeboatError):
    """A guard objects to what retention would remove; ``details["objections"]`` name guard and repository."""

    error_code = "prune_refused"


class PruneIncomplete(LifeboatError):
    """The store did not remove everything that it should have."""

    error_code = "prune_incomplete"


class ReleaseRefused(LifeboatError):
    """A hold was not released: the credentials do not allow it, or the release would not count."""

    error_code = "release_refused"


# --- verification -------------------------------------------------------------------------------------------------


class LocksNotRenewed(LifeboatError):
    """Retention removed what was due, but could not extend the locks of the remaining objects."""

    error_code = "locks_not_renewed"


class RepairRefused(LifeboatError):
    """A damaged object was not replaced: no other repository has an intact one, or this one refuses its removal."""

    error_code = "repair_refused"


# --- audit and erasures -------------------------------------------------------------------------------------------


class AuditUnreadable(LifeboatError):
    """The audit trail cannot be read here."""

    error_code = "audit_unreadable"


class ErasureFailed(LifeboatError):
    """A registered erasure cannot be read or reapplied; ``details["id"]`` names it."""

    error_code = "erasure_failed"


class ErasuresUnconfirmed(LifeboatError):
    """Unconfirmed erasures would run a custom statement, or were registered after ``as_of``; see ``details``."""

    error_code = "erasures_unconfirmed"


# --- leadership ---------------------------------------------------------------------------------------------------


class Deposed(LifeboatError):
    """Another site leads, so this one may not archive. ``details`` has both sites and the epoch."""

    error_code = "deposed"


class LeadershipTaken(LifeboatError):
    """Another site claimed the epoch first; ``details["site"]`` names it."""

    error_code = "leadership_taken"


class LeadershipUnsure(LifeboatError):
    """An epoch cannot be claimed or does not count: the repositories differ, or cannot guarantee a single winner."""

    error_code = "leadership_unsure"
