# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A chain combined in place is, byte for byte, what ``pg_combinebackup`` makes of it."""

from __future__ import annotations

import hashlib
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lifeboat.postgres.controldata import read_control
from lifeboat.postgres.incremental_file import Geometry, as_full
from lifeboat.restore.overlay import Overlay
from support.choice import examples
from support.installations import Installation, installations

PAGE = 8192
NEWEST = [one for one in installations() if one.major >= 17][-1:]
pytestmark = pytest.mark.skipif(not NEWEST, reason="incremental backups came with PostgreSQL 17")
#: What may happen to a file between two backups: to which of them, what, and where.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(["write", "extend", "truncate", "drop", "create"]), st.integers(0, 12)
    ),
    max_size=12,
)  # fmt: skip


@dataclass
class File:
    """A relation's file, and what its server's summaries know of its changes since the last backup."""

    blocks: List[bytes]
    changed: Set[int] = field(default_factory=set)
    limit: Optional[int] = None
    new: bool = True

    def write(self, number: int, content: bytes) -> None:
        self.blocks[number] = content
        self.changed.add(number)

    def extend(self, content: bytes) -> None:
        self.blocks.append(b"")
        self.write(len(self.blocks) - 1, content)

    def truncate(self, length: int) -> None:
        if length < len(self.blocks):
            del self.blocks[length:]
            self.changed = {n for n in self.changed if n < length}
            self.limit = min(length, length if self.limit is None else self.limit)

    def stored(self) -> Tuple[str, bytes]:
        """The prefix of the name and the content in a backup made now, as ``GetFileBackupMethod`` decides it."""
        numbers = sorted(self.changed)
        if self.new or len(numbers) * 10 > len(self.blocks) * 9:
            return "", b"".join(self.blocks)
        keep = len(self.blocks) if self.limit is None else min(self.limit, len(self.blocks))
        raw = struct.pack(f"=III{len(numbers)}I", 0xD3AE1F0D, len(numbers), keep, *numbers)
        raw += bytes(-len(raw) % PAGE) if numbers else b""
        return "INCREMENTAL.", raw + b"".join(self.blocks[n] for n in numbers)

    def backed_up(self) -> None:
        self.changed, self.limit, self.new = set(), None, False


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[Installation, Path, str]]:
    """The newest server, a control file of it, and its system identifier."""
    place = tmp_path_factory.mktemp("control") / "data"
    subprocess.run([NEWEST[0].program("initdb"), "--no-sync", "-D", place], check=True, capture_output=True)
    identifier = read_control(NEWEST[0].bin_dir, str(place)).system_identifier
    yield NEWEST[0], place / "global/pg_control", identifier
    shutil.rmtree(place)


def store(root: Path, number: int, files: Dict[int, File], control: Tuple[Installation, Path, str]) -> Path:
    """Write a backup as it would be extracted."""
    server, control_file, identifier = control
    place = root / str(number)
    for name in ("base/5", "global", "pg_tblspc", "pg_wal"):
        (place / name).mkdir(parents=True)
    shutil.copyfile(control_file, place / "global/pg_control")
    (place / "PG_VERSION").write_text(f"{server.major}\n")
    label = f"START WAL LOCATION: 0/{number + 1}000028 (file 00000001000000000000000{number + 1})\n"
    label += f"CHECKPOINT LOCATION: 0/{number + 1}000080\nBACKUP METHOD: streamed\nBACKUP FROM: primary\n"
    label += "START TIME: 2026-11-28 07:00:00 UTC\nLABEL: test\nSTART TIMELINE: 1\n"
    if number:
        label += f"INCREMENTAL FROM LSN: 0/{number}000028\nINCREMENTAL FROM TLI: 1\n"
    (place / "backup_label").write_text(label)
    body = f'{{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": {identifier},\n"Files": [],\n'
    body += f'"WAL-Ranges": [\n{{ "Timeline": 1, "Start-LSN": "0/{number + 1}000028",'
    body += f' "End-LSN": "0/{number + 1}000100" }}\n],\n'
    digest = hashlib.sha256(body.encode()).hexdigest()
    (place / "backup_manifest").write_text(f'{body}"Manifest-Checksum": "{digest}"}}\n')
    for name, file in files.items():
        prefix, content = file.stored()
        (place / f"base/5/{prefix}{16384 + name}").write_bytes(content)
        file.backed_up()
    return place


def contents(root: Path) -> Dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else b"" for p in root.rglob("*")}


def happen(files: Dict[int, File], steps: List[Tuple[int, str, int]], turn: int) -> None:
    for count, (name, what, where) in enumerate(steps):
        page = f"{turn} {count} {name} {where}".encode().ljust(PAGE, b".")
        if what == "create" and name not in files:
            files[name] = File([page] * where)
        elif name not in files:
            continue
        elif what == "drop":
            del files[name]
        elif what == "truncate":
            files[name].truncate(where)
        elif what == "extend":
            files[name].extend(page)
        elif what == "write" and where < len(files[name].blocks):
            files[name].write(where, page)


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=2, max_size=4))
def test_it_is_what_pg_combinebackup_makes(
    control: Tuple[Installation, Path, str], turns: List[List[Tuple[int, str, int]]]
) -> None:
    server = control[0]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        files = {name: File([f"{name} {n}".encode().ljust(PAGE, b"-") for n in range(8)]) for name in (0, 1)}
        places = [store(root, 0, files, control)]
        for number, steps in enumerate(turns, 1):
            # A dropped file's number is not used again before the next backup.
            happen(files, [s for i, s in enumerate(steps) if (s[0], "drop") not in {t[:2] for t in steps[:i]}], number)
            places.append(store(root, number, files, control))
        subprocess.run(
            [server.program("pg_combinebackup"), "--no-sync", "--no-manifest", "--output", root / "theirs", *places],
            check=True, capture_output=True,
        )  # fmt: skip
        for number, link in enumerate(places[1:], 1):
            Overlay(str(number), Geometry(PAGE, 131072)).data_dir(str(places[0]), str(link))
        ours = contents(places[0])
        del ours["backup_manifest"]
        ours["backup_label"] = as_full(ours["backup_label"].decode()).encode()
        assert ours == contents(root / "theirs")
        for name, file in files.items():
            assert ours[f"base/5/{16384 + name}"] == b"".join(file.blocks)
