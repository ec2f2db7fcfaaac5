# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of PostgreSQL, and of operations with databases, files and notices."""

from __future__ import annotations

from .general import LifeboatError

# --- PostgreSQL ---------------------------------------------------------------------------------------------------


class PostgresError(LifeboatError):
    """PostgreSQL refused a connection or a command."""

    error_code = "postgres_error"


class ServerNotReady(PostgresError):
    """The server lacks a setting, a privilege or a version that the operation needs."""

    error_code = "server_not_ready"


class IncrementalImpossible(ServerNotReady):
    """No differential or incremental backup can be made now; ``details["reason"]`` tells programs why.

    Reasons: ``version``, ``summarize_wal``, ``summaries_missing``, ``summaries_late``, ``no_parent``,
    ``parent_damaged``, ``parent_sealed``, ``refused`` (by the server).
    """

    error_code = "incremental_impossible"


# --- restore ------------------------------------------------------------------------------------------------------


class TargetUnreachable(LifeboatError):
    """No restore can reach the recovery target; ``details`` has the window that can be reached."""

    error_code = "target_unreachable"


class StandbyRefused(LifeboatError):
    """The standby would damage the archive, or the server is not a standby."""

    error_code = "standby_refused"


class HandoverRefused(LifeboatError):
    """The cluster was not stopped as a primary, so that its WAL has no end that another one could go on from."""

    error_code = "handover_refused"


class PromotionRefused(LifeboatError):
    """The standby does not get to where the old primary stopped, or more would be lost than is allowed."""

    error_code = "promotion_refused"


class PromotionUnfinished(LifeboatError):
    """The server was told to end its recovery, and is still in it: it becomes the primary later."""

    error_code = "promotion_unfinished"


class RewindFailed(LifeboatError):
    """``pg_rewind`` did not finish, so that the data directory is to be restored."""

    error_code = "rewind_failed"


class DataDirectoryRefused(LifeboatError):
    """The data directory (or a tablespace directory) is in use, not empty, or does not belong to a cluster."""

    error_code = "data_directory_refused"


class BackupCorrupt(LifeboatError):
    """``pg_verifybackup`` rejects a backup, or one of its files has the wrong checksum."""

    error_code = "backup_corrupt"


class DatabaseRefused(LifeboatError):
    """A dump cannot be restored into this database, or into this server."""

    error_code = "database_refused"


class TableMissing(LifeboatError):
    """The table does not exist at the recovery target."""

    error_code = "table_missing"


class TableRefused(LifeboatError):
    """Tables cannot be loaded under the requested names, or into the requested database."""

    error_code = "table_refused"


class BackupUnproven(LifeboatError):
    """A restore test of a backup failed one of its checks."""

    error_code = "backup_unproven"


class RecoveryFailed(LifeboatError):
    """The server stopped during recovery, or recovery did not end at the target."""

    error_code = "recovery_failed"


# --- dumps --------------------------------------------------------------------------------------------------------


class DumpsIncomplete(LifeboatError):
    """Some of several databases could not be dumped; the dumps of the others exist."""

    error_code = "dumps_incomplete"


# --- file sets ----------------------------------------------------------------------------------------------------


class SecretsUnsealed(LifeboatError):
    """A file set contains files whose names suggest secrets, but no recipients are configured to seal it."""

    error_code = "secrets_unsealed"


class FileSetOutside(LifeboatError):
    """A stored copy of a file set would write outside the configured paths, or has unexpected members."""

    error_code = "file_set_outside"


class SecretFound(LifeboatError):
    """Configuration to be pushed to git contains an apparent secret; nothing was pushed."""

    error_code = "secret_found"


class GitUnavailable(LifeboatError):
    """The remote does not respond, or git does not work here; nothing was pushed."""

    error_code = "git_unavailable"


class GitRejected(LifeboatError):
    """The remote rejected the push."""

    error_code = "git_rejected"


# --- notices ------------------------------------------------------------------------------------------------------


class NoticeUndelivered(LifeboatError):
    """No channel delivered a notice: nobody has received it."""

    error_code = "notice_undelivered"


class ChannelRefused(LifeboatError):
    """A channel rejected this notice; trying again would not help."""

    error_code = "channel_refused"


class ChannelUnavailable(LifeboatError):
    """A channel does not respond, or asks to retry later; whether the notice was delivered may be unknown."""

    error_code = "channel_unavailable"


class IncidentMissing(LifeboatError):
    """There is no such incident, or it is not clear which one is meant; ``details["open"]`` names the open ones."""

    error_code = "incident_missing"


class IncidentRefused(LifeboatError):
    """What is to be recorded does not fit the incident: it is over, or others have spoiled its numbers."""

    error_code = "incident_refused"


class IncidentUnrecorded(LifeboatError):
    """No repository and no directory of this host took an event of an incident."""

    error_code = "incident_unrecorded"
