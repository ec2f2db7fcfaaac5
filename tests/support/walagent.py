# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL agents for tests: real processes, and the command that PostgreSQL calls."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Callable, List, Optional, Set

import zstandard
from lifeboat.config.load import S3Options, StoreOptions
from lifeboat.repository.repository import Repository
from lifeboat.wal.inventory import archived

from .faultproxy import FaultProxy
from .installations import Installation
from .postgres import Site, Sites
from .processes import until
from .stores import ROOT

CLIENT = ROOT / "roles" / "agent" / "files" / "lifeboat-wal-push"


def spool_of(site: Site) -> Path:
    return site.root / "spool"


def push_argv(site: Site, path: str) -> List[str]:
    """``lifeboat wal-push`` for one file of the data directory."""
    return [str(site.command), "--config", str(site.config_file), "wal-push", path]


def client_argv(site: Site, path: str, fallback: Optional[List[str]] = None) -> List[str]:
    """``lifeboat-wal-push`` for one file of the data directory; ``fallback`` runs if there is no agent."""
    return [str(CLIENT), str(spool_of(site)), path, *(push_argv(site, path) if fallback is None else fallback)]


def archive_by(site: Site, fallback: Optional[List[str]] = None) -> None:
    """Make the running server archive with it from now on."""
    command = " ".join(f'"{word}"' for word in client_argv(site, "%p", fallback))
    site.cluster.execute(f"ALTER SYSTEM SET archive_command = '{command}'", "SELECT pg_reload_conf()")


def ask(
    site: Site, name: str, fallback: Optional[List[str]] = None, cwd: Optional[Path] = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, as PostgreSQL does."""
    return subprocess.run(
        client_argv(site, f"pg_wal/{name}", fallback), cwd=cwd or site.cluster.data_dir, capture_output=True,
        text=True, check=False,
    )  # fmt: skip


class AgentProcess:
    """``lifeboat wal-agent`` for a site; the constructor returns when it has locked the spool.

    ``asked`` makes it work even if PostgreSQL has not called yet.
    """

    command = "wal-agent"

    def __init__(self, site: Site, asked: bool = True) -> None:
        self.log = site.root / f"agent-{len(list(site.root.glob('agent-*.log')))}.log"
        argv = [site.command, "--config", site.config_file, self.command]
        address = str(site.cluster.socket_dir / self.log.stem)
        # As systemd does it for a unit of Type=notify.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify, open(self.log, "wb") as log:
            notify.bind(address)
            self._process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, "NOTIFY_SOCKET": address}
            )
            notify.settimeout(60)
            assert notify.recv(100) == b"READY=1", self.words()
        # The next one may get the same name, when its site is a new one of the same cluster.
        os.unlink(address)
        if asked:
            (spool_of(site) / "push" / "asked").touch()

    @property
    def pid(self) -> int:
        return self._process.pid

    def words(self) -> str:
        return self.log.read_text(errors="replace")

    def kill9(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """Send SIGTERM; return its exit status."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)

    def wait(self) -> int:
        """Wait until it exits; its exit status."""
        return self._process.wait(timeout=60)

    def close(self) -> None:
        if self._process.poll() is None:
            self.kill9()


def ready(site: Site) -> List[str]:
    """The names of the files that PostgreSQL has not archived yet, in its order."""
    status = site.cluster.data_dir / "pg_wal" / "archive_status"
    names = (n[: -len(".ready")] for n in os.listdir(status) if n.endswith(".ready"))
    return sorted(names, key=lambda n: (not n.endswith(".history"), n))


def acknowledged(site: Site) -> List[str]:
    """The names of the files that the agent has acknowledged but PostgreSQL has not noticed yet."""
    push = spool_of(site) / "push"
    return sorted(p.name[: -len(".ok")] for p in push.glob("*.ok"))


MIB = 2**20
NOTHING = ["false"]
Agents = Callable[[Site], AgentProcess]


def quiet_site(sites: Sites, installation: Installation, *stores: StoreOptions) -> Site:
    site = sites(installation, *stores, segment_mb=1, start=False, archive_command="", archive_timeout=0)
    site.options.update(spool_dir=str(spool_of(site)), wal={"parallel": 3})
    site.write()
    site.cluster.start()
    return site


def proxied(options: S3Options, proxy: FaultProxy) -> S3Options:
    return replace(options, endpoint_url=proxy.endpoint_url, connect_timeout=1, read_timeout=3, max_attempts=1)


def write_segments(site: Site, count: int) -> List[str]:
    """Fill this many segments, or a few more; their names."""
    before = finished(site)
    for _ in range(count):
        site.cluster.execute("SELECT pg_logical_emit_message(true, 'lifeboat', '')", "SELECT pg_switch_wal()")
    return sorted(finished(site) - before)


def finished(site: Site) -> Set[str]:
    """The segments that PostgreSQL has marked as ready or done."""
    status = site.cluster.data_dir / "pg_wal" / "archive_status"
    return {path.stem for path in status.iterdir() if len(path.stem) == 24}


def stored(site: Site, options: StoreOptions, timeline: int = 1) -> List[str]:
    """The segments in a store."""
    repository = Repository.open(replace(site.config.repositories[0], store=options), "main")
    try:
        return sorted(s.name for s in archived(repository, site.cluster.system_identifier, [timeline], 0, MIB))
    finally:
        repository.store.close()


def content(site: Site, options: StoreOptions, name: str) -> bytes:
    repository = Repository.open(replace(site.config.repositories[0], store=options), "main")
    raw = repository.store.get(repository.layout.wal(site.cluster.system_identifier, name))
    return raw if name.endswith(".history") else zstandard.ZstdDecompressor().decompress(raw)


def on_disk(site: Site, name: str) -> Path:
    return site.cluster.data_dir / "pg_wal" / name


def all_archived(site: Site) -> None:
    until(lambda: not ready(site), "everything to be archived", lambda: site.cluster.log.read_text()[-3000:])
