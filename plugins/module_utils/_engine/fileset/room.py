# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make room for the members of a file set: rename what is in their place, and let no link lead out of the target.

tar itself renames files. But it does not rename a directory in the place of a file, and follows a link in the place of
a directory.
"""

from __future__ import annotations

import os
import stat
from typing import Iterator, Optional, Sequence, Set

from ..base.errors import ObjectCorrupt, ProcessFailed
from ..base.files import located

_HINT = "Restore to an empty directory, and find out who changed the copy. Nothing was written there."


def make_room(
    target: str, names: Sequence[bytes], paths: Sequence[str], suffix: str, linked: Sequence[bytes] = ()
) -> None:
    """Rename (by ``suffix``) what is in the way of these members below ``target``: links and files in the place of
    directories, and directories in the place of other members. ``names`` are tar's, with ``/`` after directories.

    ``linked`` are the targets of hard links. Above ``paths``, where the set may write, links are left alone.
    ObjectCorrupt if one leads out of the target, if a member is below another that is not a directory, and for an
    absolute name.
    """
    seen: Set[bytes] = set()
    plain = {_whole(name) for name in names if not name.endswith(b"/")}
    for name in (*names, *linked):
        if name.startswith(b"/"):
            raise ObjectCorrupt(
                f"The copy has the absolute name {os.fsdecode(name)!r}, which Lifeboat never stores.", _HINT
            )
        for above in _above(_whole(name), seen):
            if above in plain:
                raise ObjectCorrupt(
                    f"The copy has {os.fsdecode(name)!r} below {os.fsdecode(above)!r}, which is not a directory in it.",
                    _HINT,
                )
            _check(target, above, paths, suffix)
    for name in names:
        whole = _whole(name)
        mode = None if b".." in whole.split(b"/") else _mode(target, whole)
        if mode is not None and stat.S_ISDIR(mode) is not name.endswith(b"/"):
            _rename(target, whole, suffix)


def _whole(name: bytes) -> bytes:
    """The name relative to the target: tar strips the first slash, and refuses names with two dots."""
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


def _above(name: bytes, seen: Set[bytes]) -> Iterator[bytes]:
    """The directories above the name, the highest first, without those ``seen`` before."""
    parts = name.split(b"/")
    if b".." in parts:
        return
    for count in range(1, len(parts)):
        above = b"/".join(parts[:count])
        if above not in seen:
            seen.add(above)
            yield above


def _check(target: str, above: bytes, paths: Sequence[str], suffix: str) -> None:
    mode = _mode(target, above)
    if mode is None or not stat.S_ISLNK(mode):
        return
    if any((above + b"/").startswith(os.fsencode(path.strip("/")) + b"/") for path in paths):
        _rename(target, above, suffix)
        return
    root = os.path.realpath(os.fsencode(target))
    if os.path.commonpath([root, os.path.realpath(_place(target, above))]) == root:
        return
    place = os.fsdecode(_place(target, above))
    raise ObjectCorrupt(
        f"The copy has files below {place}, which is a link: they would be written to {os.path.realpath(place)}.",
        _HINT,
        path=place,
    )


def _place(target: str, name: bytes) -> bytes:
    return os.path.join(os.fsencode(target), name)


def _mode(target: str, name: bytes) -> Optional[int]:
    try:
        return os.lstat(_place(target, name)).st_mode
    except OSError:
        return None


def _rename(target: str, name: bytes, suffix: str) -> None:
    place = _place(target, name)
    try:
        with located(os.fsdecode(place), last=False) as (parent, last):
            os.rename(last, last + suffix, src_dir_fd=parent, dst_dir_fd=parent)
    except OSError as exc:
        raise ProcessFailed(
            f"{os.fsdecode(place)} is in the way, but cannot be renamed: {exc.strerror}.",
            "Rename or unmount it, and restore again.",
            path=os.fsdecode(place),
        ) from exc
