# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup_manifest of our own."""

from __future__ import annotations

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.postgres.facts import WalRange, manifest_wal_range
from lifeboat.postgres.manifest_writer import CopiedFile, manifest
from lifeboat.postgres.server_manifest import without_visibility_maps

WAL = WalRange(3, 0x2000028, 0x100002A10)
FILE = CopiedFile(b"global/1262", 8192, 1700000000.9, "ab" * 32)
TEXT = """{ "PostgreSQL-Backup-Manifest-Version": 2,
"System-Identifier": 7012345678901234567,
"Files": [
{ "Path": "global/1262", "Size": 8192, "Last-Modified": "2023-11-14 22:13:20 GMT", \
"Checksum-Algorithm": "SHA256", "Checksum": "%s" },
{ "Encoded-Path": "ff61", "Size": 8192, "Last-Modified": "2023-11-14 22:13:20 GMT", \
"Checksum-Algorithm": "SHA256", "Checksum": "%s" }
],
"WAL-Ranges": [
{ "Timeline": 3, "Start-LSN": "0/2000028", "End-LSN": "1/2A10" }
],
""".replace("%s", FILE.checksum)


def test_the_manifest_as_the_server_writes_it() -> None:
    odd = CopiedFile(b"\xffa", 8192, 1700000000.0, "ab" * 32)
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    written = manifest(170000, "7012345678901234567", [FILE, odd], WAL)
    assert written.decode() == TEXT + f'"Manifest-Checksum": "{digest}"}}\n'
    older = manifest(160000, "7012345678901234567", [FILE, odd], WAL)
    assert older.startswith(b'{ "PostgreSQL-Backup-Manifest-Version": 1,\n"Files": [\n{ "Path"')


@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8))
def test_every_name_is_read_back_from_valid_json(names: list[bytes]) -> None:
    written = manifest(170000, "7", [CopiedFile(name, 1, 0, "00") for name in names], WAL)
    read = json.loads(written)
    found = [bytes.fromhex(f["Encoded-Path"]) if "Encoded-Path" in f else f["Path"].encode() for f in read["Files"]]
    assert found == names
    assert manifest_wal_range(written) == WAL


def test_visibility_maps_are_left_out_of_it_as_of_the_servers() -> None:
    files = [FILE, CopiedFile(b"base/5/16400_vm", 8192, 0, "00")]
    assert without_visibility_maps(manifest(170000, "7", files, WAL)) == manifest(170000, "7", [FILE], WAL)
