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
    """No restore can reach the recovery target; ``details`` tell the window that can be reached."""

    error_code = "target_unreachable"


class StandbyRefused(LifeboatError):
    """The standby would damage the archive, or this server is none."""

    error_code = "standby_refused"


class DataDirectoryRefused(LifeboatError):
    """The data directory (or a tablespace directory) is in use, not empty, or not a cluster's."""

    error_code = "data_directory_refused"


class BackupCorrupt(LifeboatError):
    """A backup does not pass ``pg_verifybackup``, or one of its files fails its checksum."""

    error_code = "backup_corrupt"


class DatabaseRefused(LifeboatError):
    """A dump does not go into this database, or into this server."""

    error_code = "database_refused"


class TableMissing(LifeboatError):
    """There is no such table at the target."""

    error_code = "table_missing"


class TableRefused(LifeboatError):
    """Tables cannot be loaded under the requested names, or into the requested database."""

    error_code = "table_refused"


class BackupUnproven(LifeboatError):
    """A backup was restored for a test, and something of it does not hold."""

    error_code = "backup_unproven"


class RecoveryFailed(LifeboatError):
    """The server stopped during recovery, or ended it elsewhere than at the target."""

    error_code = "recovery_failed"


# --- dumps --------------------------------------------------------------------------------------------------------


class DumpsIncomplete(LifeboatError):
    """Of several databases some could not be dumped; the dumps of the others were made."""

    error_code = "dumps_incomplete"


# --- file sets ----------------------------------------------------------------------------------------------------


class SecretsUnsealed(LifeboatError):
    """A file set has files whose names suggest secrets, and nothing seals what is stored."""

    error_code = "secrets_unsealed"


class FileSetOutside(LifeboatError):
    """A stored copy of a file set would write where its configuration does not let it, or what no copy of ours has."""

    error_code = "file_set_outside"


class SecretFound(LifeboatError):
    """Configuration that should go to git holds what looks like a secret; nothing was pushed."""

    error_code = "secret_found"


class GitUnavailable(LifeboatError):
    """The remote does not answer, or git does not work here; nothing was pushed."""

    error_code = "git_unavailable"


class GitRejected(LifeboatError):
    """The remote answered, and does not take the push."""

    error_code = "git_rejected"


# --- notices ------------------------------------------------------------------------------------------------------


class NoticeUndelivered(LifeboatError):
    """No channel took a notice: nobody knows of it."""

    error_code = "notice_undelivered"


class ChannelRefused(LifeboatError):
    """A channel does not take this notice, and would not take it a moment later either."""

    error_code = "channel_refused"


class ChannelUnavailable(LifeboatError):
    """A channel does not answer, or asks to try again later; whether it has the notice may be unknown."""

    error_code = "channel_unavailable"
