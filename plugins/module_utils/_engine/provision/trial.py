# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a store really enforces, with an object that is removed afterwards."""

from __future__ import annotations

import base64
import contextlib
import secrets
from datetime import timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, List, Optional, Tuple

from ..base import clock
from ..base.errors import ObjectExists, StoreAccessDenied, StoreError
from ..config.load import S3Options
from ..repository import layout
from ..store.s3.client import Connection, checksum_params, connect
from .features import HOLDS, UNKNOWN, WEAKER, Feature, lacking

_FIRST, _SECOND = b"first\n", b"second\n"
# AWS' IAM is eventually consistent: a new key or policy takes effect after some seconds.
_PROPAGATION = 30.0
# Long enough for two tests; afterwards the lock has to expire before the object can be removed.
_LOCKED = timedelta(seconds=6)


def try_store(admin: Connection, prefix: str, writer: Optional[S3Options], versioned: bool) -> List[Feature]:
    """Test the guarantees of a put and, with ``writer``, what the hosts' credentials can do; leaves nothing behind."""
    key = prefix + layout.trial(secrets.token_hex(8))
    try:
        locks = [_lock(admin, f"{key}-lock")] if admin.options.object_lock else []
        found = [_create_only(admin, key), _checksums(admin, f"{key}-sum")]
        return [*found, *locks, *_writer(key + "-writer", writer, versioned)]
    finally:
        _remove(admin, key)


def try_put(admin: Connection, prefix: str) -> Optional[str]:
    """Why a plain put is refused, or None."""
    key = prefix + layout.trial(secrets.token_hex(8))
    try:
        _put(admin, key, _FIRST)
    except StoreError as exc:
        return lacking(exc)
    finally:
        _remove(admin, key)
    return None


def try_encrypted(admin: Connection, prefix: str, rules: Any) -> Optional[str]:
    """Why an upload encrypted by these rules is refused, or None. It is started and aborted, so no object is created.

    A store may accept the rules without being able to encrypt, and then refuse every put.
    """
    default = rules[0]["ApplyServerSideEncryptionByDefault"]
    named = {"ServerSideEncryption": default["SSEAlgorithm"], "SSEKMSKeyId": default.get("KMSMasterKeyID")}
    key = prefix + layout.trial(secrets.token_hex(8))
    try:
        begun = admin.call("create_multipart_upload", key, **{name: value for name, value in named.items() if value})
    except StoreError as exc:
        return lacking(exc)
    with contextlib.suppress(StoreError):
        admin.call("abort_multipart_upload", key, UploadId=begun["UploadId"])
    return None


def _create_only(admin: Connection, key: str) -> Feature:
    admin.call_create_only("put_object", key, Body=_FIRST, **checksum_params(_FIRST), **admin.object_params())
    try:
        admin.call_create_only("put_object", key, Body=_SECOND, **checksum_params(_SECOND), **admin.object_params())
    except ObjectExists:
        return Feature("create_only", HOLDS)
    except StoreError as exc:
        return Feature("create_only", WEAKER, lacking(exc))
    return Feature("create_only", WEAKER, "the store ignores If-None-Match")


def _checksums(admin: Connection, key: str) -> Feature:
    wrong = {"ChecksumAlgorithm": "CRC32", "ChecksumCRC32": base64.b64encode(b"\0\0\0\0").decode()}
    try:
        admin.call("put_object", key, Body=_FIRST, **wrong, **admin.object_params())
    except StoreError as exc:
        lacking(exc)
        return Feature("checksums", HOLDS)
    return Feature("checksums", WEAKER, "the store accepts bytes that do not match their checksum")


def _lock(admin: Connection, key: str) -> Feature:
    """Lock an object for some seconds, and try to shorten its lock and to delete its version."""
    name, mode = "lock_holds", str(admin.options.object_lock).upper()
    try:
        headers = admin.call("head_bucket")["ResponseMetadata"]["HTTPHeaders"]
        # By the store's clock: the store refuses a lock that has already expired.
        until = parsedate_to_datetime(headers["date"]).astimezone(timezone.utc) + _LOCKED
        lock = {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}
        version = admin.call("put_object", key, Body=_FIRST, **checksum_params(_FIRST), **lock)["VersionId"]
        locked = admin.call("head_object", key).get("ObjectLockRetainUntilDate")
    except (KeyError, ValueError):
        return Feature(name, WEAKER, "the store accepts a lock but reports no version")
    except StoreError as exc:
        return Feature(name, WEAKER, lacking(exc))
    earlier = {"Mode": mode, "RetainUntilDate": until - _LOCKED / 2}
    attempts = {
        "shorten a lock": ("put_object_retention", {"Retention": earlier}),
        "delete a locked version": ("delete_object", {"VersionId": version}),
    }
    broken = [] if locked else ["forget a lock"]
    for what, (method, params) in attempts.items():
        try:
            admin.call(method, key, **params)
        except StoreError as exc:
            lacking(exc)
        else:
            broken.append(what)
    clock.sleep(_LOCKED.total_seconds() + 1)
    return Feature(name, WEAKER, f"the store let us {broken[0]}") if broken else Feature(name, HOLDS)


def _writer(key: str, options: Optional[S3Options], versioned: bool) -> List[Feature]:
    names = ("writer_writes", "writer_cannot_overwrite", "writer_cannot_delete")
    if options is None:
        return [Feature(name, UNKNOWN, "the hosts' credentials are not known here") for name in names]
    writer = connect(options)
    try:
        refusal, version = _first_put(writer, key)
        if refusal:
            return [
                Feature(names[0], WEAKER, refusal),
                *(Feature(name, UNKNOWN, "it cannot write at all") for name in names[1:]),
            ]
        return [Feature(names[0], HOLDS), _overwrite(writer, key, versioned), _delete(writer, key, version)]
    finally:
        writer.close()


def _first_put(writer: Connection, key: str) -> Tuple[Optional[str], Optional[str]]:
    """Why the credentials cannot put, read and list, or None; and the object's version."""
    deadline = clock.monotonic() + _PROPAGATION
    while True:
        try:
            answer = writer.call_create_only(
                "put_object", key, Body=_FIRST, **checksum_params(_FIRST), **writer.object_params()
            )
            writer.call("get_object", key)["Body"].close()
            writer.call("list_objects_v2", Prefix=key)
        except ObjectExists:
            return None, None
        except StoreAccessDenied as exc:
            if clock.monotonic() > deadline:
                return lacking(exc), None
            clock.sleep(1.0)
        else:
            return None, answer.get("VersionId")


def _overwrite(writer: Connection, key: str, versioned: bool) -> Feature:
    name = "writer_cannot_overwrite"
    try:
        _put(writer, key, _SECOND)
    except StoreError as exc:
        lacking(exc)
        return Feature(name, HOLDS)
    after = (
        "the former content remains as an older version, but readers get the new content"
        if versioned
        else "the former content is lost"
    )
    return Feature(name, WEAKER, f"the store let the hosts' credentials replace an object: {after}")


def _delete(writer: Connection, key: str, version: Optional[str]) -> Feature:
    name = "writer_cannot_delete"
    for params in ([{"VersionId": version}] if version else []) + [{}]:
        try:
            writer.call("delete_object", key, **params)
        except StoreError as exc:
            lacking(exc)
        else:
            what = "a version of an object" if params else "an object"
            return Feature(name, WEAKER, f"the store let the hosts' credentials delete {what}")
    return Feature(name, HOLDS)


def _put(connection: Connection, key: str, data: bytes) -> Any:
    return connection.call("put_object", key, Body=data, **checksum_params(data), **connection.object_params())


def _remove(admin: Connection, prefix: str) -> None:
    """Remove every version of every trial object; versions that the bucket locks stay until their locks expire."""
    found: List[Tuple[str, Optional[str]]] = []
    with contextlib.suppress(StoreError):
        answer = admin.call("list_object_versions", Prefix=prefix)
        found = [(v["Key"], v.get("VersionId")) for v in answer.get("Versions", []) + answer.get("DeleteMarkers", [])]
    with contextlib.suppress(StoreError):
        found = found or [(o["Key"], None) for o in admin.call("list_objects_v2", Prefix=prefix).get("Contents", [])]
    for key, version in found:
        with contextlib.suppress(StoreError):
            admin.call("delete_object", key, **({"VersionId": version} if version else {}))
