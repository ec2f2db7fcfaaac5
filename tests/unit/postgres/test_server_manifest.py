# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest sent to the server for an incremental backup: without visibility maps, and still valid."""

from __future__ import annotations

import hashlib
import json
from typing import List

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ObjectCorrupt
from lifeboat.postgres.server_manifest import without_visibility_maps

MAPS = ["base/5/16384_vm", "base/5/16384_vm.1", "base/5/INCREMENTAL.16384_vm", "pg_tblspc/16385/PG_17_2/5/1_vm"]
OTHERS = ["base/5/16384", "base/5/16384_fsm", "base/5/16384.1", "global/pg_control", "backup_label", "my_vm", "a/b_vm",
          "base/5/t3_16384_vmx"]  # fmt: skip


def a_manifest(paths: List[str]) -> bytes:
    """As ``backup_manifest.c`` writes it."""
    files = ",".join(
        f'\n{{ "Path": "{path}", "Size": 8192, "Last-Modified": "2026-11-22 02:00:00 GMT",'
        ' "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }'
        for path in paths
    )
    body = (
        '{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7412345678901234567,\n"Files": ['
        f'{files}\n],\n"WAL-Ranges": [\n'
        '{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n],\n'
    )
    return f'{body}"Manifest-Checksum": "{hashlib.sha256(body.encode()).hexdigest()}"}}\n'.encode()


@given(st.lists(st.sampled_from(MAPS + OTHERS), unique=True))
def test_only_the_maps_are_left_out_and_the_checksum_is_right(paths: List[str]) -> None:
    changed = without_visibility_maps(a_manifest(paths))
    data = json.loads(changed)
    assert [f["Path"] for f in data["Files"]] == [p for p in paths if p not in MAPS]
    assert data["WAL-Ranges"] == json.loads(a_manifest(paths))["WAL-Ranges"]
    body = changed[: changed.index(b'"Manifest-Checksum"')]
    assert data["Manifest-Checksum"] == hashlib.sha256(body).hexdigest()
    if not set(paths) & set(MAPS):
        assert changed == a_manifest(paths)


def test_what_is_no_manifest_is_refused() -> None:
    with pytest.raises(ObjectCorrupt):
        without_visibility_maps(b"{}")
