# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bucket settings that promises depend on: how to read each one, its target, and how to put it.

A setting that already keeps the promise is not changed, and other people's rules and statements are kept. Operations
and bodies are those of the S3 API reference.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from ..base.errors import StoreError
from ..config.load import S3Options
from ..store.s3.client import Connection
from .lifecycle import with_abort, with_old_versions

#: The codes for a setting that was never set.
_NOTHING = (
    "ServerSideEncryptionConfigurationNotFoundError",
    "NoSuchPublicAccessBlockConfiguration",
    "NoSuchBucketPolicy",
    "NoSuchLifecycleConfiguration",
    "ObjectLockConfigurationNotFoundError",
)
_TLS_STATEMENT = "LifeboatTlsOnly"
_PUBLIC_ACCESS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@dataclass(frozen=True)
class Setting:
    """``read`` returns plain JSON, or None if nothing is set; ``wanted`` returns its argument if that is sufficient."""

    name: str
    read: Callable[[Connection], Any]
    wanted: Callable[[Any], Any]
    write: Callable[[Connection, Any], None]


def settings_for(options: S3Options, abort_days: int, version_days: Optional[int] = None) -> Tuple[Setting, ...]:
    """Every setting, in the order in which they are put. Without ``version_days`` older versions are left alone."""
    prefix = f"{options.prefix.strip('/')}/" if options.prefix.strip("/") else ""
    versions = Setting(
        "old_versions", read_rules, lambda found: with_old_versions(found, prefix, version_days or 0), _write_rules
    )
    return (
        Setting("versioning", _read_versioning, lambda _: "Enabled", _write_versioning),
        *((Setting("object_lock", _read_lock, lambda _: "Enabled", _write_lock),) if options.object_lock else ()),
        Setting("encryption", _read_encryption, lambda found: _encryption(found, options), write_encryption),
        Setting("public_access_block", _read_public, _public, _write_public),
        Setting("stale_uploads", read_rules, lambda found: with_abort(found, prefix, abort_days), _write_rules),
        *((versions,) if version_days is not None else ()),
        Setting("tls_only", _read_policy, lambda found: _policy(found, options.bucket), write_policy),
    )


def _or_nothing(connection: Connection, method: str, field: str) -> Any:
    """The field of the response, or None if nothing is set; StoreError if the response is about something else."""
    try:
        answer: Dict[str, Any] = connection.call(method)
    except StoreError as exc:
        if exc.details.get("code") in _NOTHING:
            return None
        raise
    if field not in answer:
        raise _other_answer(connection, method)
    return answer[field]


def _other_answer(connection: Connection, method: str) -> StoreError:
    """The error for an unrelated response: a store without the setting may list the bucket instead."""
    operation = connection.client.meta.method_to_api_mapping[method]
    return StoreError(
        f"The store at {connection.place.endpoint} answered {operation} with an unrelated response.",
        "The store may not support this setting.",
        store=connection.place.endpoint,
        operation=operation,
    )


def _read_versioning(connection: Connection) -> Any:
    return connection.call("get_bucket_versioning").get("Status")


def _write_versioning(connection: Connection, status: Any) -> None:
    connection.call("put_bucket_versioning", VersioningConfiguration={"Status": status})


def _read_lock(connection: Connection) -> Any:
    found = _or_nothing(connection, "get_object_lock_configuration", "ObjectLockConfiguration")
    return found.get("ObjectLockEnabled") if found else None


def _write_lock(connection: Connection, enabled: Any) -> None:
    connection.call("put_object_lock_configuration", ObjectLockConfiguration={"ObjectLockEnabled": enabled})


def _read_encryption(connection: Connection) -> Any:
    found = _or_nothing(connection, "get_bucket_encryption", "ServerSideEncryptionConfiguration")
    if found is not None and "Rules" not in found:
        raise _other_answer(connection, "get_bucket_encryption")
    return found["Rules"] if found else None


def _encryption(found: Any, options: S3Options) -> Any:
    if any(rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm") for rule in found or []):
        return found
    default = {"SSEAlgorithm": options.sse or "AES256"}
    if options.sse_kms_key_id:
        default["KMSMasterKeyID"] = options.sse_kms_key_id
    return [{"ApplyServerSideEncryptionByDefault": default}]


def write_encryption(connection: Connection, rules: Any) -> None:
    """Put the rules; None removes them."""
    if rules:
        connection.call("put_bucket_encryption", ServerSideEncryptionConfiguration={"Rules": rules})
    else:
        connection.call("delete_bucket_encryption")


def _read_public(connection: Connection) -> Any:
    return _or_nothing(connection, "get_public_access_block", "PublicAccessBlockConfiguration")


def _public(found: Any) -> Any:
    blocks = dict.fromkeys(_PUBLIC_ACCESS, True)
    return found if found and all(found.get(name) for name in blocks) else blocks


def _write_public(connection: Connection, blocks: Any) -> None:
    connection.call("put_public_access_block", PublicAccessBlockConfiguration=blocks)


def read_rules(connection: Connection) -> Any:
    """The lifecycle rules of the bucket, or None."""
    return _or_nothing(connection, "get_bucket_lifecycle_configuration", "Rules") or None


def _write_rules(connection: Connection, rules: Any) -> None:
    connection.call("put_bucket_lifecycle_configuration", LifecycleConfiguration={"Rules": rules})


def _read_policy(connection: Connection) -> Any:
    found = _or_nothing(connection, "get_bucket_policy", "Policy")
    try:
        return json.loads(found) if found else None
    except ValueError:
        raise _other_answer(connection, "get_bucket_policy") from None


def _policy(found: Any, bucket: str) -> Any:
    statements = (found or {}).get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    if any(_refuses_clear_text(statement) for statement in statements):
        return found
    ours = {
        "Sid": _TLS_STATEMENT,
        "Effect": "Deny",
        "Principal": "*",
        # Not s3:*, so that the policy can still be removed if, behind a proxy, the store sees plain HTTP.
        "Action": ["s3:GetObject*", "s3:PutObject*", "s3:DeleteObject*", "s3:ListBucket*", "s3:AbortMultipartUpload"],
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {**(found or {"Version": "2012-10-17"}), "Statement": [*statements, ours]}


def _refuses_clear_text(statement: Mapping[str, Any]) -> bool:
    value = statement.get("Condition", {}).get("Bool", {}).get("aws:SecureTransport")
    value = value[0] if isinstance(value, list) and value else value
    return statement.get("Effect") == "Deny" and str(value).lower() == "false"


def write_policy(connection: Connection, policy: Any) -> None:
    """Put the bucket's policy; None removes it."""
    if policy:
        connection.call("put_bucket_policy", Policy=json.dumps(policy))
    else:
        connection.call("delete_bucket_policy")
