# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch cluster: a place of its own, a server that nobody else reaches, and nothing left of either."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Dict, Iterator, Optional

from .. import restore
from ..config import Config, ConnectionConfig
from ..errors import ConfigError, LifeboatError
from ..model import Target
from ..postgres import server
from ..postgres.connection import local
from ..postgres.recovery import quote
from ..repository.catalog import load_catalog
from ..repository.repository import Repositories
from ..restore.request import RestorePlan, RestoreRequest

_PREFIX = "lifeboat-verify-"
LATEST = Target()

#: A server that is looked at and thrown away: it promises nothing, talks to nobody, and starts nothing by itself.
SETTINGS: Dict[str, Any] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "autovacuum": "off",
    # Workers of extensions run jobs, and those of subscriptions call their publisher.
    "max_worker_processes": "0",
    "max_logical_replication_workers": "0",
    "max_wal_senders": "0",
    "primary_conninfo": "",
    "archive_mode": "off",
    "cron.launch_active_jobs": "off",
}


@contextmanager
def scratch_place(config: Config) -> Iterator[str]:
    """A directory for the data and for tablespaces, removed at the end whatever happened.

    ConfigError where nobody said where, or where it cannot be made.
    """
    parent = config.verify.scratch_dir or (os.path.dirname(config.data_dir) if config.data_dir else None)
    if not parent:
        raise ConfigError(
            "There is no place for the scratch cluster.", "Set verify.scratch_dir to a directory with enough room."
        )
    try:
        place = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
    except OSError as exc:
        raise ConfigError(
            f"A scratch cluster cannot be put into {parent}: {exc.strerror}.",
            "Make the directory for the user who runs PostgreSQL, or set verify.scratch_dir to another one.",
            path=parent,
        ) from exc
    try:
        yield place
    finally:
        data = os.path.join(place, "data")
        with contextlib.suppress(LifeboatError):
            if server.is_running(config.bin_dir, data):
                server.stop(config.bin_dir, data, "immediate")
        shutil.rmtree(place, ignore_errors=True)


def scratch_plan(config: Config, place: str, label: Optional[str] = None, target: Target = LATEST) -> RestorePlan:
    """Each tablespace gets a directory of its own; WAL comes from the repository of the backup, and no other."""
    own = replace(config, config_file=os.path.join(place, "postgresql.conf"))
    with open(str(own.config_file), "w", encoding="utf-8"):
        pass
    asked = RestoreRequest(
        target=target,
        label=label,
        data_dir=os.path.join(place, "data"),
        archiving="off",
        leave="stopped",
        settings={**SETTINGS, **config.verify.settings},
        timeout=config.verify.timeout,
    )
    repositories = Repositories.open(config)
    try:
        spaces = _tablespaces(repositories, label, place)
    finally:
        repositories.close()
    planned = restore.plan(own, replace(asked, tablespaces=spaces))
    others = tuple(r.name for r in config.repositories if r.name != planned.source.name)
    return replace(planned, source=replace(planned.source, without=others))


def _tablespaces(repositories: Repositories, label: Optional[str], place: str) -> Dict[str, str]:
    catalog = load_catalog(repositories.readable())
    backups = [catalog.find(label)] if label else list(catalog.backups)
    return {t.location: os.path.join(place, f"tablespace-{t.oid}") for b in backups for t in b.tablespaces}


def scratch_config(config: Config, planned: RestorePlan) -> Config:
    """With a ``postgresql.conf`` for the scratch alone, of what its server cannot start or read without."""
    needed = ("shared_preload_libraries", "max_prepared_transactions", "max_locks_per_transaction", "TimeZone")
    settings = planned.backup.requirements.get("settings") or {}
    path = os.path.join(os.path.dirname(planned.data_dir), "postgresql.conf")
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"{name} = {quote(settings[name])}\n" for name in needed if settings.get(name))
    return replace(config, config_file=path)


def abandoned(config: Config) -> Iterator[str]:
    """Places that a killed test left in the same parent."""
    parent = config.verify.scratch_dir or (os.path.dirname(config.data_dir) if config.data_dir else None)
    with contextlib.suppress(OSError):
        for name in sorted(os.listdir(parent or "/nonexistent")):
            if name.startswith(_PREFIX):
                yield os.path.join(str(parent), name)


@contextmanager
def scratch_server(config: Config, data_dir: str, log: str) -> Iterator[ConnectionConfig]:
    """Run the server for as long as it is looked at: a private socket, no port, everybody who can open it may enter."""
    private = tempfile.mkdtemp(prefix="lifeboat-", dir="/tmp")
    hba = os.path.join(private, "pg_hba.conf")
    try:
        with open(hba, "w", encoding="utf-8") as stream:
            stream.write("local all all trust\n")
        settings = {"listen_addresses": "", "unix_socket_directories": private, "hba_file": hba}
        settings.update({name: str(value) for name, value in {**SETTINGS, **config.verify.settings}.items()})
        server.start(config.bin_dir, data_dir, config.config_file, settings, log, wait=True)
        try:
            where: Optional[Any] = server.endpoint(data_dir)
            yield local(config.connection, *(where or (private, config.connection.port)))
        finally:
            server.stop(config.bin_dir, data_dir, "immediate")
    finally:
        shutil.rmtree(private, ignore_errors=True)
