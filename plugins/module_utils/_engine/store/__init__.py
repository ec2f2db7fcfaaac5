# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where backups are stored: one small interface, one implementation per kind of store."""

from __future__ import annotations

from datetime import datetime
from typing import Optional

from ..base.errors import DependencyMissing, NotVersioned
from ..config.cloud_options import AzureOptions, GcsOptions
from ..config.load import DirectoryOptions, StoreOptions
from .at_rest import AtRest, at_rest
from .directory.store import DirectoryStore
from .protocol import Store, Term
from .room import Room, room_of
from .s3.bucket import Locks, bucket_of, first_replaced, open_locks

__all__ = [
    "AtRest", "Locks", "Room", "Store", "Term", "at_rest", "bucket_of", "first_replaced", "open_locks", "open_store",
    "room_of",
]  # fmt: skip


def open_store(options: StoreOptions, as_of: Optional[datetime] = None, term: Optional[Term] = None) -> Store:
    """The store that the options describe; with ``as_of`` (aware), as it was at that time.
    ``term``: for how long a new object is locked, by its key, if objects are locked.

    No request is sent yet, but a directory must exist (``BucketMissing``). An option that cannot work is a
    ``ConfigError``, a library that is not installed ``DependencyMissing``, a kind of store without versions
    ``NotVersioned``.
    """
    if as_of is not None and not options.traits.versions:
        raise NotVersioned(
            "Only a versioned S3 bucket can be read as of an earlier time.",
            "Use a repository in one, or omit as_of (--as-of).",
            store=getattr(options, "path", "") or getattr(options, "container", "") or getattr(options, "bucket", ""),
        )
    if isinstance(options, DirectoryOptions):
        return DirectoryStore(options)
    # The libraries take 0.4 s or more to import: do so only if there is such a repository.
    if isinstance(options, AzureOptions):
        from .azure.store import AzureStore

        return AzureStore(options)
    if isinstance(options, GcsOptions):
        from .gcs.store import GcsStore

        return GcsStore(options)
    from .s3 import sdk
    from .s3.store import S3Store

    if sdk.MISSING:
        raise DependencyMissing(
            f"The Python library {sdk.MISSING} is not installed, and an S3 repository needs it.",
            "Install python3-boto3 (Debian, Ubuntu) or boto3 (PyPI) for the Python that runs this.",
            library="boto3",
        )
    if as_of is not None:
        from .s3.versions import S3StoreAsOf

        return S3StoreAsOf(options, as_of)
    return S3Store(options, term)
