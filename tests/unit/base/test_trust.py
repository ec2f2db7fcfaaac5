# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files root reads where others can write; ordinary users are not restricted. As root: tests/root."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base import files
from lifeboat.base.errors import UntrustedPath
from lifeboat.base.files import Facts, others_write, stays_put, why_not_read
from lifeboat.base.tree import Tree

USERS = st.sampled_from([0, 33, 105])
MODES = st.integers(0, 0o7777)
DIRECTORIES = st.builds(lambda uid, gid, mode: Facts(uid, gid, stat.S_IFDIR | mode), USERS, USERS, MODES)
FILES = st.builds(
    lambda uid, gid, mode, links: Facts(uid, gid, stat.S_IFREG | mode, links), USERS, USERS, MODES, st.integers(1, 3)
)
ROOTS = Facts(0, 0, stat.S_IFDIR | 0o755)


@given(DIRECTORIES, FILES, st.booleans())
def test_where_root_alone_writes_everything_is_read(directory: Facts, file: Facts, member: bool) -> None:
    directory = replace(directory, uid=0, mode=directory.mode & ~(stat.S_IWGRP | stat.S_IWOTH))
    assert not others_write(directory)
    assert why_not_read(directory, file, member) == ""


@given(DIRECTORIES, FILES, st.booleans())
def test_elsewhere_only_what_its_writers_read_anyway(directory: Facts, file: Facts, member: bool) -> None:
    """Those who can write there own the file, or may read it without root."""
    # No assume(): most are refused, and Hypothesis would give up.
    if not others_write(directory) or why_not_read(directory, file, member):
        return
    group_writes = directory.mode & stat.S_IWGRP
    assert (
        file.mode & stat.S_IROTH
        or (file.uid != 0 and file.uid == directory.uid)
        or (file.uid != 0 and group_writes and member)
        or (group_writes and file.gid == directory.gid and file.mode & stat.S_IRGRP)
    )


@given(DIRECTORIES, FILES, st.booleans())
def test_a_file_with_several_names_is_read_where_its_owner_alone_writes(
    directory: Facts, file: Facts, member: bool
) -> None:
    if not others_write(directory):
        return
    file = replace(file, links=max(2, file.links))
    owners_own = file.uid == directory.uid and not directory.mode & (stat.S_IWGRP | stat.S_IWOTH)
    assert (why_not_read(directory, file, member) == "") == owners_own


@given(DIRECTORIES, FILES, st.booleans(), st.sampled_from([stat.S_IFIFO, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFBLK]))
def test_nothing_but_a_regular_file_is_read(directory: Facts, file: Facts, member: bool, kind: int) -> None:
    other = replace(file, mode=kind | stat.S_IMODE(file.mode))
    assert why_not_read(directory, other, member) == "is not a regular file"


@given(DIRECTORIES, DIRECTORIES)
def test_a_directory_stays_put_where_nobody_else_can_move_it(above: Facts, entry: Facts) -> None:
    expected = not others_write(above) or (above.uid == 0 and above.mode & stat.S_ISVTX and entry.uid == 0)
    assert stays_put(above, entry) == bool(expected)
    assert not stays_put(replace(ROOTS, mode=stat.S_IFDIR | 0o1777), replace(entry, mode=stat.S_IFLNK | 0o777))


@pytest.mark.parametrize(
    ("directory", "file", "member", "reason"),
    [
        # Debian's /var/log/postgresql, and a log of PostgreSQL's.
        (Facts(0, 105, 0o41775), Facts(105, 4, 0o100640), True, ""),
        (Facts(0, 105, 0o41775), Facts(0, 42, 0o100640), False, "belongs to uid 0"),
        # /var/lib/pgsql/data/log.
        (Facts(26, 26, 0o40700), Facts(26, 26, 0o100600, 2), False, ""),
        (Facts(26, 26, 0o40700), Facts(0, 0, 0o100644), False, ""),
        (Facts(26, 26, 0o40700), Facts(0, 42, 0o100640, 2), False, "has 2 names"),
        # Ubuntu's /var/log.
        (Facts(0, 104, 0o40775), Facts(104, 4, 0o100640), True, ""),
        (Facts(0, 104, 0o40775), Facts(0, 0, 0o100644), False, ""),
        (Facts(0, 0, 0o41777), Facts(1000, 1000, 0o100600), False, "belongs to uid 1000"),
    ],
)
def test_as_distributions_have_them(directory: Facts, file: Facts, member: bool, reason: str) -> None:
    assert why_not_read(directory, file, member) == reason


def test_an_ordinary_user_goes_where_it_may(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    files.make_directory(str(shared / "deep"))
    shared.chmod(0o777)
    (tmp_path / "link").symlink_to("shared")
    files.replace_file(str(tmp_path / "link" / "x"), b"1")
    with files.open_to_read(str(tmp_path / "link" / "x")) as stream:
        assert stream.read() == b"1"
    descriptor = files.open_to_write(str(shared / "x"), append=True)
    os.write(descriptor, b"2")
    os.close(descriptor)
    assert (shared / "x").read_bytes() == b"12" and files.root_alone_writes(str(shared))
    files.require_own(str(shared))
    files.remove_file(str(shared / "x"))
    assert os.listdir(shared) == ["deep"]
    with pytest.raises(FileNotFoundError):
        files.open_to_read(str(tmp_path / "absent" / "x"))


def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    for use in (files.open_to_read, files.open_to_write):
        with pytest.raises(UntrustedPath, match="not a regular file"):
            use(str(tmp_path / "x"))


def test_what_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"old")

    def failing() -> Iterator[bytes]:
        yield b"new"
        raise KeyError

    with pytest.raises(KeyError):
        files.replace_file(str(tmp_path / "x"), failing())
    assert os.listdir(tmp_path) == ["x"] and (tmp_path / "x").read_bytes() == b"old"


def test_no_link_is_followed_in_a_tree(tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "top" / "link").symlink_to(tmp_path / "outside")
    top = files.open_directory(str(tmp_path / "top"))
    tree = Tree(top)
    for make in (False, True):
        with pytest.raises(UntrustedPath, match="link"), tree.directory(["link", "x"], make):
            pass
    with pytest.raises(FileExistsError):
        tree.create(top, "link")
    with tree.directory(["a", "b"], make=True) as parent:
        os.close(tree.create(parent, "x"))
    os.close(top)
    assert os.listdir(tmp_path / "outside") == [] and (tmp_path / "top" / "a" / "b" / "x").exists()
