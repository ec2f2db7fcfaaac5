# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The errors of a directory store, translated."""

from __future__ import annotations

import contextlib
import errno
from typing import Iterator, Mapping, Tuple, Type

from ...base.errors import BucketMissing, StoreAccessDenied, StoreError, StoreFull, StoreUnavailable, UntrustedPath

_DENIED = (StoreAccessDenied, "Check the owner and the mode of the directory, and that it is mounted writable.")
_FULL = (StoreFull, "Free up space on the file system, or raise the quota.")
_GONE = (StoreUnavailable, "Check the disk or the mount, then try again.")

_BY_ERRNO: Mapping[int, Tuple[Type[StoreError], str]] = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _DENIED),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV), _GONE),
}
_CALLERS = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def bucket_missing(root: str) -> BucketMissing:
    """The error for a missing root."""
    return BucketMissing(
        f"{root} is not a directory.",
        "Mount it; if it is not a mount point, create it for the account that runs PostgreSQL.",
        store=root,
    )


@contextlib.contextmanager
def translated(root: str, operation: str, key: str) -> Iterator[None]:
    """Raise the system's refusals, and those of root's rules, as errors of :mod:`..errors`.

    ``FileNotFoundError`` while opening and reading passes unchanged: only the caller knows what it means.
    """
    try:
        yield
    except UntrustedPath as exc:
        raise StoreAccessDenied(exc.message, exc.hint, store=root, key=key, operation=operation) from exc
    except OSError as exc:
        if operation in ("open", "get", "read", "head") and isinstance(exc, _CALLERS):
            raise
        kind, hint = _BY_ERRNO.get(exc.errno or 0, (StoreError, "Check the file system and the path."))
        raise kind(
            f"{operation} of {key!r} in {root} failed: {exc.strerror or exc}.",
            hint,
            store=root, key=key, operation=operation, errno=exc.errno,
        ) from exc  # fmt: skip
