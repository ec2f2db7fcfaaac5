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
    # boto3 takes 0.4 s to import: only who has an S3 repository pays for it.
    from . import sdk
    from .s3 import S3Store

    if sdk.MISSING:
        raise DependencyMissing(
            f"The Python library {sdk.MISSING} is not installed, and an S3 repository needs it.",
            "Install python3-boto3 (Debian, Ubuntu) or boto3 (PyPI) for the Python that runs this.",
            library="boto3",
        )
    return S3Store(options)
