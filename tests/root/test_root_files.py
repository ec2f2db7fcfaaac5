# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Root in other users' directories: it reads only what their owner may read, and writes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lifeboat.backup.copying import Findings, copy_file
from lifeboat.backup.method import find_place
from lifeboat.base import files
from lifeboat.base.errors import UntrustedPath
from lifeboat.base.tree import Tree
from lifeboat.config.load import Config, DirectoryOptions
from lifeboat.dump import directory as staging
from lifeboat.provision import directory
from lifeboat.provision.directory import DirectoryRequest
from lifeboat.wal.spool import Spool, agent_lives
from support.principal import SECRET, Principal


class Told:
    """A session of a server that tells its data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def value(self, _sql: str) -> str:
        return str(self._data_dir)


def test_root_reads_no_backup_from_the_owners_data_directory(theirs: Path, postgres: Principal, shadow: Path) -> None:
    postgres.run(lambda: (theirs / "16400").symlink_to(shadow))
    config = Config("main", (), data_dir=str(theirs))
    with pytest.raises(UntrustedPath, match="root does not work there"):
        find_place(config, Told(theirs), False)  # type: ignore[arg-type]
    # Nor through a link, if it were there by mistake.
    taken: list[bytes] = []
    with pytest.raises(UntrustedPath):
        copy_file(str(theirs), "16400", "16400", taken.append, None, Findings())
    assert taken == []


def read(path: Path) -> str:
    with files.open_to_read(str(path)) as stream:
        return stream.read().decode()


def test_a_file_written_by_an_ordinary_user_is_read(theirs: Path, postgres: Principal) -> None:
    postgres.run(lambda: (theirs / "x.log").write_text("mine"))
    postgres.run(lambda: os.link(theirs / "x.log", theirs / "y.log"))
    assert read(theirs / "x.log") == "mine"


@pytest.mark.parametrize("how", ["link", "link in the way", "hard link", "only name left", "FIFO", "directory"])
def test_a_secret_of_roots_is_not_read(theirs: Path, postgres: Principal, shadow: Path, how: str) -> None:
    path = theirs / "x.log"
    if how == "link":
        postgres.run(lambda: path.symlink_to(shadow))
    elif how == "link in the way":
        postgres.run(lambda: path.symlink_to(shadow.parent))
        path = path / "shadow"
    elif how in ("hard link", "only name left"):
        # As the user's own link(2) does it where fs.protected_hardlinks is off.
        os.link(shadow, path)
        if how == "only name left":
            shadow.unlink()
    elif how == "FIFO":
        postgres.run(lambda: os.mkfifo(path))
    else:
        postgres.run(path.mkdir)
    with pytest.raises((UntrustedPath, IsADirectoryError)) as caught:
        read(path)
    assert SECRET not in str(caught.value)


def test_links_of_roots_own_are_followed(place: Path, theirs: Path, postgres: Principal) -> None:
    postgres.run(lambda: (theirs / "x.log").write_text("mine"))
    (place / "logs").symlink_to("theirs")
    (place / "log").symlink_to(place / "logs" / "x.log")
    assert read(place / "logs" / "x.log") == read(place / "log") == "mine"
    (place / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        read(place / "loop")


def test_a_group_that_writes_logs(place: Path, postgres: Principal, shadow: Path) -> None:
    """As Debian has /var/log/postgresql: root's, with PostgreSQL's group, sticky."""
    logs = place / "postgresql"
    logs.mkdir()
    os.chown(logs, 0, postgres.uid)
    logs.chmod(0o1775)
    postgres.run(lambda: (logs / "x.log").write_text("readable by all"))
    assert read(logs / "x.log") == "readable by all"
    (logs / "y.log").write_text("readable by the group")
    os.chown(logs / "y.log", 0, postgres.uid)
    (logs / "y.log").chmod(0o640)
    assert read(logs / "y.log") == "readable by the group"
    os.rename(shadow, logs / "z.log")
    with pytest.raises(UntrustedPath, match="uid 0"):
        read(logs / "z.log")


def test_root_writes_nothing_there(theirs: Path, postgres: Principal, inner: Path) -> None:
    postgres.run(lambda: (theirs / "linked").symlink_to(inner))
    for path in (theirs / "x", theirs / "linked" / "x"):
        with pytest.raises(UntrustedPath):
            files.open_to_write(str(path))
        with pytest.raises(UntrustedPath):
            files.replace_file(str(path), b"1")
        with pytest.raises(UntrustedPath):
            files.make_directory(str(path / "deep"))
    with pytest.raises(UntrustedPath):
        files.remove_file(str(theirs / "linked"))
    with pytest.raises(UntrustedPath):
        files.require_own(str(theirs))
    assert os.listdir(theirs) == ["linked"] and os.listdir(inner) == []


def test_root_writes_its_own(place: Path) -> None:
    files.make_directory(str(place / "a" / "b"))
    assert (place / "a" / "b").stat().st_mode & 0o777 == 0o700 and (place / "a").stat().st_mode & 0o777 == 0o755
    files.replace_file(str(place / "a" / "x"), b"1", sync=True)
    files.replace_file(str(place / "a" / "x"), [b"2", b"3"])
    os.close(files.open_to_write(str(place / "a" / "lock")))
    assert (place / "a" / "x").read_bytes() == b"23" and sorted(os.listdir(place / "a")) == ["b", "lock", "x"]
    files.require_own(str(place / "a"))


def test_another_directory_is_not_given_away(
    theirs: Path, postgres: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its creation and its opening, the tree's owner replaces it with root's own directory."""
    kept = theirs / "roots"
    kept.mkdir(mode=0o700)
    (kept / "secret").write_text("1")
    make = os.mkdir

    def rival(name: str, *given: int, **where: int) -> None:
        make(name, *given, **where)
        postgres.run(lambda: (theirs / name).rename(theirs / "aside"))
        postgres.run(lambda: kept.rename(theirs / name))

    monkeypatch.setattr(os, "mkdir", rival)
    top = files.open_directory(str(theirs))
    with Tree(top).directory(["new"], make=True):
        pass
    os.close(top)
    assert (theirs / "new").stat().st_uid == 0 and (theirs / "new" / "secret").exists()


def test_root_refuses_to_work_in_the_owners_directory(theirs: Path, postgres: Principal, inner: Path) -> None:
    with pytest.raises(UntrustedPath, match="users other than root"), Spool(str(theirs), "/data"):
        pass
    postgres.run(lambda: (theirs / "agent.lock").symlink_to(inner / "job"))
    assert not agent_lives(str(theirs))
    with pytest.raises(UntrustedPath), staging.place(str(theirs), 0):
        pass
    with staging.place(None, 0) as found:
        assert Path(found).stat().st_mode & 0o777 == 0o700
    assert os.listdir(inner) == []


def test_a_repository_is_not_made_where_others_write(theirs: Path, place: Path) -> None:
    with pytest.raises(UntrustedPath):
        directory.apply(DirectoryRequest(DirectoryOptions(str(theirs / "new")), create=True))
    assert os.listdir(theirs) == []
    # One that is there is tried as the store writes it; where root alone writes it is made.
    for path in (theirs, place / "new"):
        done = directory.apply(DirectoryRequest(DirectoryOptions(str(path)), create=True))
        assert done.features[0].state == "holds" and os.listdir(path) == []
