# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users of least privilege, if the store has AWS' IAM API: created once, with their policies kept up to date.

A new access key is first of all written to a file of mode 0600: the store shows its secret only once.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..base.errors import ConfigError, StoreError
from ..config.load import S3Options
from ..store.s3.client import Identities, connect_iam
from .features import HOLDS, PLANNED, WEAKER, Feature, lacking

_POLICY = "lifeboat"


@dataclass(frozen=True)
class Identity:
    """A user. ``name`` is its role (writer, files, reader, janitor, rescuer, repairer), ``policy`` an IAM policy."""

    name: str
    user: str
    policy: Mapping[str, Any]


def plan_identities(
    options: S3Options, identities: Sequence[Identity], credentials_file: str
) -> Tuple[List[Feature], List[str]]:
    """The feature (none without identities), and the changes that :func:`apply_identities` would make."""
    changes: List[str] = []
    weakened: List[str] = []

    def look(iam: Identities) -> None:
        read_credentials(credentials_file)
        for identity in identities:
            lacks = _compare(iam, identity)
            changes.extend(lacks.changes)
            weakened.extend([identity.name] if lacks.weakened else [])

    feature = _feature(options, identities, look, weakened)
    if changes and feature[0].state != WEAKER:
        return [Feature("identities", PLANNED, ", ".join(changes))], changes
    return feature, changes


def apply_identities(
    options: S3Options, identities: Sequence[Identity], credentials_file: str
) -> Tuple[List[Feature], List[str]]:
    """Create the users, their policies and their keys; the feature (none without identities) and the changes."""
    changes: List[str] = []
    weakened: List[str] = []

    def give(iam: Identities) -> None:
        known = read_credentials(credentials_file)
        for identity in identities:
            lacks = _compare(iam, identity)
            dropped = _give(iam, identity, lacks, known, credentials_file)
            changes.extend(lacks.changes)
            weakened.extend([identity.name] if dropped else [])

    return _feature(options, identities, give, weakened), changes


def _feature(
    options: S3Options, identities: Sequence[Identity], act: Callable[[Identities], None], weakened: List[str]
) -> List[Feature]:
    """Run ``act`` with the store's users; if the store refuses, the feature is *weaker*."""
    if not identities:
        return []
    iam = connect_iam(options)
    try:
        act(iam)
    except StoreError as exc:
        return [Feature("identities", WEAKER, lacking(exc))]
    finally:
        iam.close()
    if weakened:
        reason = f"the store accepts no Deny statements: policies of {', '.join(weakened)} have only Allow statements"
        return [Feature("identities", WEAKER, reason)]
    return [Feature("identities", HOLDS)]


@dataclass(frozen=True)
class _Lacks:
    """What a user lacks. ``weakened``: its policy in the store has only the Allow statements."""

    user: bool
    policy: bool
    key: bool
    weakened: bool
    changes: Tuple[str, ...]


def _compare(iam: Identities, identity: Identity) -> _Lacks:
    user = _found(iam, "get_user", identity.user) is None
    found = None if user else _found(iam, "get_user_policy", identity.user, PolicyName=_POLICY)
    current = _document(found["PolicyDocument"]) if found else None
    whole, allowing = _normal(identity.policy), _normal(_only_allowing(identity.policy))
    policy = current not in (whole, allowing)
    key = user or not iam.call("list_access_keys", identity.user)["AccessKeyMetadata"]
    changes = [f"user {identity.user} made"] if user else []
    changes += [f"policy of {identity.user} put"] if policy else []
    changes += [f"access key of {identity.user} made"] if key else []
    return _Lacks(user, policy, key, current == allowing != whole, tuple(changes))


def _give(
    iam: Identities, identity: Identity, lacks: _Lacks, known: Dict[str, Dict[str, str]], credentials_file: str
) -> bool:
    """Create what the user lacks; whether its policy then has only the Allow statements."""
    weakened = lacks.weakened
    if lacks.user:
        iam.call("create_user", identity.user)
    if lacks.policy:
        weakened = _put_policy(iam, identity, _only_allowing(identity.policy))
    if lacks.key:
        _make_key(iam, identity, known, credentials_file)
    return weakened


def _put_policy(iam: Identities, identity: Identity, allowing: Mapping[str, Any]) -> bool:
    """Put the policy; whether the store accepted only its Allow statements."""
    try:
        iam.call("put_user_policy", identity.user, PolicyName=_POLICY, PolicyDocument=json.dumps(identity.policy))
    except StoreError as exc:
        if allowing == identity.policy:
            raise
        lacking(exc)
        iam.call("put_user_policy", identity.user, PolicyName=_POLICY, PolicyDocument=json.dumps(allowing))
        return True
    return False


def _make_key(iam: Identities, identity: Identity, known: Dict[str, Dict[str, str]], credentials_file: str) -> None:
    # Check first that the file can be written: a secret that cannot be saved is lost.
    write_credentials(credentials_file, known)
    key = iam.call("create_access_key", identity.user)["AccessKey"]
    known[identity.name] = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
    write_credentials(credentials_file, known)


def _found(iam: Identities, method: str, user: str, **params: Any) -> Optional[Dict[str, Any]]:
    try:
        answer: Dict[str, Any] = iam.call(method, user, **params)
    except StoreError as exc:
        if exc.details.get("code") == "NoSuchEntity":
            return None
        raise
    return answer


def _document(policy: Any) -> Any:
    return _normal(json.loads(policy) if isinstance(policy, str) else policy)


def _normal(value: Any) -> Any:
    """Normalize: stores return a list of one element as that element, and lists in any order."""
    if isinstance(value, Mapping):
        return {k: _normal(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_normal(v) for v in value]
        return items[0] if len(items) == 1 else sorted(items, key=json.dumps)
    return value


def _only_allowing(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**policy, "Statement": [s for s in policy["Statement"] if s["Effect"] == "Allow"]}


def read_credentials(path: str) -> Dict[str, Dict[str, str]]:
    """The keys of earlier runs by identity; empty if the file does not exist."""
    try:
        with open(path, encoding="utf-8") as stream:
            found = json.load(stream)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise ConfigError(
            f"The credentials file {path} cannot be read, or is not JSON.",
            "Correct it, or set credentials_file to another file.",
        ) from None
    return dict(found)


def write_credentials(path: str, credentials: Mapping[str, Mapping[str, str]]) -> None:
    """Replace the file atomically, with mode 0600."""
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), mode=0o700, exist_ok=True)
        temporary = f"{path}.{secrets.token_hex(8)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(credentials, stream, indent=2, sort_keys=True)
            stream.write("\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as exc:
        raise ConfigError(
            f"The credentials file {path} cannot be written: {exc.strerror}.", "Name another one.", path=path
        ) from exc


def with_credentials(options: S3Options, keys: Optional[Mapping[str, str]]) -> Optional[S3Options]:
    """The same store with other keys; None without keys."""
    if not keys:
        return None
    return replace(
        options,
        access_key_id=keys["access_key_id"],
        secret_access_key=keys["secret_access_key"],
        session_token=keys.get("session_token"),
        profile=None,
    )
