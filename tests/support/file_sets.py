# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An empty file set beside an empty repository, and copies of it that somebody forged."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

from lifeboat import config
from lifeboat.codec.zstd import Compressor
from lifeboat.file_record import FileSetBackup
from lifeboat.model import ArchiveFile, seal_record

SYSTEM = "main/systems/7000000000000000001.json"


def empty_set(beside: Path) -> Path:
    """An empty directory that is the set, and a repository without copies."""
    (beside / "near" / SYSTEM).parent.mkdir(parents=True)
    (beside / "near" / SYSTEM).write_text("{}")
    (beside / "data").mkdir()
    return beside / "data"


def options(root: Path, incremental: bool = False) -> Dict[str, Any]:
    return {
        "cluster": "main",
        "repositories": [{"name": "near", "type": "directory", "path": str(root.parent / "near")}],
        "spool_dir": str(root.parent / "spool"),
        "file_sets": [{"name": "data", "kind": "data", "paths": [str(root)], "incremental": incremental}],
        "audit": {"file": "", "syslog": ""},
    }


def settings(root: Path, incremental: bool = False) -> config.Config:
    return config.parse(options(root, incremental))


def kept(path: Path) -> Path:
    """The other name of what was there."""
    (found,) = path.parent.glob(f"{path.name}.before-*")
    return found


def forge(root: Path, label: str, members: Sequence[Tuple[str, str, str]], **more: Any) -> None:
    """A copy with a valid record and index, of members (name, kind, content or target) of somebody's choice."""
    raw = io.BytesIO()
    lines: List[Dict[str, Any]] = []
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, kind, content in members:
            info = tarfile.TarInfo(name)
            info.uid, info.gid = os.getuid(), os.getgid()
            info.type = {"symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}.get(kind, tarfile.REGTYPE)
            if kind == "file":
                info.size = len(content)
            else:
                info.linkname = content
            archive.addfile(info, io.BytesIO(content.encode()) if kind == "file" else None)
            lines.append({"path": "/" + name, "kind": kind, "mode": "0644", "owner": "0:0"})
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
    record = FileSetBackup(
        label, "data", "main", "elsewhere", datetime.now(timezone.utc), excludes=(), data_size=len(raw.getvalue()),
        file=stored[0], index=stored[1], members=len(lines), **more,
    )  # fmt: skip
    (home / "manifest.json").write_bytes(seal_record(record.as_dict()))
