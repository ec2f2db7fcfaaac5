# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a repository and report which promises its store keeps: ``bucket_ready`` and ``directory_ready``.

A missing feature is not an error: it is returned as *weaker*, with the promise that depends on it. Whatever can be
tested is tested instead of trusted. A second run changes nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ..base.errors import BucketMissing, ConfigError, StoreAccessDenied, StoreError, UntrustedPath
from ..base.files import make_directory, open_directory
from ..base.tree import Tree
from ..config.load import DirectoryOptions, S3Options
from ..store.s3.client import Connection, connect
from .features import HOLDS, PLANNED, UNKNOWN, WEAKER, Feature, lacking
from .identities import Identity, ensure_identities, read_credentials, with_credentials
from .settings import Setting, settings_for, write_encryption, write_policy
from .trial import try_encrypted, try_put, try_store


@dataclass(frozen=True)
class BucketRequest:
    """A bucket to prepare.

    ``admin`` are the store's options with the credentials of who may change the bucket, ``hosts`` those with which
    hosts will work (None: not known here). ``identities`` are made when given, and their keys kept in
    ``credentials_file``. Features in ``leave`` are not touched. ``abort_days``: age of a stale upload,
    ``version_days``: for how long an older version stays (None: whatever the bucket says).
    """

    admin: S3Options
    hosts: Optional[S3Options] = None
    identities: Tuple[Identity, ...] = ()
    credentials_file: str = ""
    leave: Tuple[str, ...] = ()
    abort_days: int = 7
    version_days: Optional[int] = None


@dataclass(frozen=True)
class Prepared:
    """What holds, what was (or would be) changed, and the settings before and after."""

    features: Tuple[Feature, ...]
    changes: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]

    @property
    def warnings(self) -> List[str]:
        """A sentence for each promise that is weaker."""
        return [f.warning for f in self.features if f.warning]


def bucket_ready(request: BucketRequest, apply: bool) -> Prepared:
    """Make the bucket and its settings, or with ``apply`` false only tell; raises when the store cannot be reached."""
    if request.identities and not request.credentials_file:
        raise ConfigError("identities need a credentials_file.", "Name a file for their keys.")
    connection = connect(request.admin)
    try:
        return _bucket_ready(connection, request, apply)
    finally:
        connection.close()


def _bucket_ready(connection: Connection, request: BucketRequest, apply: bool) -> Prepared:
    options = request.admin
    features: List[Feature] = []
    changes: List[str] = []
    before: Dict[str, Any] = {"bucket": options.bucket}
    after: Dict[str, Any] = {"bucket": options.bucket}
    exists = _exists(connection)
    if not exists:
        before["bucket"] = None
        changes.append(f"bucket {options.bucket} made")
        if apply:
            _create(connection)
    for setting in settings_for(options, request.abort_days, request.version_days):
        if setting.name in request.leave:
            continue
        if setting.name == "tls_only" and is_clear_text(connection):
            features.append(Feature("tls_only", WEAKER, f"endpoint_url {connection.place.endpoint} is plain HTTP"))
            continue
        feature, found, wanted = _settle(connection, setting, exists or apply, apply)
        features.append(feature)
        before[setting.name], after[setting.name] = found, wanted
        if found != wanted:
            changes.append(f"{setting.name} set")
    if request.identities:
        feature, made = ensure_identities(options, request.identities, request.credentials_file, apply)
        features.append(feature)
        changes += made
        after["identities"] = made
    if apply:
        versioned = after.get("versioning") == "Enabled"
        features += try_store(connection, _prefix(options), _writer(request), versioned)
    else:
        features.append(Feature("create_only", UNKNOWN, "not tried in check mode"))
    return Prepared(tuple(features), tuple(changes), before, after)


def _prefix(options: S3Options) -> str:
    return f"{options.prefix.strip('/')}/" if options.prefix.strip("/") else ""


def is_clear_text(connection: Connection) -> bool:
    """Whether the endpoint is plain HTTP: a policy against that would lock everybody out."""
    return connection.place.endpoint.startswith("http://")


def _writer(request: BucketRequest) -> Optional[S3Options]:
    """The writer that was made for the hosts, or else what they use today."""
    if request.identities:
        made = with_credentials(request.admin, read_credentials(request.credentials_file).get("writer"))
        if made is not None:
            return made
    return request.hosts


def _exists(connection: Connection) -> bool:
    try:
        connection.call("head_bucket")
    except BucketMissing:
        return False
    except StoreError as exc:
        # HeadBucket has no body: a 404 carries no code.
        if exc.details.get("http_status") == 404:
            return False
        raise
    return True


def _create(connection: Connection) -> None:
    region = connection.options.region
    place: Dict[str, Any] = {}
    if region not in (None, "us-east-1"):
        place["CreateBucketConfiguration"] = {"LocationConstraint": region}
    if connection.options.object_lock:
        place["ObjectLockEnabledForBucket"] = True
    try:
        connection.call("create_bucket", **place)
    except StoreError as exc:
        if exc.details.get("code") == "BucketAlreadyOwnedByYou":
            return
        if exc.details.get("code") == "BucketAlreadyExists":
            raise StoreAccessDenied(
                f"The bucket {connection.options.bucket!r} belongs to somebody else.",
                "Bucket names are shared by all customers of a store: choose another one.",
                **exc.details,
            ) from exc
        raise


def _settle(connection: Connection, setting: Setting, exists: bool, apply: bool) -> Tuple[Feature, Any, Any]:
    """The feature, the setting before and after. What the store refuses or forgets is weaker, and no change."""
    try:
        found = setting.read(connection) if exists else None
        wanted = setting.wanted(found)
        if wanted == found:
            return Feature(setting.name, HOLDS), found, found
        if setting.name == "encryption" and exists:
            refusal = try_encrypted(connection, _prefix(connection.options), wanted)
            if refusal:
                return Feature(setting.name, WEAKER, refusal), found, found
        if not apply:
            return Feature(setting.name, PLANNED), found, wanted
        setting.write(connection, wanted)
        kept = setting.read(connection)
    except StoreError as exc:
        return Feature(setting.name, WEAKER, lacking(exc)), None, None
    if setting.wanted(kept) != kept:
        return Feature(setting.name, WEAKER, "the store accepted the setting and did not keep it"), found, found
    refusal = _consequence(connection, setting, found)
    if refusal:
        return Feature(setting.name, WEAKER, refusal), found, found
    return Feature(setting.name, HOLDS), found, kept


def _consequence(connection: Connection, setting: Setting, before: Any) -> Optional[str]:
    """Why a new setting would lock everybody out; then it is taken back."""
    undo = {"encryption": write_encryption, "tls_only": write_policy}.get(setting.name)
    if undo is None:
        return None
    refusal = try_put(connection, _prefix(connection.options))
    if refusal is None:
        return None
    undo(connection, before)
    return f"with it {refusal}, so it was taken back"


@dataclass(frozen=True)
class DirectoryRequest:
    """A directory to look at as the user that will write into it; ``apart_from``: paths that it should outlive."""

    options: DirectoryOptions
    create: bool = False
    apart_from: Tuple[str, ...] = ()


def directory_ready(request: DirectoryRequest, apply: bool) -> Prepared:
    """Check that the directory exists, is writable, and is on its own file system."""
    path = os.path.abspath(request.options.path)
    exists = os.path.isdir(path)
    if not exists and not request.create:
        raise BucketMissing(
            f"The directory {path} does not exist.",
            "Mount or create it; the account that runs PostgreSQL must be able to write there.",
            store=path,
        )
    before, after = {"directory": path if exists else None}, {"directory": path}
    changes = () if exists else (f"directory {path} made",)
    if not exists and apply:
        try:
            make_directory(path, 0o750)
        except OSError as exc:
            raise StoreAccessDenied(
                f"The directory {path} cannot be made: {exc.strerror}.", "Make it for the user who writes.", store=path
            ) from exc
    features = [_writable(path) if exists or apply else Feature("directory", PLANNED)]
    features.append(_apart(path, request.apart_from))
    return Prepared(tuple(features), changes, before, after)


def _writable(path: str) -> Feature:
    name = f".lifeboat-trial-{secrets.token_hex(8)}"
    try:
        top = open_directory(path)
        try:
            os.close(Tree(top).create(top, name))
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=top)
        finally:
            os.close(top)
    except OSError as exc:
        return Feature("directory", WEAKER, f"{path} cannot be written by uid {os.geteuid()}: {exc.strerror}")
    except UntrustedPath as exc:
        return Feature("directory", WEAKER, exc.message)
    return Feature("directory", HOLDS)


def _apart(path: str, others: Sequence[str]) -> Feature:
    device = os.stat(_there(path)).st_dev
    shared = [other for other in others if os.stat(_there(other)).st_dev == device]
    if shared:
        return Feature("apart", WEAKER, f"{path} is on the same file system as {', '.join(shared)}")
    return Feature("apart", HOLDS)


def _there(path: str) -> str:
    """The nearest directory above that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path
