# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of stores, and of opening and signing what is in them."""

from __future__ import annotations

from .general import LifeboatError

# --- stores -------------------------------------------------------------------------------------------------------


class StoreError(LifeboatError):
    """An object store refused or failed an operation; ``details`` has ``store``, ``key`` and ``operation``."""

    error_code = "store_error"


class StoreUnavailable(StoreError):
    """No response, a timeout or a 5xx after all retries: the state of the object is unknown."""

    error_code = "store_unavailable"


class StoreAccessDenied(StoreError):
    """The credentials do not allow this operation (HTTP 401/403, or EACCES)."""

    error_code = "store_access_denied"


class BucketMissing(StoreError):
    """The bucket (or the root directory) itself does not exist."""

    error_code = "bucket_missing"


class ObjectMissing(StoreError):
    """The store confirmed that the object does not exist."""

    error_code = "object_missing"


class ObjectFrozen(StoreError):
    """The object is in an archive class of the store, which gives it back only some hours after it was asked for."""

    error_code = "object_frozen"


class ObjectExists(StoreError):
    """A create-only put found an existing object of that name, which is unchanged."""

    error_code = "object_exists"


class ObjectCorrupt(StoreError):
    """The bytes read differ from those written (size, checksum or frame does not match)."""

    error_code = "object_corrupt"


class RecordTooNew(ObjectCorrupt):
    """An intact record whose format is newer than this release; ``details["written_by"]`` names the release."""

    error_code = "record_too_new"


class RecordImplausible(ObjectCorrupt):
    """A record contradicts its key, what the store reports, or its neighbors; ``details["why"]`` says how."""

    error_code = "record_implausible"


class RecordForeign(ObjectCorrupt):
    """A record lacks a signature by a configured signer for its key and kind; it is ignored."""

    error_code = "record_foreign"


class RecordUnsigned(RecordForeign):
    """A record has no signature, although signatures are required."""

    error_code = "record_unsigned"


class NotVersioned(StoreError):
    """The store keeps no versions, so its past cannot be read."""

    error_code = "store_not_versioned"


class StoreReadOnly(StoreError):
    """A write to a store that was opened for reading alone, or as of a past time."""

    error_code = "store_read_only"


class StoreFull(StoreError):
    """The store, or its file system, has no space left."""

    error_code = "store_full"


# --- seal ---------------------------------------------------------------------------------------------------------


class RecipientInvalid(LifeboatError):
    """``age`` does not accept a recipient; nothing was stored."""

    error_code = "recipient_invalid"


class IdentityMissing(LifeboatError):
    """A sealed object has to be opened, but this host has no identity, or cannot read it."""

    error_code = "identity_missing"


class IdentityRefused(LifeboatError):
    """The identity is invalid, or the object is sealed to other recipients."""

    error_code = "identity_refused"


class SigningFailed(LifeboatError):
    """A record cannot be signed on this host, or its signature would not be accepted."""

    error_code = "signing_failed"
