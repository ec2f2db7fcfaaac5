# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that Lifeboat raises.

An error names the thing and the value in its message, says what to do in its hint, and carries a stable ``error_code``
that programs may match. Nothing in the engine prints or exits: ``_ansible`` turns an error into ``fail_json`` and
``cli.py`` into an exit status.
"""

from __future__ import annotations

from typing import Any, ClassVar


class LifeboatError(Exception):
    """Base of all errors.

    :param message: what went wrong, with the names and values that matter, never a secret
    :param hint: what the reader can do about it
    :param details: JSON-serialisable facts for programs (keys, LSNs, times)
    """

    error_code: ClassVar[str] = "lifeboat_error"

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data: ``error_code``, ``message``, ``hint``, ``details``."""
        return {"error_code": self.error_code, "message": self.message, "hint": self.hint, "details": self.details}


class ConfigError(LifeboatError):
    """An option is missing, unknown or has a value that cannot work."""

    error_code = "config_invalid"


class DependencyMissing(LifeboatError):
    """A Python library or a program that the operation needs is not installed."""

    error_code = "dependency_missing"


class ProcessFailed(LifeboatError):
    """A program ended with a non-zero status or by a signal."""

    error_code = "process_failed"


# --- stores -----------------------------------------------------------------------------------------------------


class StoreError(LifeboatError):
    """An object store refused or failed an operation; ``details`` has ``store``, ``key`` and ``operation``."""

    error_code = "store_error"


class StoreUnavailable(StoreError):
    """No answer, a time-out or a 5xx after all retries: the state of the object is unknown."""

    error_code = "store_unavailable"


class StoreAccessDenied(StoreError):
    """The store answered, and the credentials do not allow this (HTTP 401/403, or EACCES)."""

    error_code = "store_access_denied"


class BucketMissing(StoreError):
    """The bucket (or the root directory) itself does not exist."""

    error_code = "bucket_missing"


class ObjectMissing(StoreError):
    """The store confirmed that there is no such object."""

    error_code = "object_missing"


class ObjectExists(StoreError):
    """A create-only put met an object of that name; the object in the store is untouched."""

    error_code = "object_exists"


class ObjectCorrupt(StoreError):
    """The bytes read are not the bytes that were written (size, checksum or frame do not match)."""

    error_code = "object_corrupt"


class RecordTooNew(ObjectCorrupt):
    """A whole record of a format that this release does not read yet; ``details["written_by"]`` names one that does."""

    error_code = "record_too_new"


class RecordImplausible(ObjectCorrupt):
    """A record contradicts its key, what the store reports, or its neighbors; ``details["why"]`` says how."""

    error_code = "record_implausible"


class RecordForeign(ObjectCorrupt):
    """A record is not signed by a signer of the configuration for this key and kind; it counts for nothing."""

    error_code = "record_foreign"


class RecordUnsigned(RecordForeign):
    """A record has no signature, where records are signed."""

    error_code = "record_unsigned"


class SigningFailed(LifeboatError):
    """A record cannot be signed here, or its signature would not count."""

    error_code = "signing_failed"


class NotVersioned(StoreError):
    """The store keeps no versions, so that its past cannot be seen."""

    error_code = "store_not_versioned"


class PastReadOnly(StoreError):
    """Something was to be written into a store that is seen as it was."""

    error_code = "store_read_only"


class StoreFull(StoreError):
    """The store, or the file system under it, has no room left."""

    error_code = "store_full"


# --- file sets --------------------------------------------------------------------------------------------------


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


# --- notices ----------------------------------------------------------------------------------------------------


class NoticeUndelivered(LifeboatError):
    """No channel took a notice: nobody knows of it."""

    error_code = "notice_undelivered"


class ChannelRefused(LifeboatError):
    """A channel does not take this notice, and would not take it a moment later either."""

    error_code = "channel_refused"


class ChannelUnavailable(LifeboatError):
    """A channel does not answer, or asks to try again later; whether it has the notice may be unknown."""

    error_code = "channel_unavailable"


# --- seal -------------------------------------------------------------------------------------------------------


class RecipientInvalid(LifeboatError):
    """``age`` does not accept a recipient; nothing was stored."""

    error_code = "recipient_invalid"


class IdentityMissing(LifeboatError):
    """A sealed object must be opened, and this host has no identity, or cannot get it."""

    error_code = "identity_missing"


class IdentityRefused(LifeboatError):
    """The identity is none, or the object is sealed to other recipients."""

    error_code = "identity_refused"


# --- dumps ------------------------------------------------------------------------------------------------------


class DumpsIncomplete(LifeboatError):
    """Of several databases some could not be dumped; the dumps of the others were made."""

    error_code = "dumps_incomplete"


# --- repository -------------------------------------------------------------------------------------------------


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


# --- WAL --------------------------------------------------------------------------------------------------------


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


class UntrustedPath(LifeboatError):
    """Root was to use a file or directory that somebody else may have placed; ``details`` has ``path``."""

    error_code = "path_untrusted"


# --- PostgreSQL -------------------------------------------------------------------------------------------------


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


# --- retention --------------------------------------------------------------------------------------------------


class PruneRefused(LifeboatError):
    """A guard objects to what retention would remove; ``details["objections"]`` name guard and repository."""

    error_code = "prune_refused"


class PruneIncomplete(LifeboatError):
    """The store did not remove everything that it should have."""

    error_code = "prune_incomplete"


class ReleaseRefused(LifeboatError):
    """A hold is not released: these credentials may not, or the release would not count."""

    error_code = "release_refused"


# --- audit and erasures -----------------------------------------------------------------------------------------


class AuditUnreadable(LifeboatError):
    """The audit trail cannot be read here."""

    error_code = "audit_unreadable"


class ErasureFailed(LifeboatError):
    """A registered erasure cannot be read or applied again; ``details["id"]`` names it."""

    error_code = "erasure_failed"


class ErasuresUnconfirmed(LifeboatError):
    """Registered erasures that nobody confirmed would run a statement, or are later than ``as_of``; see ``details``."""

    error_code = "erasures_unconfirmed"


# --- leadership -------------------------------------------------------------------------------------------------


class Deposed(LifeboatError):
    """Another site leads: this one may not archive. ``details`` name both, and the epoch."""

    error_code = "deposed"


class LeadershipTaken(LifeboatError):
    """Somebody else has the epoch that was to be claimed; ``details["site"]`` names the winner."""

    error_code = "leadership_taken"


class LeadershipUnsure(LifeboatError):
    """An epoch cannot be claimed or does not count: the repositories differ, or cannot keep one winner."""

    error_code = "leadership_unsure"


# --- verification -----------------------------------------------------------------------------------------------


class LocksNotRenewed(LifeboatError):
    """Retention removed what was due, but could not renew the locks of what is kept."""

    error_code = "locks_not_renewed"


class RepairRefused(LifeboatError):
    """A damaged object is not replaced: no other repository has a good one, or this one does not let it be removed."""

    error_code = "repair_refused"


# --- restore ----------------------------------------------------------------------------------------------------


class TargetUnreachable(LifeboatError):
    """No restore can reach the recovery target; ``details`` tell the window that can be reached."""

    error_code = "target_unreachable"


class StandbyRefused(LifeboatError):
    """The standby would damage the archive, or this server is none."""

    error_code = "standby_refused"


class HandoverRefused(LifeboatError):
    """The cluster was not stopped as a primary, so that its WAL has no end that another one could go on from."""

    error_code = "handover_refused"


class DataDirectoryRefused(LifeboatError):
    """The data directory (or a tablespace directory) is in use, not empty, or not a cluster's."""

    error_code = "data_directory_refused"


class DiskFull(LifeboatError):
    """There is not enough free space."""

    error_code = "disk_full"


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
