# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets of other users, handled by root: stored, pushed to git, and restored."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from lifeboat.fileset import extract as file_extract
from support.principal import SECRET
from support.roothost import Host, owners, touched

DETECTOR = str(Path(sys.executable).parent / "detect-secrets")


# --- file sets and git ----------------------------------------------------------------------------------------------


def test_the_members_of_a_set_are_kept_in_no_directory_of_somebody_elses(host: Host, inner: Path) -> None:
    host.data["file_sets"][0]["incremental"] = True
    host.postgres.run(lambda: (host.spool / "file_sets").symlink_to(inner))
    assert host.lifeboat("files", "backup")[0] == 0
    assert os.listdir(inner) == []


def with_git(host: Host) -> Path:
    remote = host.place / "remote.git"
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(remote)], check=True)
    host.data["git"] = {
        "remote": str(remote), "branch": "main", "prefix": "db1", "state_dir": str(host.place / "git"),
        "detector": DETECTOR,
    }  # fmt: skip
    return remote


def in_git(remote: Path) -> str:
    words: List[str] = ["git", "-C", str(remote), "log", "-p", "--all"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("how", ["file", "directory"])
def test_a_file_that_becomes_a_link_is_not_pushed(
    host: Host, theirs: Path, shadow: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """A race: it is exchanged between the check and the read."""
    remote = with_git(host)
    host.data["file_sets"][0]["paths"] = [str(theirs)]
    secret = shadow.with_name("app.toml")
    secret.write_text("pepper = 1\n")
    secret.chmod(0o600)

    def write() -> None:
        (theirs / "etc").mkdir()
        (theirs / "etc" / "app.toml").write_text("workers = 4\n")

    def exchange() -> None:
        if how == "file":
            (theirs / "etc" / "app.toml").unlink()
            (theirs / "etc" / "app.toml").symlink_to(secret)
        else:
            (theirs / "etc").rename(theirs / "aside")
            (theirs / "etc").symlink_to(secret.parent)

    host.postgres.run(write)
    seen, done = os.lstat, []
    status = os.stat

    def racing(path: Any, *given: Any, **where: Any) -> os.stat_result:
        follows = where.pop("follow_symlinks", True)
        info = status(path, *given, follow_symlinks=follows, **where)
        if not done and not follows and str(path).endswith("app.toml"):
            done.append(True)
            host.postgres.run(exchange)
        return info

    monkeypatch.setattr(os, "stat", racing)
    monkeypatch.setattr(os, "lstat", lambda path, **where: racing(path, follow_symlinks=False, **where))
    host.lifeboat("files", "backup")
    monkeypatch.setattr(os, "lstat", seen)
    assert done, "nothing was exchanged"
    assert "pepper" not in in_git(remote)


def test_a_commit_with_a_link_leads_nowhere(host: Host, inner: Path) -> None:
    """Somebody who may push to the remote places a link where this host's directory is."""
    remote = with_git(host)
    (inner / "web").mkdir()
    (inner / "web" / "job").write_text("keep")
    clone = host.place / "rival"
    subprocess.run(["git", "clone", "--quiet", str(remote), str(clone)], check=True, capture_output=True)
    (clone / "db1").symlink_to(inner)
    who = ["-c", "user.name=r", "-c", "user.email=r@example.org"]
    for words in (["add", "."], [*who, "commit", "--quiet", "-m", "x"], ["push", "--quiet", "origin", "HEAD:main"]):
        subprocess.run(["git", "-C", str(clone), *words], check=True, capture_output=True)
    status, answer, said = host.lifeboat("files", "backup")
    assert status == 0, said
    assert owners(inner) == {"web": 0, "web/job": 0}
    assert "site.conf" in in_git(remote), answer


# --- bringing file sets back ------------------------------------------------------------------------------------------


def of_somebody_else(host: Host, theirs: Path) -> None:
    """A set of files of all kinds owned by ``postgres``, and its copy."""

    def write() -> None:
        etc = theirs / "etc"
        etc.mkdir(mode=0o750)
        (etc / "job").write_text("* * * * * root true\n")
        (etc / "deep").mkdir()
        (etc / "deep" / "one").write_text("1")
        os.link(etc / "deep" / "one", etc / "deep" / "two")
        (etc / "link").symlink_to("job")
        os.setxattr(etc / "deep", "user.kept", b"yes")
        os.utime(etc / "deep", (1000, 1000))

    host.postgres.run(write)
    (theirs / "etc" / "roots").write_text("of root")
    (theirs / "etc" / "roots").chmod(0o600)
    os.utime(theirs / "etc", (2000, 2000))
    host.data["file_sets"][0]["paths"] = [str(theirs / "etc")]
    host.begin()
    assert host.lifeboat("files", "backup")[0] == 0


def looks(top: Path) -> Dict[str, Tuple[int, ...]]:
    found = {path: path.lstat() for path in [top, *top.rglob("*")] if ".before-" not in path.name}
    return {
        str(path.relative_to(top)): (info.st_mode, info.st_uid, info.st_gid, info.st_mtime_ns)
        for path, info in found.items()
    }


@pytest.mark.parametrize("lost", ["everything", "a file", "the kind", "the attributes"])
def test_a_set_of_somebody_elses_comes_back(host: Host, theirs: Path, lost: str) -> None:
    of_somebody_else(host, theirs)
    etc = theirs / "etc"
    before = looks(etc)
    if lost == "everything":
        shutil.rmtree(etc)
    elif lost == "a file":
        (etc / "deep" / "one").unlink()
        (etc / "roots").write_text("changed")
    elif lost == "the kind":
        shutil.rmtree(etc / "deep")
        (etc / "deep").symlink_to(host.place)
        (etc / "job").unlink()
        (etc / "job").mkdir()
    else:
        etc.chmod(0o700)
        (etc / "deep").chmod(0o700)
        os.removexattr(etc / "deep", "user.kept")
    status, answer, said = host.lifeboat("files", "restore", "web")
    assert status == 0, said
    assert looks(etc) == before, answer
    assert os.getxattr(etc / "deep", "user.kept") == b"yes" and (etc / "deep" / "two").read_text() == "1"
    assert (etc / "deep" / "one").samefile(etc / "deep" / "two")
    if lost == "a file":
        [kept] = [path for path in etc.iterdir() if path.name.startswith("roots.before-")]
        assert kept.read_text() == "changed"
    assert not list(host.place.rglob(".lifeboat-restore-*"))
    assert host.lifeboat("files", "restore", "web")[1]["changed"] is False


@pytest.mark.parametrize("when", ["before tar", "after tar"])
def test_a_directory_that_is_exchanged_during_a_restore(
    host: Host, theirs: Path, inner: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Files restored by root do not end up where a link of ``postgres`` leads."""
    app = theirs / "app"
    host.postgres.run(app.mkdir)
    of_somebody_else(host, app)
    shutil.rmtree(app / "etc" / "deep")
    (app / "etc" / "job").unlink()
    kept = touched(inner)
    feed, fed = file_extract._feed, []

    def exchange() -> None:
        app.rename(theirs / "aside")
        app.symlink_to(inner)

    def racing(program: Any, chunks: Any) -> None:
        # The first one compares.
        fed.append(program)
        if len(fed) == 2 and when == "before tar":
            host.postgres.run(exchange)
        feed(program, chunks)
        if len(fed) == 2 and when == "after tar":
            host.postgres.run(exchange)

    monkeypatch.setattr(file_extract, "_feed", racing)
    status, _answer, said = host.lifeboat("files", "restore", "web")
    assert len(fed) == 2 and os.listdir(inner) == [] and touched(inner) == kept
    assert status != 0 and "symbolic link" in said


def test_a_set_is_not_read_through_a_link_of_somebody_elses(host: Host, theirs: Path, inner: Path) -> None:
    (inner / "etc").mkdir()
    (inner / "etc" / "secret").write_text(SECRET)
    host.postgres.run(lambda: (theirs / "current").symlink_to(inner))
    host.data["file_sets"][0]["paths"] = [str(theirs / "current" / "etc")]
    status, _answer, said = host.lifeboat("files", "backup")
    assert status != 0 and "symbolic link" in said and not list(host.store.rglob("data.tar*"))


def test_a_directory_of_roots_own_stays_closed(host: Host, theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``postgres`` puts it in place of a directory of the set, to get the directory's owner and mode."""
    of_somebody_else(host, theirs)
    (theirs / "etc" / "deep").chmod(0o711)
    closed = theirs / "etc" / "closed"
    closed.mkdir(mode=0o700)
    feed, fed = file_extract._feed, []

    def exchange() -> None:
        (theirs / "etc" / "deep").rename(theirs / "etc" / "aside")
        closed.rename(theirs / "etc" / "deep")

    def racing(program: Any, chunks: Any) -> None:
        fed.append(program)
        if len(fed) == 2:
            host.postgres.run(exchange)
        feed(program, chunks)

    monkeypatch.setattr(file_extract, "_feed", racing)
    status, _answer, said = host.lifeboat("files", "restore", "web")
    assert status != 0 and "owner and mode of" in said
    found = (theirs / "etc" / "deep").stat()
    assert len(fed) == 2 and found.st_uid == 0 and found.st_mode & 0o777 == 0o700
