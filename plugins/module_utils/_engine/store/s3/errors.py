# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Translate the errors of an S3 store.

Codes are those of the S3 API reference, "Error responses". An object is only considered missing if the store responds
``NoSuchKey``: a bare 404 may come from a proxy or from a wrong endpoint.
"""

from __future__ import annotations

import http.client
from dataclasses import dataclass
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Tuple, Type

from ...base import clock
from ...base.errors import (
    BucketMissing,
    ConfigError,
    LifeboatError,
    ObjectCorrupt,
    ObjectExists,
    ObjectFrozen,
    ObjectMissing,
    StoreAccessDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from .sdk import HTTPError, ResponseParserError
from .sdk import exceptions as boto

#: All exceptions of a client call, or of reading a response body, whose cause is outside this program.
S3_FAILURES: Tuple[Type[BaseException], ...] = (
    boto.BotoCoreError,
    boto.ClientError,
    ResponseParserError,
    HTTPError,
    http.client.HTTPException,
    OSError,
)

_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
)
_NO_ANSWER = (
    boto.ConnectionError,
    boto.HTTPClientError,
    boto.IncompleteReadError,
    HTTPError,
    http.client.HTTPException,
    OSError,
)
_DENIED_HINTS: Dict[str, str] = {
    "InvalidAccessKeyId": "Check access_key_id and endpoint_url: the store does not know this access key.",
    "SignatureDoesNotMatch": "Check secret_access_key, and the region if the store has its own.",
    "RequestTimeTooSkewed": "Check time synchronization: the clock of this host differs from the store's.",
    "ExpiredToken": "Renew the credentials: the session token has expired.",
    "InvalidToken": "Renew the credentials: the session token is not valid.",
}
#: The action of a policy, where it is not the name of the operation ("Actions, resources, and condition keys for S3").
_ACTIONS = {
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadBucket": "ListBucket",
    "HeadObject": "GetObject or s3:GetObjectVersion",
    "GetObject": "GetObject or s3:GetObjectVersion",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "DeleteObjects": "DeleteObject",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
}
_FULL = ("QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "ServiceQuotaExceeded")
_BUSY = ("SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests", "ServiceUnavailable")
_MOST_SKEW = 900
_WRITES = ("PutObject", "CompleteMultipartUpload")


@dataclass(frozen=True)
class Place:
    """The destination of a request, for messages: the bucket and the endpoint's URL."""

    bucket: str
    endpoint: str


def translate(exc: BaseException, place: Place, operation: str, key: str, service: str = "s3") -> LifeboatError:
    """The error of :mod:`..errors` for a failed S3 operation (``PutObject``) on a full key (may be empty).

    ``service``: the prefix of the actions in policies.
    """
    what = f"S3 {operation}{f' of {key!r}' if key else ''} in bucket {place.bucket!r} at {place.endpoint}"
    details: Dict[str, Any] = {"store": place.endpoint, "bucket": place.bucket, "key": key, "operation": operation}
    if isinstance(exc, boto.ClientError):
        return _answered(exc, what, details, f"{service}:{_ACTIONS.get(operation, operation)}")
    return _unanswered(exc, what, details)


def _answered(exc: Any, what: str, details: Dict[str, Any], action: str) -> LifeboatError:
    error, meta = exc.response.get("Error", {}), exc.response.get("ResponseMetadata", {})
    code, status = str(error.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    details.update(code=code, http_status=status, retries=int(meta.get("RetryAttempts", 0)))
    said = f"{what} failed with HTTP {status} {code}: {error.get('Message', '')}".rstrip(": ") + "."
    bucket, operation = details["bucket"], details["operation"]

    if code == "NoSuchKey":
        return ObjectMissing(
            f"{what}: the object does not exist.", "Check the cluster's name and the prefix.", **details
        )
    if code == "NoSuchBucket":
        return BucketMissing(
            f"{what}: bucket {bucket!r} does not exist.",
            "Create it, or check bucket, region and endpoint_url.",
            **details,
        )
    if (status == 412 and operation in _WRITES) or code == "ConditionalRequestConflict":
        return ObjectExists(f"{what}: the key is already taken.", "Nothing was overwritten.", **details)
    if status == 412:
        return ObjectCorrupt(
            f"{what}: the object was replaced while it was read.",
            "Find out who else writes to the repository.",
            **details,
        )
    if code == "InvalidObjectState":
        return ObjectFrozen(
            f"{what}: the object is in an archive class, and cannot be read at once.",
            "Use another repository, or thaw what the restore needs: lifeboat thaw --plan shows how many objects,"
            " how long it takes, and about what it costs.",
            **details,
        )
    if code in _FULL or status == 507:
        return StoreFull(said, "Free up space in the store, or raise its quota.", **details)
    if status in (401, 403) or code in _DENIED_HINTS:
        hint = (
            _DENIED_HINTS.get(code)
            or _skewed(meta.get("HTTPHeaders", {}).get("date", ""))
            or (f"Check the credentials, and that their policy allows {action} here.")
        )
        return StoreAccessDenied(said, hint, **details)
    if status >= 500 or status == 429 or code in _BUSY:
        return StoreUnavailable(said, "Check the health of the store, then try again.", **details)
    return StoreError(said, _hint_of(code, status), **details)


def _skewed(date: str) -> str:
    """A hint if the ``Date`` of a refusal shows that this host's clock is wrong: a HEAD has no error body."""
    try:
        ahead = (clock.now() - parsedate_to_datetime(date).astimezone(timezone.utc)).total_seconds()
    except (TypeError, ValueError):
        return ""
    # S3 refuses signatures that are more than 15 minutes old, or ahead ("RequestTimeTooSkewed").
    if abs(ahead) < _MOST_SKEW:
        return ""
    where = "ahead of" if ahead > 0 else "behind"
    return f"Check time synchronization: the clock of this host is {abs(ahead):.0f} s {where} the store's."


def _hint_of(code: str, status: int) -> str:
    if code in ("EntityTooSmall", "EntityTooLarge", "InvalidPart"):
        return "Set part_size to at least 5 MiB and at most 5 GiB."
    if code == "NoSuchUpload":
        return "Check the bucket's lifecycle rules for incomplete uploads: something else ended the upload."
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"):
        return "Set region: the bucket is in another one."
    if code in ("BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch"):
        return "Check the network and any proxy, which damaged the data in transit, then try again."
    if status == 404:
        return "Check endpoint_url and addressing_style: an S3 store does not respond like this."
    return "Check that the store supports the request and that endpoint_url is an S3 endpoint."


def _unanswered(exc: BaseException, what: str, details: Dict[str, Any]) -> LifeboatError:
    if isinstance(exc, _CREDENTIALS):
        return StoreAccessDenied(
            f"{what}: no usable credentials were found ({exc}).",
            "Set access_key_id and secret_access_key, or profile, or the AWS_* environment, or an instance role.",
            **details,
        )
    if isinstance(exc, boto.ParamValidationError):
        return ConfigError(f"{what}: {exc}.", "Check the bucket's name and the options of this repository.", **details)
    if is_certificate_failure(exc):
        return StoreUnavailable(
            f"{what}: the store's TLS certificate was not accepted ({exc}).",
            "Set ca_bundle to the authority that signed it, or check the host name in endpoint_url.",
            **details,
        )
    if isinstance(exc, _NO_ANSWER):
        return StoreUnavailable(
            f"{what}: no complete response ({exc}).",
            "Check endpoint_url, the network, the firewall and the store; then try again.",
            **details,
        )
    return StoreError(f"{what} failed: {exc}.", "Check endpoint_url and the options of this repository.", **details)


def is_certificate_failure(exc: BaseException) -> bool:
    """Whether TLS failed for a reason that retrying cannot fix."""
    return isinstance(exc, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(exc)
