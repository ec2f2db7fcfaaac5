# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``postgres`` could make root do with files in its own directories: audit trail, repository, logs."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest
from lifeboat.base.errors import LifeboatError, StoreError
from lifeboat.config.load import DirectoryOptions
from lifeboat.store import open_store
from support.principal import SECRET
from support.roothost import Host, owners, touched

# --- the audit trail ----------------------------------------------------------------------------------------------


def test_an_audit_file_that_is_a_link(host: Host, inner: Path) -> None:
    host.postgres.run(lambda: (host.spool / "audit.jsonl").symlink_to(inner / "job"))
    status, _answer, said = host.lifeboat("files", "backup")
    assert status == 0, said
    assert os.listdir(inner) == []


def test_an_audit_file_that_is_a_link_to_a_file_of_roots(host: Host, shadow: Path) -> None:
    shadow.write_text("")
    host.postgres.run(lambda: (host.spool / "audit.jsonl").symlink_to(shadow))
    assert host.lifeboat("files", "backup")[0] == 0
    assert shadow.read_text() == "" and shadow.stat().st_uid == 0 and shadow.stat().st_mode & 0o777 == 0o600


def test_both_users_have_a_file_and_either_verifies_both(host: Host) -> None:
    host.begin()
    assert host.lifeboat("files", "backup")[0] == 0

    def note() -> None:
        status, _answer, said = host.lifeboat("audit", "note", "configuration")
        assert status == 0, said

    def verify() -> None:
        status, answer, said = host.lifeboat("audit", "verify")
        assert status == 0, (answer, said)
        assert sorted(answer["events"].values()) == [1, 1, 2] and answer["unread"] == {}

    host.postgres.run(note)
    own, shared = host.place / "log" / "main.root.audit.jsonl", host.spool / "audit.jsonl"
    assert own.stat().st_uid == 0 and own.stat().st_gid == host.postgres.uid and own.stat().st_mode & 0o777 == 0o640
    assert shared.stat().st_uid == host.postgres.uid
    verify()
    host.postgres.run(verify)
    # A link where the shared file was is told, and not followed.
    host.postgres.run(lambda: shared.rename(host.spool / "elsewhere"))
    host.postgres.run(lambda: shared.symlink_to("elsewhere"))
    status, answer, _said = host.lifeboat("audit", "verify")
    assert status == 1 and answer["unread"][str(shared)]["error_code"] == "path_untrusted"


# --- a repository in a directory of somebody else's -----------------------------------------------------------------


def test_objects_stored_by_root_belong_to_the_owner(host: Host) -> None:
    assert host.lifeboat("files", "backup")[0] == 0
    assert set(owners(host.store).values()) == {host.postgres.uid}
    assert {path.stat().st_mode & 0o777 for path in host.store.rglob("*") if path.is_file()} == {0o640}


@pytest.mark.parametrize("where", [".tmp", "main"])
def test_a_directory_of_the_repository_that_is_a_link(host: Host, inner: Path, where: str) -> None:
    host.postgres.run(lambda: (host.store / where).symlink_to(inner))
    before = touched(inner)
    with contextlib.suppress(LifeboatError):
        host.lifeboat("files", "backup")
    # Not for a moment either: the directory never had another entry.
    assert owners(inner) == {} and touched(inner) == before


def test_an_object_that_is_a_link_or_another_name_is_not_read(host: Host, shadow: Path) -> None:
    store = open_store(DirectoryOptions(str(host.store)))
    store.put("main/x", b"1")
    host.postgres.run(lambda: (host.store / "main" / "link").symlink_to(shadow))
    os.link(shadow, host.store / "main" / "hard")
    host.postgres.run(lambda: os.mkfifo(host.store / "main" / "pipe"))
    for key in ("main/link", "main/hard", "main/pipe"):
        with pytest.raises(StoreError):
            store.get(key)
        with pytest.raises(StoreError):
            list(store.read(key))
    # One that was not finished being written has two names.
    os.link(host.store / "main" / "x", host.store / "main" / "y")
    assert store.get("main/x") == store.get("main/y") == b"1"


def test_nothing_outside_of_the_repository_is_removed(host: Host, inner: Path) -> None:
    (inner / "job").write_text("* * * * * root true\n")
    store = open_store(DirectoryOptions(str(host.store)))
    host.postgres.run(lambda: (host.store / "main").symlink_to(inner))
    [failure] = store.delete(["main/job"])
    assert "link" in failure.reason and (inner / "job").exists()


def test_a_repository_behind_a_link_of_somebody_elses(host: Host, inner: Path) -> None:
    host.postgres.run(lambda: (host.spool / "repo").symlink_to(inner))
    with pytest.raises(StoreError, match="link"):
        open_store(DirectoryOptions(str(host.spool / "repo"))).put("main/x", b"1")
    assert os.listdir(inner) == []


def test_a_name_in_tmp_that_is_exchanged(host: Host, shadow: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temporary name leads to a secret when the object gets its final name."""
    store = open_store(DirectoryOptions(str(host.store)))
    writer = store.writer("main/x")
    writer.write(b"1")

    def exchange() -> None:
        [temporary] = list((host.store / ".tmp").iterdir())
        temporary.unlink()
        temporary.symlink_to(shadow)

    host.postgres.run(exchange)
    writer.commit()
    assert shadow.stat().st_nlink == 1 and shadow.stat().st_uid == 0
    with pytest.raises(StoreError):
        store.get("main/x")


# --- logs -----------------------------------------------------------------------------------------------------------


def test_a_log_is_shipped(host: Host, theirs: Path) -> None:
    host.postgres.run(lambda: (theirs / "x.log").write_text("started\n"))
    assert "started" in host.ship(str(theirs / "*.log"))


@pytest.mark.parametrize("how", ["link", "directory", "hard link", "rotated"])
def test_a_log_that_leads_to_a_secret(host: Host, theirs: Path, shadow: Path, how: str) -> None:
    pattern = str(theirs / "*.log")
    if how == "link":
        host.postgres.run(lambda: (theirs / "x.log").symlink_to(shadow))
    elif how == "directory":
        shadow = shadow.rename(shadow.with_name("x.log"))
        host.postgres.run(lambda: (theirs / "app").symlink_to(shadow.parent))
        pattern = str(theirs / "*" / "x.log")
    elif how == "hard link":
        os.link(shadow, theirs / "x.log")
    else:
        host.postgres.run(lambda: (theirs / "x.log").write_text("first\n"))
        host.ship(pattern)

        def rotate() -> None:
            (theirs / "x.log").unlink()
            (theirs / "x.log.1").symlink_to(shadow)

        host.postgres.run(rotate)
        os.utime(shadow)
    said = host.ship(pattern)
    assert SECRET not in said
    if how != "rotated":
        assert "is not shipped" in said, "nobody is told"
