# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where backups live: one small interface, one implementation per kind of store."""

from __future__ import annotations

from ..config import DirectoryOptions, StoreOptions
from ..errors import DependencyMissing
from .directory import DirectoryStore
from .protocol import Store


def open_store(options: StoreOptions) -> Store:
    """The store that the options describe.

    Nothing is asked of an S3 store yet; a directory must be there (``BucketMissing``). An option that cannot work is
    a ``ConfigError``; without boto3 an S3 store is ``DependencyMissing``.
    """
    if isinstance(options, DirectoryOptions):
        return DirectoryStore(options)
    try:
        from .s3 import S3Store
    except ImportError as exc:
        if (exc.name or "").split(".")[0] not in ("boto3", "botocore"):
            raise
        raise DependencyMissing(
            f"The Python library {exc.name} is not installed, and an S3 repository needs it.",
            "Install python3-boto3 (Debian, Ubuntu) or boto3 (PyPI) for the Python that runs this.",
            library="boto3",
        ) from exc
    return S3Store(options)
