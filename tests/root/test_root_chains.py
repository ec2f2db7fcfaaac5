# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``postgres`` could make root do by what it places in its own directories."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import yaml
from lifeboat.audit import localfile
from lifeboat.base.errors import LifeboatError, StoreError
from lifeboat.cli import main as cli
from lifeboat.codec import zstd
from lifeboat.config.load import DirectoryOptions, parse
from lifeboat.fileset import extract as file_extract
from lifeboat.repository.repository import Repositories
from lifeboat.store import open_store
from support.principal import SECRET, Principal

DETECTOR = str(Path(sys.executable).parent / "detect-secrets")


class Host:
    """A host whose spool and repository belong to ``postgres``."""

    def __init__(self, place: Path, postgres: Principal) -> None:
        self.place, self.postgres = place, postgres
        self.spool, self.store = self._theirs("spool"), self._theirs("store")
        self.web = place / "web"
        self.web.mkdir()
        (self.web / "site.conf").write_text("server { listen 80; }\n")
        self.data: Dict[str, Any] = {
            "cluster": "main",
            "spool_dir": str(self.spool),
            "repositories": [{"name": "disk", "type": "directory", "path": str(self.store)}],
            "file_sets": [{"name": "web", "paths": [str(self.web)], "allow_unsealed_secrets": True}],
            "logs": {"state_dir": str(place / "logs")},
            "audit": {"syslog": ""},
        }

    def _theirs(self, name: str) -> Path:
        path = self.place / name
        path.mkdir(mode=0o755)
        os.chown(path, self.postgres.uid, self.postgres.uid)
        return path

    def begin(self) -> None:
        """What the first archived segment does: before that the repository takes no events, and gives nothing back."""
        Repositories.open(parse(self.data)).items[0].adopt("7000000000000000001", accept_new=True)

    def configured(self) -> str:
        config = self.place / "main.yml"
        if os.geteuid() == 0:
            config.write_text(yaml.safe_dump(self.data))
        return str(config)

    def lifeboat(self, *words: str) -> Tuple[int, Any, str]:
        out, said = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            status = cli.main(["--config", self.configured(), "--json", *words])
        return status, json.loads(out.getvalue() or "null"), said.getvalue()

    def ship(self, pattern: str) -> str:
        """Ship these logs once; what the repository has then."""
        self.data["logs"]["sources"] = [{"stream": "app", "files": [pattern]}]
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            assert cli.main(["--config", self.configured(), "log-ship", "--once"]) == 0, said.getvalue()
        found = [path for path in self.store.rglob("*.jsonl.zst") if path.is_file()]
        return (
            "".join(zstd.decompress(path.read_bytes(), path.name, 1 << 20).decode() for path in found) + said.getvalue()
        )


@pytest.fixture
def host(place: Path, postgres: Principal, monkeypatch: pytest.MonkeyPatch) -> Host:
    (place / "log").mkdir()
    monkeypatch.setattr(localfile, "_LOG_DIR", str(place / "log"))
    return Host(place, postgres)


def touched(directory: Path) -> Tuple[int, int]:
    """Changes with every entry that comes or goes."""
    found = directory.stat()
    return found.st_mtime_ns, found.st_ctime_ns


def owners(top: Path) -> Dict[str, int]:
    return {str(path.relative_to(top)): path.lstat().st_uid for path in top.rglob("*")}


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


def test_what_root_stores_belongs_to_the_owner(host: Host) -> None:
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
    """The name of what was just written leads to a secret when the object gets its own."""
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
    """A race: it is exchanged between being looked at and being read."""
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
    """Whoever may push to the remote places a link where this host's directory is."""
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
    """A set of files that ``postgres`` owns, of all kinds, and its copy."""

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
    """What root brings back does not get to where a link of ``postgres`` leads."""
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
    """``postgres`` puts it where a directory of the set was, to be given its owner and mode."""
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
