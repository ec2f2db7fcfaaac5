# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The scratch cluster: the plan of its restore, and a server that nobody else can reach."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Dict, Iterator, Optional, Tuple

from .. import restore
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres import server
from ..postgres.connection import local
from ..postgres.recovery import quote
from ..records.model import Target
from ..repository.catalog import load_catalog
from ..repository.repository import Repositories
from ..restore import PASSIVE, RestorePlan, RestoreRequest

LATEST = Target()

#: For a server that is queried and thrown away: not durable, no outgoing connections, no background jobs.
SETTINGS: Dict[str, Any] = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    "huge_pages": "off",
    "autovacuum": "off",
    # Workers of other extensions run jobs too.
    "max_worker_processes": "0",
    "max_wal_senders": "0",
    "primary_conninfo": "",
    "archive_mode": "off",
    **PASSIVE,
}


def scratch_plan(
    config: Config,
    place: str,
    label: Optional[str] = None,
    target: Target = LATEST,
    confirm_erasures: Optional[Tuple[str, ...]] = None,
) -> RestorePlan:
    """Plan the restore: each tablespace has its own directory; WAL comes only from the repository of the backup.

    ``confirm_erasures`` None: leave out unconfirmed erasures, because nobody keeps the data of the scratch cluster.
    """
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
        confirm_erasures=confirm_erasures or (),
        unconfirmed="leave_out" if confirm_erasures is None else "refuse",
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
    return {
        t.location: os.path.join(place, f"tablespace-{t.oid}") for b in backups for t in b.tablespaces if not t.in_place
    }


def scratch_config(config: Config, planned: RestorePlan) -> Config:
    """The configuration with a ``postgresql.conf`` for the scratch: only settings needed to start and to read."""
    needed = ("shared_preload_libraries", "max_prepared_transactions", "max_locks_per_transaction", "TimeZone")
    settings = planned.backup.requirements.get("settings") or {}
    path = os.path.join(os.path.dirname(planned.data_dir), "postgresql.conf")
    with open(path, "w", encoding="utf-8") as stream:
        stream.writelines(f"{name} = {quote(settings[name])}\n" for name in needed if settings.get(name))
    return replace(config, config_file=path)


@contextmanager
def scratch_server(config: Config, data_dir: str, log: str) -> Iterator[ConnectionConfig]:
    """Run the server during the block: on a private socket, without a port, with access for any role."""
    with server.private(data_dir) as private:
        settings = {**private, **{k: str(v) for k, v in {**SETTINGS, **config.verify.settings}.items()}}
        server.start(config.bin_dir, data_dir, config.config_file, settings, log, wait=True)
        try:
            where: Optional[Any] = server.endpoint(data_dir)
            yield local(config.connection, *(where or (private["unix_socket_directories"], config.connection.port)))
        finally:
            server.stop(config.bin_dir, data_dir, "immediate")
