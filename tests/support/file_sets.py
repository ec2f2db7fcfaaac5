# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty file set beside an empty repository, and forged copies of it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from lifeboat.codec.zstd import Compressor
from lifeboat.config import load as config
from lifeboat.records.model import FORMAT, ArchiveFile, format_time, seal_record
from lifeboat.repository.file_sets import FileSetBackup
from lifeboat.repository.labels import begun

SYSTEM = "main/systems/7000000000000000001.json"


def marks() -> Dict[str, bytes]:
    """The objects that make a place a repository of the cluster main, by key."""
    stamp = {"format": FORMAT, "cluster": "main", "created_at": format_time(datetime.now(timezone.utc))}
    system = {**stamp, "system_identifier": Path(SYSTEM).stem}
    return {"main/repository.json": seal_record(stamp), SYSTEM: seal_record(system)}


def mark(repository: Path) -> None:
    """Make such a repository of a directory."""
    (repository / SYSTEM).parent.mkdir(parents=True)
    for key, raw in marks().items():
        (repository / key).write_bytes(raw)


def empty_set(beside: Path) -> Path:
    """An empty directory that is the set, and a repository without copies."""
    mark(beside / "near")
    (beside / "data").mkdir()
    return beside / "data"


def options(root: Path, incremental: bool = False, paths: Sequence[str] = (), **more: Any) -> Dict[str, Any]:
    chosen = {"incremental": incremental, **more}
    return {
        "cluster": "main",
        "repositories": [{"name": "near", "type": "directory", "path": str(root.parent / "near")}],
        "spool_dir": str(root.parent / "spool"),
        "file_sets": [{"name": "data", "kind": "data", "paths": list(paths or [str(root)]), **chosen}],
        "audit": {"file": "", "syslog": ""},
    }


def settings(root: Path, incremental: bool = False, paths: Sequence[str] = (), **more: Any) -> config.Config:
    return config.parse(options(root, incremental, paths, **more))


def kept(path: Path) -> Path:
    """The other name of the file that was replaced."""
    (found,) = path.parent.glob(f"{path.name}.before-*")
    return found


_TYPES = {
    "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE, "directory": tarfile.DIRTYPE, "device": tarfile.CHRTYPE,
    "fifo": tarfile.FIFOTYPE,
}  # fmt: skip


def forge(root: Path, label: str, members: Sequence[Tuple[str, str, str]], **more: Any) -> None:
    """A copy with a valid record and index, of any members (name, kind, content or target)."""
    raw = io.BytesIO()
    lines: List[Dict[str, Any]] = []
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.uid, info.gid = os.getuid(), os.getgid()
            info.type = _TYPES.get(kind, tarfile.REGTYPE)
            info.mode = {"setuid": 0o4755, "setgid": 0o2755, "directory": 0o755}.get(kind, 0o644)
            if info.isreg():
                info.size = len(content)
            else:
                info.linkname = content
            archive.addfile(info, io.BytesIO(content.encode()) if info.isreg() else None)
            told = "file" if kind.startswith("set") else kind
            lines.append({"path": "/" + name, "kind": told, "mode": "0644", "owner": "0:0"})
    lines = more.pop("told", lines)
    more.setdefault("paths", tuple(line["path"] for line in lines))
    lines = [*more.pop("held", ()), *lines]
    home = root.parent / "near" / "main" / "files" / "data" / label
    home.mkdir(parents=True)
    stored = []
    index = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    for name, content in (("data.tar.zst", raw.getvalue()), ("index.jsonl.zst", index)):
        compressor = Compressor(3)
        packed = compressor.feed(content) + compressor.finish()
        (home / name).write_bytes(packed)
        stored.append(ArchiveFile(name, len(packed), hashlib.sha256(packed).hexdigest()))
    created = begun(label)
    assert created is not None
    record = FileSetBackup(
        label, "data", "main", "elsewhere", created, excludes=(), data_size=len(raw.getvalue()),
        file=stored[0], index=stored[1], members=len(lines), **more,
    )  # fmt: skip
    (home / "manifest.json").write_bytes(seal_record(record.as_dict()))
