# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real PostgreSQL servers for tests: installations, clusters, and sites (a cluster that Lifeboat protects)."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import psycopg2
from lifeboat.config import load as engine_config
from lifeboat.config.load import DirectoryOptions, StoreOptions

from .installations import Installation
from .processes import alive, descendants, free_port, run_program, until
from .stores import ROOT, kind_of
from .warm import Warm

LIBRARY = ROOT / ".build" / "lib"
#: The host command.
COMMAND = f'#!/bin/sh\nPYTHONPATH={LIBRARY} exec {sys.executable} -m lifeboat.run "$@"\n'


class Cluster:
    """A data directory and its server, reached by a socket in a directory with a short path."""

    def __init__(self, installation: Installation, data_dir: Path) -> None:
        self.installation = installation
        self.data_dir = Path(data_dir)
        self.log = self.data_dir.with_name(self.data_dir.name + ".log")
        self.port = free_port()
        self.socket_dir = Path(tempfile.mkdtemp(prefix="lb-", dir="/tmp"))

    @property
    def network(self) -> Dict[str, str]:
        """The settings for connections to this cluster: for its own configuration, or for ``restore --set``."""
        return {"port": str(self.port), "unix_socket_directories": str(self.socket_dir), "listen_addresses": ""}

    def initdb(self, *arguments: str) -> None:
        """A cluster with its own system identifier."""
        run_program(
            self.installation.program("initdb"), "-D", str(self.data_dir), "-U", "postgres", "-k", "-A", "trust",
            "--no-locale", "-E", "UTF8", "--no-sync", *arguments,
        )  # fmt: skip

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Add settings; the last of a name counts."""
        with open(self.data_dir / "postgresql.conf", "a", encoding="utf-8") as stream:
            for name, value in settings.items():
                stream.write(f"{name} = '" + str(value).replace("'", "''") + "'\n")

    def start(self, wait: bool = True) -> None:
        try:
            self.pg_ctl("start", "-l", str(self.log), "-w" if wait else "-W")
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.log.read_text(errors='replace')[-3000:]}") from None

    def stop(self, mode: str = "fast") -> None:
        if self.running:
            self.pg_ctl("stop", "-m", mode, "-w")

    def kill9(self) -> None:
        """Kill the postmaster and all its descendants, including commands, as a power failure would."""
        postmaster = self.postmaster
        assert postmaster is not None, f"no server in {self.data_dir}"
        os.kill(postmaster, signal.SIGSTOP)
        pids = [*descendants(postmaster), postmaster]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in pids), "the killed server's end")
        # For who asks by kill(2) a zombie runs; init may be slow to reap it.
        deadline = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
        # A zombie that init is slow to reap would hold it against a server that follows at once.
        (self.socket_dir / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)

    def pg_ctl(self, command: str, *arguments: str) -> str:
        return run_program(self.installation.program("pg_ctl"), command, "-s", "-D", str(self.data_dir), *arguments)

    @property
    def postmaster(self) -> Optional[int]:
        """The server's process ID, if it is running."""
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if alive(pid) else None

    @property
    def running(self) -> bool:
        return self.postmaster is not None

    def connect(self, dbname: str = "postgres") -> Any:
        """An autocommit connection; close it."""
        connection = psycopg2.connect(
            host=str(self.socket_dir), port=self.port, user="postgres", dbname=dbname, connect_timeout=10
        )
        connection.autocommit = True
        return connection

    def rows(self, sql: str, *parameters: Any, dbname: str = "postgres") -> List[Tuple[Any, ...]]:
        """Run one statement (or several without parameters); the last one's rows."""
        with contextlib.closing(self.connect(dbname)) as connection, connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return list(cursor.fetchall()) if cursor.description else []

    def execute(self, *statements: str, dbname: str = "postgres") -> None:
        """Run each statement in its own transaction."""
        with contextlib.closing(self.connect(dbname)) as connection, connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)

    def value(self, sql: str, *parameters: Any, dbname: str = "postgres") -> Any:
        """The first column of the first row."""
        return self.rows(sql, *parameters, dbname=dbname)[0][0]

    def switch_wal(self) -> str:
        """End the current segment and wait until it is archived; return its name."""
        self.execute("CREATE TABLE IF NOT EXISTS nothing ()")
        # First, as at a boundary versions before 17 give the name of the segment that ends there.
        self.execute("SELECT pg_logical_emit_message(false, 'lifeboat', '')")
        name = str(self.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
        self.execute("SELECT pg_switch_wal()")
        self.wait_archived(name)
        return name

    def wait_archived(self, name: str) -> None:
        """Wait until the archiver reports this segment (or a later one on its timeline) as archived."""

        def archived() -> bool:
            last = str(self.value("SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver"))
            return last[:8] == name[:8] and len(last) >= 24 and last[:24] >= name

        until(archived, f"{name} to be archived", lambda: self.log.read_text(errors="replace")[-3000:])

    @property
    def system_identifier(self) -> str:
        out = run_program(self.installation.program("pg_controldata"), "-D", str(self.data_dir))
        return next(line.split()[-1] for line in out.splitlines() if "system identifier" in line)

    def close(self) -> None:
        """Stop the server and forget the sockets."""
        with contextlib.suppress(AssertionError):
            self.stop("immediate")
        shutil.rmtree(self.socket_dir, ignore_errors=True)


class Templates:
    """One ``initdb`` for each installation and segment size; clusters are copies, so they share a system identifier.

    With ``warm`` the host command of sites starts at once.
    """

    def __init__(self, root: Path, warm: Optional[Warm] = None) -> None:
        self._root, self.warm = root, warm

    def copy(self, cluster: Cluster, segment_mb: int = 16) -> None:
        template = Cluster(cluster.installation, self._root / f"{cluster.installation.major}-{segment_mb}")
        if not template.data_dir.exists():
            template.initdb(f"--wal-segsize={segment_mb}")
        template.close()
        run_program("cp", "-a", "--reflink=auto", str(template.data_dir), str(cluster.data_dir))


@dataclass(frozen=True)
class Ran:
    """The result of a ``lifeboat`` command."""

    status: int
    stdout: str
    stderr: str

    @property
    def data(self) -> Any:
        """The output of a command run with ``--json``."""
        return json.loads(self.stdout)

    @property
    def error(self) -> Dict[str, Any]:
        """The error of a command run with ``--json``: ``error_code``, ``message``, ``hint``, ``details``."""
        return dict(json.loads(self.stderr.strip().splitlines()[-1])["error"])


@dataclass
class Site:
    """A cluster that Lifeboat protects: its configuration file, its host command, and clones of it.

    ``repositories`` are the entries of the configuration; ``options`` every other key of it.
    """

    root: Path
    cluster: Cluster
    repositories: List[Dict[str, Any]]
    options: Dict[str, Any] = field(default_factory=dict)
    clones: List[Cluster] = field(default_factory=list)
    warm: Optional[Warm] = None

    @property
    def config_file(self) -> Path:
        return self.root / "lifeboat.yml"

    @property
    def command(self) -> Path:
        return self.root / "lifeboat"

    @property
    def quick(self) -> Path:
        """The host command, for tests that only wait for it: with ``warm`` it starts at once."""
        return self.root / "lifeboat-quick" if self.warm else self.command

    @property
    def data_dir(self) -> str:
        return str(self.cluster.data_dir)

    @property
    def repository_dir(self) -> Path:
        """The directory of the cluster's keys in the first repository (a directory)."""
        return Path(self.repositories[0]["path"]) / "main"

    @property
    def archive_command(self) -> str:
        return f'"{self.quick}" --config "{self.config_file}" wal-push "%p"'

    def write(self, config_file: Optional[Path] = None, **changes: Any) -> Path:
        """Write the host command and the configuration (JSON is YAML); ``changes`` replace keys, None drops one."""
        self.command.write_text(COMMAND)
        if self.warm:
            self.quick.write_text(self.warm.script(self.command))
        for command in (self.command, self.quick):
            command.chmod(0o755)
        settings = {
            "cluster": "main",
            "data_dir": self.data_dir,
            "bin_dir": self.cluster.installation.bin_dir,
            "command": str(self.quick),
            "connection": {"host": str(self.cluster.socket_dir), "port": self.cluster.port, "user": "postgres"},
            "backup": {"wal_timeout": 120},
            "repositories": self.repositories,
            **self.options,
            **changes,
        }
        path = config_file or self.config_file
        path.write_text(json.dumps({k: v for k, v in settings.items() if v is not None}, indent=2))
        path.chmod(0o600)
        return path

    @property
    def config(self) -> engine_config.Config:
        """The configuration as the engine reads it."""
        return engine_config.load(str(self.config_file))

    def protect(self, **settings: Any) -> None:
        """Make the (stopped) cluster archive with this configuration."""
        self.write()
        self.cluster.configure(
            {
                "fsync": "off",
                "autovacuum": "off",
                "shared_buffers": "16MB",
                "max_connections": "20",
                "log_line_prefix": "%m [%p] ",
                **self.cluster.network,
                "archive_mode": "on",
                "archive_command": self.archive_command,
                **settings,
            }
        )

    def lifeboat(
        self,
        *arguments: str,
        status: Optional[int] = 0,
        config_file: Optional[Path] = None,
        env: Optional[Mapping[str, str]] = None,
        cwd: Optional[Path] = None,
    ) -> Ran:
        """Run the host command with ``--json``; ``status`` None accepts any exit status."""
        done = subprocess.run(
            [self.quick, "--config", config_file or self.config_file, "--json", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env={**os.environ, **(env or {})},
            cwd=cwd,
        )  # fmt: skip
        ran = Ran(done.returncode, done.stdout, done.stderr)
        assert status is None or ran.status == status, f"lifeboat {arguments} ended with {ran}"
        return ran

    def backup(self, *arguments: str) -> Dict[str, Any]:
        """Make a backup; return its manifest."""
        return dict(self.lifeboat("backup", *arguments).data["backup"])

    def clone(self, name: str) -> Cluster:
        """A place for a restored cluster: a data directory that does not exist yet, a port and a socket directory."""
        cluster = Cluster(self.cluster.installation, self.root / name)
        self.clones.append(cluster)
        return cluster

    def close(self) -> None:
        for cluster in (*self.clones, self.cluster):
            cluster.close()


class Sites:
    """Makes sites below one directory, and stops all their servers."""

    def __init__(self, templates: Templates, root: Path) -> None:
        self._templates, self._root = templates, root
        self._made: List[Site] = []

    def __call__(
        self,
        installation: Installation,
        *stores: StoreOptions,
        name: str = "site",
        segment_mb: int = 16,
        options: Optional[Mapping[str, Any]] = None,
        fresh: bool = False,
        start: bool = True,
        **settings: Any,
    ) -> Site:
        """A running, archiving cluster with these repositories (by default one directory).

        ``fresh`` runs a real initdb: the cluster gets its own system identifier. ``settings`` are the server's.
        """
        root = self._root / f"{name}-{len(self._made)}"
        root.mkdir(parents=True)
        cluster = Cluster(installation, root / "data")
        if fresh:
            cluster.initdb(f"--wal-segsize={segment_mb}")
        else:
            self._templates.copy(cluster, segment_mb)
        site = Site(root, cluster, [entry(i, s) for i, s in enumerate(stores)], dict(options or {}))
        site.warm = self._templates.warm
        self._made.append(site)
        if not stores:
            (root / "repository").mkdir()
            site.repositories.append(entry(0, DirectoryOptions(str(root / "repository"))))
        site.protect(**settings)
        if start:
            cluster.start()
        return site

    def close(self) -> None:
        for site in self._made:
            site.close()


def entry(number: int, options: StoreOptions) -> Dict[str, Any]:
    """A repository, as in the configuration file."""
    values = {k: v for k, v in dataclasses.asdict(options).items() if v is not None}  # type: ignore[call-overload]
    return {"name": f"repo{number}", "type": kind_of(options), **values}


def require_ordinary_user() -> None:
    """Fail as root, which PostgreSQL refuses; a skip would silently hide all of these tests."""
    if os.geteuid() == 0:
        raise PermissionError("PostgreSQL does not run as root: run the tests by 'make test' or tools/unprivileged.")


@contextlib.contextmanager
def open_sites(templates: Templates, root: Path) -> Iterator[Sites]:
    """Makes sites in the existing directory ``root``, and removes it with them."""
    sites = Sites(templates, root)
    try:
        yield sites
    finally:
        sites.close()
        shutil.rmtree(root, ignore_errors=True)


def restore_arguments(clone: Cluster, *more: str, tablespaces: Sequence[Tuple[str, str]] = ()) -> List[str]:
    """The arguments of ``lifeboat restore`` for a clone with its own port and socket."""
    # A recovery that never ends is stopped and told, rather than left behind by pytest's own time-out.
    words = ["restore", "--timeout", "180", "--data-dir", str(clone.data_dir)]
    for name, value in clone.network.items():
        words += ["--set", f"{name}={value}"]
    for pair in tablespaces:
        old, new = (path.replace("=", "\\=") for path in pair)
        words += ["--tablespace", f"{old}={new}"]
    return [*words, *more]
