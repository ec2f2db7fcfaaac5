# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that fetches WAL ahead of replay restores everything, whatever happens to the prefetcher."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from lifeboat.codec import zstd
from lifeboat.config.load import load
from lifeboat.postgres.controldata import read_control
from lifeboat.repository.repository import Repositories
from lifeboat.wal.keep import store_history
from lifeboat.wal.prefetch import Order, _Prefetcher
from seaweedfs import SeaweedFS
from support.choice import represented
from support.faultproxy import HANG, STATUS, Fault, FaultProxy
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import Copy, flip
from support.postgres import Cluster, Site, Templates, entry, open_sites, restore_arguments
from support.processes import until
from support.stores import s3_options_for

pytestmark = pytest.mark.integration
SEGMENTS = 40
MIB = 2**20
BOUND = 6


@dataclass
class Long:
    """A lost cluster with 40 segments of 1 MiB after its backup, in S3 and in a directory."""

    site: Site
    ledger: Ledger
    names: List[str]
    prefix: str

    def calls(self, clone: Cluster) -> List[str]:
        """The files for which the host command itself was called.

        Without the first ones: the prefetcher may still be starting when the server asks for them.
        """
        log = clone.data_dir.with_name(f"{clone.data_dir.name}.calls")
        called = log.read_text().split() if log.exists() else []
        return list(itertools.dropwhile(lambda name: name <= self.names[0], called))

    def configure(self, clone: Cluster, repositories: List[Dict[str, Any]], **restore: Any) -> Path:
        """A configuration whose host command records the files that it is called for."""
        command = clone.data_dir.with_name(f"{clone.data_dir.name}.command")
        look = 'for word; do case "$word" in --not*) called=1;; --*) ;; *) last=${name-}; name=$word;; esac; done'
        words = f'{look}\n[ -z "${{called-}}" ] || echo "$last" >>"{clone.data_dir}.calls"'
        # The prefetcher is a process of its own, which the restore knows by its number.
        which = f'case "$*" in *wal-prefetch*) exec "{self.site.command}" "$@";; esac'
        command.write_text(f'#!/bin/sh\n{words}\n{which}\nexec "{self.site.quick}" "$@"\n')
        command.chmod(0o755)
        path = clone.data_dir.with_name(f"{clone.data_dir.name}.yml")
        return self.site.write(
            path, command=str(command), repositories=repositories, restore={"prefetch": BOUND, **restore}
        )

    def restored(self, clone: Cluster) -> None:
        assert rows(clone) == expected(self.ledger.entries)
        assert left_behind(clone) == []
        clone.stop()


def left_behind(clone: Cluster) -> List[Path]:
    return list(clone.data_dir.parent.glob(".lifeboat-wal-*"))


@pytest.fixture(scope="module")
def long(
    a_postgres: Installation, templates: Templates, seaweedfs: SeaweedFS, bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Long]:  # fmt: skip
    with open_sites(templates, tmp_path_factory.mktemp("long")) as sites:
        prefix = "long"
        store = s3_options_for(seaweedfs, bucket, prefix)
        site = sites(a_postgres, store, segment_mb=1, track_commit_timestamp="on", max_wal_size="1GB")
        cluster, stash = site.cluster, site.root / "stash"
        stash.mkdir()
        (site.root / "directory").mkdir()
        directory = {"name": "directory", "type": "directory", "path": str(site.root / "directory")}
        both = site.write(site.root / "both.yml", repositories=[*site.repositories, directory])
        to_both = site.archive_command.replace(str(site.config_file), str(both))
        cluster.execute(f"ALTER SYSTEM SET archive_command = '{to_both}'", "SELECT pg_reload_conf()")
        ledger = Ledger(cluster)
        site.lifeboat("backup", config_file=both)
        cluster.switch_wal()
        cluster.execute(f'ALTER SYSTEM SET archive_command = \'cp "%p" "{stash}/%f"\'', "SELECT pg_reload_conf()")
        until(lambda: "cp" in cluster.value("SHOW archive_command"), "the new archive_command")
        for _ in range(SEGMENTS):
            ledger.write(1)
            name = cluster.switch_wal()
        cluster.stop()
        names = sorted(p.name for p in stash.iterdir() if len(p.name) == 24)
        assert names[-1] >= name
        repositories = Repositories.open(load(str(both)))
        for name in names:
            for repository in repositories.items:
                key = repository.layout.wal(cluster.system_identifier, name)
                if repository.store.head(key) is None:
                    repository.store.put(key, zstd.compress((stash / name).read_bytes()))
        repositories.close()
        yield Long(site, ledger, names, prefix)


@pytest.fixture
def through(long: Long, seaweedfs: SeaweedFS, bucket: str, fault_proxy: FaultProxy) -> List[Dict[str, Any]]:
    """The S3 repository, reached through the proxy."""
    options = s3_options_for(seaweedfs, bucket, long.prefix)
    return [{**entry(0, options), "endpoint_url": fault_proxy.endpoint_url, "max_attempts": 1}]


class Watch(threading.Thread):
    """Counts the WAL files in the prefetcher's directory beside a clone, as often as possible."""

    def __init__(self, clone: Cluster) -> None:
        super().__init__(daemon=True)
        self._clone, self._stop_now = clone, threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._stop_now.is_set():
            for directory in left_behind(self._clone):
                with contextlib.suppress(OSError):
                    names = [n.partition(".unfinished")[0] for n in os.listdir(directory)]
                    self.most = max(self.most, sum(len(n) == len("0" * 24) for n in names))
            time.sleep(0.001)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_now.set()
        self.join()


@contextlib.contextmanager
def begun(long: Long, clone: Cluster, config_file: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    words = [long.site.quick, "--config", config_file, "--json", *restore_arguments(clone, *more)]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def prefetcher(clone: Cluster) -> Optional[int]:
    """The process that serves the directory beside this clone."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = line.read_bytes().split(b"\0")
            if words[-3:-2] == [b"wal-prefetch"] and words[-2].startswith(str(clone.data_dir.parent).encode()):
                return int(line.parent.name)
    return None


def finished(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0, out
    return out


def test_forty_segments_come_ahead_of_replay_within_the_bound(
    long: Long, through: List[Dict[str, Any]], fault_proxy: FaultProxy
) -> None:
    clone = long.site.clone("ahead")
    config_file = long.configure(clone, through)
    with Watch(clone) as watch:
        long.site.lifeboat(*restore_arguments(clone), config_file=config_file)
    # Not a single file, and not even the end of WAL, cost a start of the host command.
    assert long.calls(clone) == []
    log = (clone.data_dir / "lifeboat_restore.log").read_text()
    assert [n for n in long.names if f'"{n}"' not in log] == []
    # The plan reads the last ones too, and replay asks for some twice.
    assert sum(fault_proxy.count("GET", n) for n in long.names) <= SEGMENTS * 3 // 2
    assert 1 < watch.most <= BOUND
    long.restored(clone)


class AtOnce(ThreadPoolExecutor):
    """Runs an action before it continues."""

    def submit(self, work: Any, /, *arguments: Any, **more: Any) -> Future[Any]:
        done: Future[Any] = Future()
        done.set_result(work(*arguments, **more))
        return done


def test_a_segment_that_replay_waits_for_is_kept_until_taken(copy: Copy, tmp_path: Path) -> None:
    """A history that is not part of the window arrives when the window is full, and is not used at once."""
    config, directory = load(str(copy.config_file)), tmp_path / "ahead"
    directory.mkdir()
    system = copy.segments[0].parents[2].name
    names = [path.name[:24] for path in copy.segments]
    repositories = Repositories.open(config)
    store_history(repositories.items[0], system, "00000002.history", b"1\t0/3000000\tno reason\n")
    serving = _Prefetcher(repositories, Order(system, MIB, tuple(names), 2), str(directory), AtOnce(1))
    for _ in range(4):
        serving.turn()
    assert sorted(os.listdir(directory)) == names[:2]
    for waited_for in ("00000002.history", names[6]):
        (directory / f"{waited_for}.77.want").touch()
        for _ in range(6):
            serving.turn()
        assert (directory / waited_for).exists(), waited_for
        # As the command does that waits.
        (directory / f"{waited_for}.77.seen").unlink()
        (directory / waited_for).unlink()
    for _ in range(4):
        serving.turn()
    assert sorted(os.listdir(directory)) == names[7:9]
    repositories.close()


def test_a_question_whose_file_was_taken_holds_no_room(copy: Copy, tmp_path: Path) -> None:
    """Twice as many commands as there are slots, each of which has sent its request and ended."""
    config, directory = load(str(copy.config_file)), tmp_path / "ahead"
    directory.mkdir()
    system = copy.segments[0].parents[2].name
    names = [path.name[:24] for path in copy.segments]
    repositories = Repositories.open(config)
    serving = _Prefetcher(repositories, Order(system, MIB, tuple(names), 2), str(directory), AtOnce(1))
    for number, name in enumerate(names[:6]):
        question = directory / f"{name}.{number}.want"
        question.touch()
        for _ in range(3):
            serving.turn()
        assert (directory / name).exists(), name
        question.with_suffix(".seen").unlink()
        (directory / name).unlink()
    repositories.close()


def test_a_killed_prefetcher_changes_nothing(
    long: Long, through: List[Dict[str, Any]], fault_proxy: FaultProxy
) -> None:
    clone = long.site.clone("killed")
    config_file = long.configure(clone, through)
    victim = long.names[-6]
    fault_proxy.inject(Fault(HANG, times=1, method="GET", target=victim))
    with begun(long, clone, config_file) as process:
        until(lambda: fault_proxy.unused == 0, "the prefetcher to hang")
        pid = prefetcher(clone)
        assert pid
        os.kill(pid, signal.SIGKILL)
        finished(process)
    calls = long.calls(clone)
    assert victim in calls
    assert set(long.names[-5:]) <= set(calls)
    long.restored(clone)


def test_a_damaged_segment_comes_from_the_next_repository(long: Long, tmp_path: Path) -> None:
    clone = long.site.clone("damaged")
    good = long.site.root / "directory"
    bad = tmp_path / "bad"
    subprocess.run(["cp", "-a", good, bad], check=True)
    (victim,) = bad.rglob(f"{long.names[20]}.zst")
    flip(victim)
    repositories = [{"name": n.name, "type": "directory", "path": str(n)} for n in (bad, good)]
    long.site.lifeboat(*restore_arguments(clone), config_file=long.configure(clone, repositories))
    assert long.calls(clone) == []
    long.restored(clone)


def test_a_store_that_goes_away_and_comes_back(
    long: Long, through: List[Dict[str, Any]], fault_proxy: FaultProxy
) -> None:
    clone = long.site.clone("away and back")
    victim = long.names[20]
    # Fetched ahead, fetched because the command waits, and the command's own first round.
    fault_proxy.inject(Fault(STATUS, times=3, method="GET", target=victim))
    long.site.lifeboat(*restore_arguments(clone), config_file=long.configure(clone, through))
    assert fault_proxy.unused == 0
    assert long.calls(clone) == [victim]
    long.restored(clone)


def test_a_store_that_stays_away_stops_recovery(
    long: Long, through: List[Dict[str, Any]], fault_proxy: FaultProxy
) -> None:
    clone = long.site.clone("away")
    config_file = long.configure(clone, through)
    fault_proxy.inject(Fault(STATUS, times=1000, method="GET", target=long.names[20]))
    error = long.site.lifeboat(*restore_arguments(clone), config_file=config_file, status=1).error
    assert error["error_code"] == "recovery_failed"
    assert long.names[20] in error["message"]
    assert read_control(clone.installation.bin_dir, str(clone.data_dir)).timeline == 1
    assert left_behind(clone) == []
    fault_proxy.clear()
    long.site.lifeboat(*restore_arguments(clone), config_file=config_file)
    long.restored(clone)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@represented(number=signal.SIGTERM)
def test_an_interrupted_command_stops_recovery_and_the_next_restore_completes_it(
    long: Long, through: List[Dict[str, Any]], fault_proxy: FaultProxy, number: int
) -> None:
    clone = long.site.clone(f"interrupted {number}")
    config_file = long.configure(clone, through)
    victim = long.names[20]
    fault_proxy.inject(Fault(HANG, times=1, method="GET", target=victim))
    with begun(long, clone, config_file) as process:
        shell = until(lambda: waiting_for(clone, victim), "the command to wait")
        os.kill(shell, number)
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 1, out
        assert "recovery_failed" in out
    assert read_control(clone.installation.bin_dir, str(clone.data_dir)).timeline == 1
    long.site.lifeboat(*restore_arguments(clone), config_file=config_file)
    long.restored(clone)


def waiting_for(clone: Cluster, name: str) -> Optional[int]:
    """The shell command of a restore_command for this file."""
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = line.read_text(errors="replace").split("\0")
            if words[0].endswith("sh") and name in words[2] and str(clone.data_dir.parent) in words[2]:
                return int(line.parent.name)
    return None


def test_a_restart_in_the_middle_continues_and_what_was_left_behind_is_swept(
    long: Long, through: List[Dict[str, Any]], fault_proxy: FaultProxy
) -> None:
    """Restore, prefetcher and server are killed; it is started again by hand, and later restores clean up."""
    clone = long.site.clone("restarted")
    config_file = long.configure(clone, through)
    # Nobody fetches ahead for a server that goes on alone: it shall not have far to go.
    target = long.ledger.entries[9]
    fault_proxy.inject(Fault(HANG, times=1, method="GET", target=long.names[6]))
    with begun(long, clone, config_file, "--xid", str(target.xid)) as process:
        until(lambda: waiting_for(clone, long.names[6]), "the command to wait")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert left_behind(clone)
    clone.kill9()
    # A zombie that init is slow to reap would look like a server that runs.
    (clone.data_dir / "postmaster.pid").unlink()
    clone.configure(clone.network)
    clone.start()
    until(lambda: not clone.value("SELECT pg_is_in_recovery()"), "the end of recovery", seconds=180)
    assert rows(clone) == expected(long.ledger.entries[:10])
    assert long.names[6] in long.calls(clone)
    clone.stop()
    again = long.site.clone("after it")
    long.site.lifeboat(*restore_arguments(again), config_file=long.configure(again, through))
    long.restored(again)
