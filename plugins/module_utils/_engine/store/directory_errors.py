# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong with a directory store, in our words."""

from __future__ import annotations

import contextlib
import errno
from typing import Iterator, Mapping, Tuple, Type

from ..errors import BucketMissing, StoreAccessDenied, StoreError, StoreFull, StoreUnavailable

_DENIED = (StoreAccessDenied, "Check the owner and the mode of the directory, and that it is mounted writable.")
_FULL = (StoreFull, "Make room on the file system, or raise the quota.")
_GONE = (StoreUnavailable, "Check the disk or the mount, then try again.")

_BY_ERRNO: Mapping[int, Tuple[Type[StoreError], str]] = {
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _DENIED),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), _FULL),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN, errno.EHOSTDOWN, errno.ENODEV), _GONE),
}
_CALLERS = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


def bucket_missing(root: str) -> BucketMissing:
    """The root is not there."""
    return BucketMissing(f"{root} is not a directory.", "Create it, or mount it if it is a mount point.", store=root)


@contextlib.contextmanager
def translated(root: str, operation: str, key: str) -> Iterator[None]:
    """Raise what the system refused as an error of :mod:`..errors`.

    While reading, a file that is not there passes as the ``OSError`` it is: only the caller knows what that means.
    """
    try:
        yield
    except OSError as exc:
        if operation in ("get", "read", "head") and isinstance(exc, _CALLERS):
            raise
        kind, hint = _BY_ERRNO.get(exc.errno or 0, (StoreError, "Check the file system and the path."))
        raise kind(
            f"{operation} of {key!r} in {root} failed: {exc.strerror or exc}.",
            hint,
            store=root, key=key, operation=operation, errno=exc.errno,
        ) from exc  # fmt: skip
