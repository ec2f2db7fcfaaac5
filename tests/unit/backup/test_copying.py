# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy files that change, vanish, or are no files."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import List

import pytest
from lifeboat.backup import copying
from lifeboat.backup.copying import END, Findings, PageRules, copy_file, member, padding
from lifeboat.backup.scan import scan
from lifeboat.base.errors import UntrustedPath
from lifeboat.postgres import pages

MIB = 2**20


def opened(parts: List[bytes]) -> tarfile.TarFile:
    return tarfile.open(fileobj=io.BytesIO(b"".join(parts) + END))


@pytest.mark.parametrize("change", ["grows", "shrinks", "empties"])
def test_a_member_has_the_size_that_was_announced(tmp_path: Path, change: str) -> None:
    path, parts, found = tmp_path / "file", [], Findings()
    content = os.urandom(3 * MIB + 7)
    path.write_bytes(content)

    def take(data: bytes) -> None:
        parts.append(data)
        if len(parts) == 1:
            if change == "grows":
                with open(path, "ab") as stream:
                    stream.write(b"more" * MIB)
            else:
                os.truncate(path, MIB + 5 if change == "shrinks" else 0)

    copy_file(str(tmp_path), "file", "file", take, None, found)
    wanted = {"grows": content, "shrinks": content[: MIB + 5], "empties": b""}[change].ljust(len(content), b"\0")
    with opened(parts) as archive:
        (info,) = archive.getmembers()
        stream = archive.extractfile(info)
        assert stream is not None
        assert stream.read() == wanted
    (file,) = found.files
    assert (file.path, file.size) == (b"file", len(content))
    assert file.checksum == hashlib.sha256(wanted).hexdigest()


def test_no_more_is_copied_than_the_limit(tmp_path: Path) -> None:
    """As a relation that has grown since it was listed."""
    content = os.urandom(3 * 8192)
    (tmp_path / "file").write_bytes(content)
    for limit, wanted in ((8192, content[:8192]), (0, b""), (10**9, content), (None, content)):
        parts: List[bytes] = []
        found = Findings()
        copy_file(str(tmp_path), "file", "file", parts.append, None, found, limit)
        with opened(parts) as archive:
            stream = archive.extractfile("file")
            assert stream is not None and stream.read() == wanted
        (file,) = found.files
        assert (file.size, file.checksum) == (len(wanted), hashlib.sha256(wanted).hexdigest())


def test_what_is_gone_is_left_out_and_a_link_is_never_followed(tmp_path: Path) -> None:
    parts: List[bytes] = []
    found = Findings()
    copy_file(str(tmp_path), "gone/too", "x", parts.append, None, found)
    assert parts == []
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo"):
        with pytest.raises(UntrustedPath):
            copy_file(str(tmp_path), name, "x", parts.append, None, found)
    assert parts == []
    assert found == Findings()


def test_names_of_any_bytes_and_lengths(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff" + b"long " * 40)
    (tmp_path / name).write_bytes(b"content")
    parts: List[bytes] = []
    copy_file(str(tmp_path), name, name, parts.append, None, Findings())
    with opened(parts) as archive:
        assert archive.getnames() == [name]
    head = member("d", os.stat(tmp_path))
    with opened([head]) as archive:
        assert archive.getmember("d").isdir()
    assert padding(512) == b""


def test_a_torn_page_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "base" / "5").mkdir(parents=True)
    page = bytearray(os.urandom(8192))
    page[:8], page[14:16] = bytes(8), b"\x10\x10"
    page[8:10] = pages.checksums(bytes(page), 1, 8192)[0].to_bytes(2, "little")
    torn = bytes(page[:4096]) + bytes(4096)
    path = tmp_path / "base" / "5" / "16400"
    path.write_bytes(bytes(8192) + torn)
    rules = PageRules(100, 8192, 131072)

    def copied() -> tuple[bytes, Findings]:
        parts: List[bytes] = []
        found = Findings()
        copy_file(str(tmp_path), "base/5/16400", "x", parts.append, rules, found)
        return b"".join(parts), found

    waited: List[float] = []
    monkeypatch.setattr(copying.clock, "sleep", waited.append)
    data, found = copied()
    assert found.bad == [("base/5/16400", 1)]
    assert len(waited) == 4

    # The server finishes its write meanwhile.
    monkeypatch.setattr(copying.clock, "sleep", lambda _: path.write_bytes(bytes(8192) + bytes(page)))
    data, found = copied()
    assert found.bad == []
    assert data[512 + 8192 : 512 + 16384] == page
    assert found.files[0].checksum == hashlib.sha256(bytes(8192) + bytes(page)).hexdigest()

    # Or it truncates the file: replay does so, too.
    path.write_bytes(bytes(8192) + torn)
    monkeypatch.setattr(copying.clock, "sleep", lambda _: os.truncate(path, 8192))
    assert copied()[1].bad == []


def test_the_scan_follows_no_link_but_those_of_tablespaces(tmp_path: Path) -> None:
    data, space = tmp_path / "data", tmp_path / "space"
    for name in ("base/5", "pg_tblspc", "pg_notify"):
        (data / name).mkdir(parents=True)
    for name in ("PG_15_202209061/5", "PG_14_202107181/5", "else"):
        (space / name).mkdir(parents=True)
        (space / name / "16400").write_bytes(b"12345")
    (data / "pg_tblspc" / "16390").symlink_to(space)
    (data / "pg_wal").symlink_to(tmp_path)
    (data / "leads").symlink_to("/etc")
    (data / "pg_notify" / "left").write_text("over")
    (data / "PG_VERSION").write_text("15\n")
    found = scan(str(data), 150004)
    assert {(f.path, f.size, f.tablespace) for f in found.files} == {
        ("PG_VERSION", 3, None), ("pg_tblspc/16390/PG_15_202209061/5/16400", 5, "16390"),
    }  # fmt: skip
    assert [d.path for d in found.directories if d.tablespace is None] == [
        "base", "base/5", "pg_notify", "pg_wal", "pg_wal/archive_status", "pg_tblspc",
    ]  # fmt: skip
    assert found.tablespaces == ("16390",)
