# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an overlay does with names and blocks, forged ones too. tests/integration/test_overlay.py compares results."""

from __future__ import annotations

import errno
import os
import struct
from pathlib import Path
from typing import Callable, Dict, List

import pytest
from lifeboat.base.errors import BackupCorrupt, DataDirectoryRefused
from lifeboat.postgres.incremental_file import Geometry
from lifeboat.restore.overlay import Overlay

PAGE = 8192


def page(text: str) -> bytes:
    return text.encode().ljust(PAGE, b".")


def changes(keep: int, blocks: Dict[int, bytes]) -> bytes:
    numbers = sorted(blocks)
    raw = struct.pack(f"=III{len(numbers)}I", 0xD3AE1F0D, len(numbers), keep, *numbers)
    if numbers:
        raw += bytes(-len(raw) % PAGE)
    return raw + b"".join(blocks[number] for number in numbers)


def make(root: Path, files: Dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def contents(root: Path) -> Dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def overlay(base: Path, link: Path) -> None:
    Overlay("incr", Geometry(PAGE, 131072)).data_dir(str(base), str(link))


def test_blocks_names_and_lengths_become_those_of_the_newer_backup(tmp_path: Path) -> None:
    base = make(
        tmp_path / "0",
        {
            "base/5/1": page("a") + page("b") + page("c"), "base/5/2": page("a"), "base/5/3": page("a") * 4,
            "base/5/gone": b"x", "base/6/1": b"dropped", "PG_VERSION": b"17\n", "conf": b"old",
        },
    )  # fmt: skip
    link = make(
        tmp_path / "1",
        {
            "base/5/INCREMENTAL.1": changes(3, {1: page("B")}), "base/5/INCREMENTAL.2": changes(1, {}),
            "base/5/INCREMENTAL.3": changes(1, {3: page("D")}), "base/7/1": b"new", "PG_VERSION": b"17\n",
            "conf": b"new", "INCREMENTAL.mine": b"a file of the user",
        },
    )  # fmt: skip
    overlay(base, link)
    assert contents(base) == {
        "base/5/1": page("a") + page("B") + page("c"), "base/5/2": page("a"),
        # A block that was cut off, and not written since, is zeros.
        "base/5/3": page("a") + bytes(2 * PAGE) + page("D"), "base/7/1": b"new", "PG_VERSION": b"17\n", "conf": b"new",
        "INCREMENTAL.mine": b"a file of the user",
    }  # fmt: skip


def _link_of_a_file(base: Path, link: Path, outside: Path) -> None:
    (base / "base/5/1").unlink()
    (base / "base/5/1").symlink_to(outside / "file")


def _link_of_a_directory(base: Path, link: Path, outside: Path) -> None:
    (base / "base/5/1").unlink()
    (base / "base/5").rmdir()
    (base / "base/5").symlink_to(outside)


def _new_link(base: Path, link: Path, outside: Path) -> None:
    (link / "base/evil").symlink_to(outside)


def _changed_link(base: Path, link: Path, outside: Path) -> None:
    (link / "base/5/INCREMENTAL.1").unlink()
    (link / "base/5/INCREMENTAL.1").symlink_to(outside / "file")


def _pipe(base: Path, link: Path, outside: Path) -> None:
    (base / "base/5/1").unlink()
    os.mkfifo(base / "base/5/1")


def _huge(base: Path, link: Path, outside: Path) -> None:
    (link / "base/5/INCREMENTAL.1").write_bytes(changes(2**31, {}))


def _twice(base: Path, link: Path, outside: Path) -> None:
    (link / "base/5/1").write_bytes(b"whole")


def _nothing_before(base: Path, link: Path, outside: Path) -> None:
    (base / "base/5/1").unlink()


def _directory_before(base: Path, link: Path, outside: Path) -> None:
    (base / "base/5/1").unlink()
    (base / "base/5/1").mkdir()


FORGED: List[Callable[[Path, Path, Path], None]] = [
    _link_of_a_file, _link_of_a_directory, _new_link, _changed_link, _pipe, _huge, _twice, _nothing_before,
    _directory_before,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGED, ids=lambda forge: forge.__name__.strip("_"))
def test_a_forged_backup_is_refused_and_nothing_outside_changes(
    tmp_path: Path, forge: Callable[[Path, Path, Path], None]
) -> None:
    outside = make(tmp_path / "outside", {"file": page("outside"), "1": page("outside")})
    base = make(tmp_path / "0", {"base/5/1": page("a")})
    link = make(tmp_path / "1", {"base/5/INCREMENTAL.1": changes(1, {0: page("forged")})})
    forge(base, link, outside)
    with pytest.raises(BackupCorrupt, match="Backup incr cannot be applied"):
        overlay(base, link)
    assert contents(outside) == {"file": page("outside"), "1": page("outside")}


def test_a_directory_has_its_mode_whatever_the_umask_is(tmp_path: Path) -> None:
    base = make(tmp_path / "0", {"PG_VERSION": b"17\n"})
    link = make(tmp_path / "1", {"PG_VERSION": b"17\n", "base/9/1": b"x"})
    (link / "base").chmod(0o750)
    before = os.umask(0o077)
    try:
        overlay(base, link)
    finally:
        os.umask(before)
    assert (base / "base").stat().st_mode & 0o777 == 0o750


def test_what_the_host_cannot_do_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = make(tmp_path / "0", {"base/5/1": page("a")})
    link = make(tmp_path / "1", {"base/5/INCREMENTAL.1": changes(1, {0: page("b")})})

    def fail(*_: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "pwrite", fail)
    with pytest.raises(DataDirectoryRefused, match="Input/output error"):
        overlay(base, link)
