# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How what a repository holds is encrypted, on its way and where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from .config import RepositoryConfig, S3Options
from .errors import StoreError
from .model import BackupManifest
from .repository.layout import Layout
from .store.s3_client import Connection, connect
from .transit import is_clear_text, is_this_machine


@dataclass(frozen=True)
class Encryption:
    """What is so, in words, and what is wrong with it (None: it is as configured)."""

    words: str
    wrong: Optional[str] = None


def in_transit(config: RepositoryConfig) -> Encryption:
    """By what objects travel there, as configured. Pure."""
    store = config.store
    if not isinstance(store, S3Options):
        return Encryption("a directory: as its mount does it")
    if store.endpoint_url and is_clear_text(store.endpoint_url):
        if is_this_machine(store.endpoint_url):
            return Encryption("plain HTTP, to this machine itself")
        return Encryption(
            "plain HTTP: whoever is on the way reads along", "allow_http is set; use https, with ca_bundle if need be."
        )
    if not store.validate_certs:
        return Encryption(
            "TLS, but the certificate is not checked: anybody may be the store", "Set ca_bundle, not validate_certs."
        )
    return Encryption(f"TLS, certificates checked with {store.ca_bundle or 'the authorities of the system'}")


def at_rest(config: RepositoryConfig, cluster: str, seals: bool, newest: Optional[BackupManifest]) -> Encryption:
    """How the newest backup lies there: what the store tells of one of its objects, and who can open it.

    Errors of the store as of any other request.
    """
    sealed = len(newest.recipients) if newest else 0
    said = [f"sealed to {sealed} recipients before it leaves the host"] if sealed else []
    wrong = None
    if seals and newest and not sealed:
        wrong = f"seal.recipients are set, and the newest backup, {newest.label}, is clear: make one now."
    store = config.store
    if isinstance(store, S3Options):
        how, whole = _by_the_store(store, cluster, newest)
        said.append(how)
        if store.sse and not whole:
            wrong = f"sse is {store.sse}, and the store does not tell that it did it."
    else:
        said.append("a directory: its file system's encryption is not known")
    if not sealed:
        said.append("not sealed")
    return Encryption("; ".join(said), wrong)


def _by_the_store(options: S3Options, cluster: str, newest: Optional[BackupManifest]) -> Tuple[str, bool]:
    layout = Layout(cluster)
    key = layout.backup(newest.label, newest.files[0].name) if newest else layout.repository
    prefix = options.prefix.strip("/")
    connection = connect(options)
    try:
        answer = connection.call("head_object", f"{prefix}/{key}" if prefix else key)
        method = answer.get("ServerSideEncryption")
        if method:
            return f"encrypted by the store ({method})", method == (options.sse or method)
        default = _default(connection)
        more = f"; the default of its bucket is {default}" if default else ""
        return f"the store tells of no encryption{more}", False
    finally:
        connection.close()


def _default(connection: Connection) -> Optional[str]:
    """What the bucket does with new objects; None where nothing is set, or nobody tells."""
    try:
        found = connection.call("get_bucket_encryption")
    except StoreError:
        return None
    rules = found.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    return next((r["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] for r in rules if r), None)
