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


class NotVersioned(StoreError):
    """The store keeps no versions, so that its past cannot be seen."""

    error_code = "store_not_versioned"


class PastReadOnly(StoreError):
    """Something was to be written into a store that is seen as it was."""

    error_code = "store_read_only"


class StoreFull(StoreError):
    """The store, or the file system under it, has no room left."""

    error_code = "store_full"


# --- seal ---------------------------------------------------------------------------------------------------------


class RecipientInvalid(LifeboatError):
    """``age`` does not accept a recipient; nothing was stored."""

    error_code = "recipient_invalid"


class IdentityMissing(LifeboatError):
    """A sealed object must be opened, and this host has no identity, or cannot get it."""

    error_code = "identity_missing"


class IdentityRefused(LifeboatError):
    """The identity is none, or the object is sealed to other recipients."""

    error_code = "identity_refused"


class SigningFailed(LifeboatError):
    """A record cannot be signed here, or its signature would not count."""

    error_code = "signing_failed"
