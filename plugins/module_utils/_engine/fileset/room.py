# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make room for the members of a file set: files in their place are renamed, and no link leads out of a target.

tar renames files. It does not rename a directory where a file goes, and follows a link where a directory was.
"""

from __future__ import annotations

import os
import stat
from typing import Iterator, Optional, Sequence, Set

from ..base.errors import ObjectCorrupt, ProcessFailed
from ..base.files import located

_HINT = "Nothing was written there. Restore to an empty directory, and find out who changed the copy."


def make_room(
    target: str, names: Sequence[bytes], paths: Sequence[str], suffix: str, linked: Sequence[bytes] = ()
) -> None:
    """Rename (by ``suffix``) what stands in the way of these members below ``target``: links and files where there
    are directories, and directories where there are none. ``names`` are tar's own, with ``/`` after a directory's.

    ``linked`` are what hard links go to. Above ``paths``, where the set may write, links stay what they are.
    ObjectCorrupt where one leads out of the target, where a member lies below another that is no directory, and of an
    absolute name.
    """
    seen: Set[bytes] = set()
    plain = {_whole(name) for name in names if not name.endswith(b"/")}
    for name in (*names, *linked):
        if name.startswith(b"/"):
            raise ObjectCorrupt(
                f"The copy has the absolute name {os.fsdecode(name)!r}, which no Lifeboat copy has.", _HINT
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
    """The name as it is below the target: tar takes the first slash away, and refuses names with two dots."""
    return b"/".join(part for part in name.split(b"/") if part not in (b"", b"."))


def _above(name: bytes, seen: Set[bytes]) -> Iterator[bytes]:
    """The directories above it, the highest first, that were not seen before."""
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
            f"{os.fsdecode(place)} is in the way and cannot be renamed: {exc.strerror}.",
            "Rename or unmount it, and restore again.",
            path=os.fsdecode(place),
        ) from exc
