# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore over an existing, stopped data directory: keep files that match the backup, rewrite the others.

``pg_verifybackup`` decides which files match (size and checksum), using the backup's own manifest.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ..base import clock
from ..base.errors import ConfigError, DataDirectoryRefused
from ..base.process import run
from ..postgres.controldata import program, read_system_identifier
from ..records.model import BackupManifest
from ..repository.chain import Chain
from .extract import OURS
from .marker import MARKER
from .request import Place

# Always from the backup: pg_verifybackup ignores these, or they are the server's own state.
_NEVER = ("postgresql.auto.conf", "recovery.signal", "standby.signal", "backup_manifest", "global/pg_control")
# A message of pg_verifybackup about one file, in PostgreSQL 15 to 18.
_COMPLAINT = re.compile(
    r'error: (?:"(?P<a>[^"]+)" (?:is present (?:on disk|in the manifest) but not (?:in the manifest|on disk)'
    r"|has size \d+ on disk but size \d+ in the manifest)"
    r'|checksum mismatch for file "(?P<b>[^"]+)"'
    r'|file "(?P<c>[^"]+)" should contain \d+ bytes, but read \d+ bytes)$'
)
_SPACES = "pg_tblspc/"
# The most characters of a message that is shown.
_LINE = 500


def measured(places: Sequence[Place], chain: Chain) -> Tuple[Place, ...]:
    """The places with the size of their existing content.

    ConfigError or DataDirectoryRefused if a delta restore is impossible.
    """
    if len(chain) > 1:
        raise ConfigError(
            f"A delta restore needs a full backup, but {chain[-1].label} is {chain[-1].type}.",
            f"Choose {chain[0].label} (label), or restore without delta.",
        )
    data = places[0]
    kept = {p.tablespace: p.path for p in places if p.tablespace and p.state == "kept"}
    if data.state == "kept":
        require_fit(data.path, chain[0], kept)
    elif kept:
        raise DataDirectoryRefused(
            f"The tablespace {next(iter(kept.values()))} is not empty, but its data directory {data.path} does not"
            " exist.",
            "Empty it, or choose another directory.",
            data_dir=data.path,
        )
    return tuple(replace(p, present=present_size(p.path)) if p.state == "kept" else p for p in places)


def require_fit(data_dir: str, backup: BackupManifest, spaces: Mapping[str, str]) -> None:
    """DataDirectoryRefused unless ``data_dir`` is this cluster's and its tablespaces are in the right directories.

    ``spaces`` maps OIDs of tablespaces to their directories, as far as those are not empty.
    """
    hint = "Set existing to move_aside instead of delta, or choose another directory."
    found = read_system_identifier(data_dir)
    if found != backup.system_identifier:
        raise DataDirectoryRefused(
            f"{data_dir} contains another cluster (system identifier {found}, not {backup.system_identifier}).",
            hint,
            data_dir=data_dir,
        )
    for name in ("pg_wal", "base", "global"):
        if os.path.islink(os.path.join(data_dir, name)):
            raise DataDirectoryRefused(f"{data_dir}/{name} is a symbolic link.", hint, data_dir=data_dir)
    for oid, path in spaces.items():
        link = os.path.join(data_dir, "pg_tblspc", oid)
        if os.path.realpath(link) != os.path.realpath(path):
            raise DataDirectoryRefused(
                f"{path} is not empty, but is not the tablespace {oid} of {data_dir}.", hint, data_dir=path
            )


def present_size(path: str) -> int:
    """Bytes of the files below a directory, without WAL."""
    return sum(
        os.lstat(os.path.join(parent, name)).st_size
        for parent, _directories, names in os.walk(path)
        if os.path.basename(parent) not in ("pg_wal", "archive_status", "summaries")
        for name in names
    )


def size_of(data_dir: str, names: Iterable[str]) -> int:
    """Bytes of these files, by their paths in the data directory."""
    return sum(os.stat(os.path.join(data_dir, name)).st_size for name in names)


@dataclass(frozen=True)
class Same:
    """The files that match the manifest exactly, by their paths in the data directory.

    ``useless`` is the message of ``pg_verifybackup`` if it did not compare them all, so that none may be kept.
    """

    files: FrozenSet[str]
    useless: Optional[str] = None


def same_files(bin_dir: Optional[str], data_dir: str, manifest: bytes) -> Same:
    """Compare ``data_dir`` with the backup's manifest, using ``pg_verifybackup``."""
    with tempfile.NamedTemporaryFile() as stream:
        stream.write(manifest)
        stream.flush()
        said = run(
            [
                program(bin_dir, "pg_verifybackup"),
                "--no-parse-wal",
                f"--manifest-path={stream.name}",
                *(f"--ignore={name}" for name in OURS),
                data_dir,
            ],
            check=False,
        )
    if said.cut:
        return Same(frozenset(), "pg_verifybackup printed too many messages")
    return unnamed(listed_files(manifest), said.status, said.stderr)


def listed_files(manifest: bytes) -> List[str]:
    """The paths in a ``backup_manifest``, except those that are not UTF-8."""
    return [str(f["Path"]) for f in json.loads(manifest)["Files"] if "Path" in f]


def unnamed(listed: Iterable[str], status: int, complaints: str) -> Same:
    """The listed files that no complaint names, and that may be kept at all. Pure.

    No file if there is any other message: then ``pg_verifybackup`` may not have compared all of them.
    """
    lines = [line for line in complaints.splitlines() if line.strip()]
    found = [_COMPLAINT.search(line) for line in lines]
    if not all(found) or (status != 0) != bool(found):
        strange = next((line for line, match in zip(lines, found) if not match), "no complaint")
        return Same(frozenset(), f"{strange[:_LINE]} (exit status {status})")
    named = {next(name for name in match.groups() if name) for match in found if match}
    kept = frozenset(
        name
        for name in listed
        if name not in named
        and name not in _NEVER
        and name not in OURS
        and not name.startswith("pg_wal/")
        and "\n" not in name
    )
    return Same(kept)


@contextmanager
def wal_aside(data_dir: str) -> Iterator[List[str]]:
    """Rename ``pg_wal``, which may have WAL that was never archived, and yield the new path; undone if the block fails.

    Before the restore is marked: a directory that could not be changed must not look like an unfinished restore.
    """
    real = os.path.realpath(data_dir)
    aside, wal = f"{real}.wal-before-{clock.now():%Y%m%dT%H%M%SZ}", os.path.join(real, "pg_wal")
    # A restore that was interrupted here has renamed it already.
    found = [aside] if os.path.isdir(wal) else []
    if found:
        try:
            os.rename(wal, aside)
        except OSError as exc:
            raise DataDirectoryRefused(
                f"{wal} cannot be moved aside to {aside}: {exc.strerror}.",
                "Restore without delta, or into another data_dir. Nothing was changed.",
                data_dir=data_dir,
            ) from exc
    try:
        yield found
    except BaseException:
        if found:
            os.rename(aside, wal)
        raise


def clear_others(data_dir: str, spaces: Mapping[str, str], kept: FrozenSet[str], major: int) -> None:
    """Remove the files that are not kept. In a tablespace only the directory of this ``major`` version is changed,
    because another cluster may use the same location.
    """
    # Without it this is no longer a cluster, so that a later restore may clear it.
    os.unlink(os.path.join(data_dir, "global", "pg_control"))
    links = os.path.join(data_dir, "pg_tblspc")
    for name in os.listdir(links):
        if os.path.islink(os.path.join(links, name)):
            os.unlink(os.path.join(links, name))
    _clear(data_dir, "", kept)
    for oid, path in spaces.items():
        for name in os.listdir(path):
            if name.startswith(own_directory(major)):
                _clear(os.path.join(path, name), f"{_SPACES}{oid}/{name}/", kept)


def own_directory(major: int) -> str:
    """The prefix of a server's directory in a tablespace, such as ``PG_17_202406281`` (``relpath.h``)."""
    return f"PG_{major}_"


def beside(spaces: Mapping[str, str], major: int) -> List[str]:
    """Files in the tablespaces that do not belong to the cluster, by their paths in the data directory."""
    return [
        f"{_SPACES}{oid}/{name}"
        for oid, path in spaces.items()
        for name in os.listdir(path)
        if not name.startswith(own_directory(major))
    ]


def _clear(root: str, prefix: str, kept: FrozenSet[str]) -> None:
    for parent, directories, names in os.walk(root, topdown=False):
        for name in names:
            path = os.path.join(parent, name)
            if prefix + os.path.relpath(path, root) not in kept and not (parent == root and name == MARKER):
                os.unlink(path)
        for name in directories:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                os.unlink(path)
            elif not os.listdir(path):
                os.rmdir(path)


def by_archive(kept: Iterable[str]) -> Dict[Optional[str], Set[str]]:
    """The kept files as named in each archive, by the OID of its tablespace (None for the data directory). Pure."""
    found: Dict[Optional[str], Set[str]] = {}
    for name in kept:
        place: Tuple[Optional[str], str] = (None, name)
        if name.startswith(_SPACES):
            oid, rest = name.split("/", 2)[1:]
            place = (oid, rest)
        found.setdefault(place[0], set()).add(place[1])
    return found
