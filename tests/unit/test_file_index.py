# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of an archive is read back as written, whatever the files' names and attributes."""

from __future__ import annotations

import io
import os
import struct
import tarfile
from typing import Dict

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.fileset.index import Indexer, as_lines, load_members

names = st.binary(min_size=1, max_size=60).map(lambda b: b.replace(b"\0", b"x").replace(b"/", b"y")).filter(
    lambda b: b not in (b".", b"..")
)  # fmt: skip
# setfacl -m u:1000:r: linux/posix_acl_xattr.h, a version and entries of tag, permissions and id.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, mode, who)
    for tag, mode, who in (
        (1, 6, 0xFFFFFFFF),
        (2, 4, 1000),
        (4, 4, 0xFFFFFFFF),
        (16, 4, 0xFFFFFFFF),
        (32, 0, 0xFFFFFFFF),
    )
)


def archive_of(name: bytes, attributes: Dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    headers = {key: value.decode("utf-8", "surrogateescape") for key, value in attributes.items()}
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as archive:
        info = tarfile.TarInfo(os.fsdecode(b"data/" + name))
        info.size, info.pax_headers = 3, headers
        archive.addfile(info, io.BytesIO(b"abc"))
    return raw.getvalue()


def read_back(archive: bytes) -> None:
    with Indexer() as indexer:
        indexer.write(archive)
        members = indexer.finish()
    assert load_members(as_lines(members), "a/key") == members and len(members) == 1


def test_an_acl_is_binary() -> None:
    read_back(archive_of(b"etc", {"SCHILY.xattr.system.posix_acl_access": ACL}))


@given(
    names,
    st.dictionaries(
        st.from_regex(r"SCHILY\.xattr\.user\.[a-z]{1,9}", fullmatch=True), st.binary(max_size=200), max_size=3
    ),
)
def test_names_and_attributes_read_back(name: bytes, attributes: Dict[str, bytes]) -> None:
    read_back(archive_of(name, attributes))
