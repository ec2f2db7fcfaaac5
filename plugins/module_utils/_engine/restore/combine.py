# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Combine a chain with ``pg_combinebackup`` (PostgreSQL manual): one cluster from a full backup and its increments.

Every backup of the chain is extracted below its final directory, so that files on the same file system can be linked
or cloned, and an interrupted restore is cleared with its directory.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Iterable, List, Mapping, Optional

from ..base.errors import BackupCorrupt, DiskFull, ProcessFailed
from ..base.process import end_awaited, run
from ..postgres.controldata import program
from ..repository.chain import Chain
from ..repository.repository import Repository
from . import extract

STAGING = "lifeboat_chain"
_RESULT = "result"
# linux/fs.h: _IOW(0x94, 9, int)
_FICLONE = 0x40049409


def extract_links(
    repository: Repository,
    chain: Chain,
    data_dir: str,
    tablespaces: Mapping[str, str],
    progress: Callable[[int], None],
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
        done += extract.extract(repository, link, _staged(data_dir, number), spaces, _after(done, progress))
    return done


def _after(before: int, progress: Callable[[int], None]) -> Callable[[int], None]:
    return lambda done: progress(before + done)


def combine(bin_dir: Optional[str], chain: Chain, data_dir: str, tablespaces: Mapping[str, str]) -> str:
    """Verify every backup of the chain, combine them in place, and remove them. Returns how files were copied.

    Verification and combining run at the same time; the result is used only if every backup is intact. It has no
    ``backup_manifest``, which would only repeat the files just written, after reading them again.
    Raises BackupCorrupt or DiskFull. Peak disk space: the extracted links and the result.
    """
    places = (data_dir, *tablespaces.values())
    method = copy_method(help_text(bin_dir), places)
    with ThreadPoolExecutor(1, "lifeboat-verify") as pool:
        verified = pool.submit(_verify, bin_dir, chain, data_dir, tablespaces)
        try:
            try:
                _combine(bin_dir, method, chain, data_dir, tablespaces)
            except Exception:
                # A damaged backup of the chain explains all other errors.
                verified.result()
                raise
            verified.result()
        except KeyboardInterrupt:
            end_awaited()
            raise
    last = len(chain) - 1
    if extract.open_to_group(_staged(data_dir, last)):
        for path in places:
            _open_to_group(_result(path), _staged(path, last))
            os.chmod(path, 0o750)  # noqa: S103
    for path in places:
        _move_up(path)
    for oid, path in tablespaces.items():
        link_path = os.path.join(data_dir, "pg_tblspc", oid)
        os.unlink(link_path)
        os.symlink(path, link_path)
    return method


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


def _move_up(place: str) -> None:
    """Move the result from the staging directory to its final place, and remove the former."""
    # backup_label first: as long as it is there, no server has started.
    for name in sorted(os.listdir(_result(place)), key=lambda name: name != "backup_label"):
        os.rename(os.path.join(_result(place), name), os.path.join(place, name))
    shutil.rmtree(os.path.join(place, STAGING))


def help_text(bin_dir: Optional[str]) -> str:
    """The help text of ``pg_combinebackup``; DependencyMissing if it is not installed."""
    return run([program(bin_dir, "pg_combinebackup"), "--help"]).stdout


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
