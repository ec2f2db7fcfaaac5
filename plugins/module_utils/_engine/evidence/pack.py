# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the pack: a ``tar.gz`` with one directory in it, complete or not there at all."""

from __future__ import annotations

import gzip
import hashlib
import json
import socket
import tarfile
import tempfile
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, Dict, Iterator, List, Mapping, Tuple

from ..base import clock
from ..base.errors import ConfigError, LifeboatError
from ..base.files import replace_file
from ..base.version import VERSION
from ..config.load import Config
from ..records.model import format_time
from ..repository.labels import stamp
from ..repository.repository import Repositories
from . import index
from .gather import Gathered, Part, gather

_CHUNK = 1024 * 1024
_IN_MEMORY = 8 * _CHUNK


@dataclass(frozen=True)
class Packed:
    """The archive, its files with size and SHA-256, and what could not be read and why."""

    path: str
    files: Tuple[Mapping[str, Any], ...]
    figures: Mapping[str, Any]
    unread: Mapping[str, str]
    set_apart: int

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        files = [dict(file) for file in self.files]
        figures, unread = dict(self.figures), dict(self.unread)
        return {"archive": self.path, "files": files, "figures": figures, "unread": unread, "set_apart": self.set_apart}


def write_pack(config: Config, since: datetime, path: str) -> Packed:
    """Gather, and write ``path``. ConfigError where it cannot be written.

    Disk: the archive twice for a moment, once as an unnamed file. Memory: as :func:`.gather.gather`.
    """
    now = clock.now()
    with Repositories.open(config) as repositories, tempfile.TemporaryFile() as spool:
        found = gather(config, repositories, since, now)
        files = _pack(spool, f"evidence-{config.cluster}-{stamp(now)}", found, _about(config, since, now, found))
        spool.seek(0)
        try:
            replace_file(path, _chunks(spool), mode=0o600)
        except OSError as exc:
            raise ConfigError(
                f"Cannot write {path}: {exc.strerror}.", "Name a file in a directory that exists.", path=path
            ) from exc
    return Packed(path, tuple(files), found.figures, found.unread, len(found.aside))


def _about(config: Config, since: datetime, now: datetime, found: Gathered) -> Dict[str, Any]:
    return {
        "cluster": config.cluster,
        "since": format_time(since),
        "until": format_time(now),
        "host": socket.gethostname(),
        "lifeboat": VERSION,
        "figures": found.figures,
    }


def _pack(spool: IO[bytes], root: str, found: Gathered, about: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """Everything, then the index, then the checksums of all that."""
    files: List[Mapping[str, Any]] = []
    at = int(clock.now().timestamp())
    with gzip.GzipFile(fileobj=spool, mode="wb", mtime=at) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:

        def put(part: Part) -> None:
            # What is damaged would be noticed at its end, when half of it is in the archive.
            with tempfile.SpooledTemporaryFile(_IN_MEMORY) as whole:
                digest, size = hashlib.sha256(), 0
                for chunk in part.chunks():
                    digest.update(chunk)
                    size += len(chunk)
                    whole.write(chunk)
                whole.seek(0)
                member = tarfile.TarInfo(f"{root}/{part.name}")
                member.size, member.mtime, member.mode = size, at, 0o644
                tar.addfile(member, whole)
                files.append({"name": part.name, "size": size, "sha256": digest.hexdigest()})

        for part in sorted(found.parts, key=lambda part: part.name):
            try:
                put(part)
            except LifeboatError as exc:
                found.unread[part.name] = exc.message
        told, aside = list(files), found.aside
        for name, text in (
            ("index.json", _pretty(index.as_data(about, told, found.unread, aside))),
            ("index.md", index.render(about, told, found.unread)),
        ):
            put(_part(name, text))
        sums = "".join(f"{file['sha256']}  {file['name']}\n" for file in files)
        put(_part("SHA256SUMS", sums))
    return files


def _pretty(data: Any) -> str:
    return json.dumps(data, indent=2, default=str) + "\n"


def _part(name: str, text: str) -> Part:
    data = text.encode("utf-8", "backslashreplace")
    return Part(name, lambda: iter([data]))


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        yield chunk
