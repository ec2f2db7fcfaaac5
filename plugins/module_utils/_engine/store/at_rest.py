# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a store reports that one of its objects is encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional
from urllib.parse import urlsplit

from ..base.errors import StoreError
from ..config.cloud_options import AzureOptions, GcsOptions
from ..config.store_options import DirectoryOptions, S3Options, StoreOptions

_GOOGLE = "storage.googleapis.com"


@dataclass(frozen=True)
class AtRest:
    """What the store reports about an object, as text, and what is wrong with that (None: it is as configured)."""

    words: str
    wrong: Optional[str] = None


def at_rest(options: StoreOptions, name: str) -> AtRest:
    """How the object of this key (relative to the prefix) is encrypted. Raises the store's errors."""
    found: AtRest = _KINDS[type(options)](options, name)
    return found


def _full(prefix: str, name: str) -> str:
    bare = prefix.strip("/")
    return f"{bare}/{name}" if bare else name


def _directory(options: DirectoryOptions, name: str) -> AtRest:
    return AtRest("a directory: its file system's encryption is not known")


def _s3(options: S3Options, name: str) -> AtRest:
    from .s3.client import connect

    connection = connect(options)
    try:
        method = connection.call("head_object", _full(options.prefix, name)).get("ServerSideEncryption")
        default = "" if method else _default(connection)
    finally:
        connection.close()
    asked = (
        f"sse is {options.sse}, but the store does not confirm that it encrypted the object." if options.sse else None
    )
    if method:
        return AtRest(f"encrypted by the store ({method})", None if method == (options.sse or method) else asked)
    return AtRest(f"the store reports no encryption{default}", asked)


def _default(connection: Any) -> str:
    """The bucket's default for new objects; "" if there is none, or it cannot be read."""
    try:
        found = connection.call("get_bucket_encryption")
    except StoreError:
        return ""
    rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    methods = [r["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for r in rules if r]
    return f"; the default of its bucket is {methods[0]}" if methods else ""


def _azure(options: AzureOptions, name: str) -> AtRest:
    """``x-ms-server-encrypted`` and the scope of ``Get Blob Properties``."""
    from .azure.client import connect

    container = connect(options)
    full = _full(options.prefix, name)
    try:
        with container.doing("Get Blob Properties", full):
            found = container.blob(full).get_blob_properties()
    finally:
        container.close()
    if not found.server_encrypted:
        return AtRest("the store reports no encryption")
    scope = getattr(found, "encryption_scope", None)
    return AtRest(f"encrypted by the store ({f'scope {scope}' if scope else 'Azure Storage'})")


def _gcs(options: GcsOptions, name: str) -> AtRest:
    """``kmsKeyName`` of the object. Without it Google encrypts with its own key, which the object does not show."""
    from .gcs.client import connect

    bucket = connect(options)
    try:
        key = bucket.call("GET", _full(options.prefix, name), {"fields": "kmsKeyName"}).json().get("kmsKeyName")
    finally:
        bucket.close()
    if key:
        return AtRest(f"encrypted by the store ({str(key).split('/cryptoKeyVersions/', maxsplit=1)[0]})")
    if urlsplit(options.endpoint).hostname == _GOOGLE:
        return AtRest("the store names no key: by its documentation, Google Cloud Storage encrypts with its own")
    return AtRest("the store reports no encryption")


_KINDS: Mapping[Any, Callable[[Any, str], AtRest]] = {
    S3Options: _s3, DirectoryOptions: _directory, AzureOptions: _azure, GcsOptions: _gcs,
}  # fmt: skip
