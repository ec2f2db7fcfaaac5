# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combine a chain: one cluster from a full backup and its increments.

Every backup of the chain is extracted below its final directory, so that files on the same file system can be linked,
cloned or moved, and an interrupted restore is cleared with its directory. ``pg_combinebackup`` (PostgreSQL manual) does
it where it need not write every file again; elsewhere the changed blocks are written into the extracted full backup.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Callable, Iterable, List, Mapping, Optional, Sequence

from ..base.errors import BackupCorrupt, DiskFull, ProcessFailed
from ..base.process import end_awaited, run
from ..postgres.controldata import program, read_control
from ..postgres.incremental_file import Geometry, Label, read_label
from ..repository.chain import Chain
from ..repository.repository import Repository
from . import extract
from .overlay import Overlay

STAGING = "lifeboat_chain"
_RESULT, _FIRST = "result", "0"
_LABEL = "backup_label"
#: The value of ``restore.combine`` that never calls ``pg_combinebackup``.
IN_PLACE = "in_place"
# Ways of pg_combinebackup that write no content again.
_CHEAP = ("link", "clone")
# linux/fs.h: _IOW(0x94, 9, int)
_FICLONE = 0x40049409


def extract_links(
    repository: Repository,
    chain: Chain,
    data_dir: str,
    tablespaces: Mapping[str, str],
    progress: Callable[[int], None],
    parallel: int = 0,
) -> int:
    """Unpack each backup of the chain into its own directory; returns the bytes extracted.

    ``tablespaces`` maps the OIDs of the last backup to directories; those only in earlier backups are not needed.
    Raises BackupCorrupt with the label of the backup, or DiskFull.
    """
    done = 0
    for number, link in enumerate(chain):
        known = {t.oid for t in link.tablespaces}
        spaces = {oid: _staged(path, number) for oid, path in tablespaces.items() if oid in known}
        for path in (_staged(data_dir, number), *spaces.values()):
            os.makedirs(path, mode=0o700)
        done += extract.extract(
            repository, link, _staged(data_dir, number), spaces, _after(done, progress), parallel=parallel
        )
    return done


def _after(before: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: progress(before + done)


def combine(
    bin_dir: Optional[str], chain: Chain, data_dir: str, tablespaces: Mapping[str, str], how: str = "auto"
) -> str:
    """Verify every backup of the chain, combine them, and remove them. Returns what did it, in words.

    ``how`` is the option ``restore.combine``. The result is used only if every backup is intact. It has no
    ``backup_manifest``, which would only repeat the files just written, after reading them again.
    Raises BackupCorrupt or DiskFull. Peak disk space: the extracted links, and the result unless it is made in place.
    """
    places = (data_dir, *tablespaces.values())
    method = chosen(bin_dir, how, places)
    if method == IN_PLACE:
        _verified(bin_dir, chain, data_dir, tablespaces, lambda: None)
        _overlay(bin_dir, chain, data_dir, tablespaces)
        made, words = _FIRST, "changed blocks in place"
    else:
        _verified(
            bin_dir, chain, data_dir, tablespaces, lambda: _combine(bin_dir, method, chain, data_dir, tablespaces)
        )
        made, words = _RESULT, f"pg_combinebackup --{method}"
    last = len(chain) - 1
    if extract.open_to_group(_staged(data_dir, last) if made == _RESULT else _staged(data_dir, 0)):
        for path in places:
            if made == _RESULT:
                _open_to_group(_result(path), _staged(path, last))
            os.chmod(path, 0o750)  # noqa: S103
    for path in places:
        _move_up(path, made)
    for oid, path in tablespaces.items():
        link_path = os.path.join(data_dir, "pg_tblspc", oid)
        with suppress(FileNotFoundError):
            os.unlink(link_path)
        os.symlink(path, link_path)
    return words


def _verified(
    bin_dir: Optional[str], chain: Chain, data_dir: str, tablespaces: Mapping[str, str], meanwhile: Callable[[], None]
) -> None:
    """Verify the backups while something else reads them; a damaged backup explains every error of that."""
    with ThreadPoolExecutor(1, "lifeboat-verify") as pool:
        verified = pool.submit(_verify, bin_dir, chain, data_dir, tablespaces)
        try:
            try:
                meanwhile()
            except Exception:
                verified.result()
                raise
            verified.result()
        except KeyboardInterrupt:
            end_awaited()
            raise


def _overlay(bin_dir: Optional[str], chain: Chain, data_dir: str, tablespaces: Mapping[str, str]) -> None:
    """Apply each backup to the one before it; at the end the first one is the last.

    Checks what ``pg_combinebackup`` checks: that each was made on the one before it, of the same cluster, and that its
    page checksums were not switched on or off meanwhile.
    """
    controls = [read_control(bin_dir, _staged(data_dir, number)) for number in range(len(chain))]
    labels = [_label(data_dir, number, link.label) for number, link in enumerate(chain)]
    for number, link in enumerate(chain):
        before = controls[max(0, number - 1)]
        parent = labels[number - 1].start if number else None
        same = (controls[number].system_identifier, controls[number].checksums) == (
            before.system_identifier,
            before.checksums,
        )
        if labels[number].parent != parent or not same:
            raise BackupCorrupt(
                f"Backup {link.label} was not made on the one before it in its chain, or page checksums were switched"
                " on or off between them.",
                f"Restore the full backup {chain[0].label} (label), and make a new full backup.",
                label=link.label,
            )
    geometry = Geometry(controls[0].block_size, controls[0].segment_blocks)
    for number, link in enumerate(chain[1:], 1):
        layer = Overlay(link.label, geometry)
        layer.data_dir(_staged(data_dir, 0), _staged(data_dir, number))
        for path in tablespaces.values():
            if not os.path.isdir(_staged(path, number)):
                continue
            # A tablespace may be younger than the full backup.
            os.makedirs(_staged(path, 0), mode=0o700, exist_ok=True)
            layer.tablespace(_staged(path, 0), _staged(path, number))
    Overlay(chain[-1].label, geometry).finish(_staged(data_dir, 0))


def _label(data_dir: str, number: int, name: str) -> Label:
    path = os.path.join(_staged(data_dir, number), _LABEL)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            return read_label(stream.read())
    except (OSError, ValueError) as exc:
        raise BackupCorrupt(
            f"The {_LABEL} of backup {name} cannot be used: {exc}.",
            "Restore another backup (label), and run lifeboat verify: this one is damaged.",
            label=name,
        ) from exc


def _verify(bin_dir: Optional[str], chain: Chain, data_dir: str, tablespaces: Mapping[str, str]) -> None:
    for number, link in enumerate(chain):
        gone = [f"pg_tblspc/{t.oid}" for t in link.tablespaces if t.oid not in tablespaces]
        extract.verify(bin_dir, _staged(data_dir, number), link.label, gone)


def _combine(bin_dir: Optional[str], method: str, chain: Chain, data_dir: str, tablespaces: Mapping[str, str]) -> None:
    last = len(chain) - 1
    maps = [
        f"--tablespace-mapping={_escape(_staged(path, last))}={_escape(_result(path))}" for path in tablespaces.values()
    ]
    try:
        run(
            [
                program(bin_dir, "pg_combinebackup"),
                "--no-sync",
                "--no-manifest",
                *([f"--{method}"] if method != "copy" else []),
                *maps,
                f"--output={_result(data_dir)}",
                *(_staged(data_dir, number) for number in range(len(chain))),
            ]
        )
    except ProcessFailed as exc:
        if "No space left" in exc.message:
            raise DiskFull(
                f"The disk of {data_dir} became full while the chain was combined.",
                "Free some space and run the restore again: it starts over.",
                path=data_dir,
            ) from exc
        raise BackupCorrupt(
            f"The chain {' <- '.join(b.label for b in chain)} cannot be combined: {exc.details.get('output')}",
            f"Restore the full backup {chain[0].label} (label), and run lifeboat verify: one of the others is damaged.",
            label=chain[-1].label,
            chain=[b.label for b in chain],
        ) from exc


def _open_to_group(result: str, like: str) -> None:
    """``pg_combinebackup`` makes private files: give each its mode in the last link, or that of a new file."""
    for parent, directories, names in os.walk(result):
        for name, usual in (*((d, 0o750) for d in directories), *((n, 0o640) for n in names)):
            path = os.path.join(parent, name)
            model = os.path.join(like, os.path.relpath(path, result))
            if not os.path.islink(path):
                os.chmod(path, stat.S_IMODE(os.stat(model).st_mode) if os.path.exists(model) else usual)


def _staged(place: str, number: int) -> str:
    return os.path.join(place, STAGING, str(number))


def _result(place: str) -> str:
    return os.path.join(place, STAGING, _RESULT)


def _escape(path: str) -> str:
    """Escape a path in a mapping of ``pg_combinebackup``: a backslash before an equals sign."""
    return path.replace("=", "\\=")


def _move_up(place: str, made: str) -> None:
    """Move the result from the staging directory to its final place, and remove the former."""
    result = os.path.join(place, STAGING, made)
    # backup_label first: as long as it is there, no server has started.
    for name in sorted(os.listdir(result), key=lambda name: name != _LABEL):
        os.rename(os.path.join(result, name), os.path.join(place, name))
    shutil.rmtree(os.path.join(place, STAGING))


def help_text(bin_dir: Optional[str]) -> str:
    """The help text of ``pg_combinebackup``; DependencyMissing if it is not installed."""
    return run([program(bin_dir, "pg_combinebackup"), "--help"]).stdout


def chosen(bin_dir: Optional[str], how: str, directories: Sequence[str]) -> str:
    """``in_place``, or how ``pg_combinebackup`` copies; ``how`` is the option ``restore.combine``."""
    if how == IN_PLACE:
        return IN_PLACE
    method = copy_method(help_text(bin_dir), directories)
    return IN_PLACE if how == "auto" and method not in _CHEAP else method


def copy_method(offered: str, directories: Iterable[str]) -> str:
    """The cheapest safe way to copy inside these directories: ``link``, ``clone``, ``copy-file-range`` or ``copy``.

    Hard links are safe here: the links that share the files are removed before the server starts.
    """
    places = list(directories)
    for name, works in (("link", None), ("clone", _clones), ("copy-file-range", _copies_ranges)):
        if f"--{name} " in offered and (works is None or all(_try(works, place) for place in places)):
            return name
    return "copy"


def _try(works: Callable[[int, int], None], directory: str) -> bool:
    """Whether two unnamed files in this directory can be copied that way."""
    held: List[int] = []
    try:
        while len(held) < 2:
            held.append(os.open(directory, os.O_TMPFILE | os.O_RDWR, 0o600))
        os.write(held[0], b"x" * 8192)
        works(held[0], held[1])
        return os.pread(held[1], 8192, 0) == b"x" * 8192
    except (OSError, AttributeError):
        return False
    finally:
        for descriptor in held:
            os.close(descriptor)


def _clones(source: int, target: int) -> None:
    fcntl.ioctl(target, _FICLONE, source)


def _copies_ranges(source: int, target: int) -> None:
    os.copy_file_range(source, target, 8192, 0)
