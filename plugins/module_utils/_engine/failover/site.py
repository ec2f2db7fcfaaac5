# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's host: where its data is, what it knows of timelines, and on which one it is."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Dict, Iterable, Mapping, Optional

from ..base.errors import ConfigError, DataDirectoryRefused
from ..base.files import open_to_read
from ..base.wal_names import history_name, is_history
from ..config.load import Config
from ..postgres.connection import session
from ..postgres.controldata import SHUT_DOWN, ControlData
from ..postgres.facts import replay_position
from ..postgres.server import serves
from ..postgres.timeline import TimelinePath, path_to


@dataclass(frozen=True)
class Place:
    """Where the server is: its path of timelines, and the LSN up to which its WAL is whole."""

    path: TimelinePath
    end: int
    in_recovery: bool

    @property
    def fork(self) -> Optional[int]:
        """The LSN where the server's timeline began; None for the first timeline."""
        return self.path.steps[-2].switch if len(self.path.steps) > 1 else None


def data_dir_of(config: Config) -> str:
    """The configured data directory."""
    if not config.data_dir:
        raise ConfigError("data_dir is not set.", "Run it on the server's host, with data_dir in the configuration.")
    return config.data_dir


def refuse_serving(data_dir: str) -> None:
    """DataDirectoryRefused if a server runs there: what it writes is not complete yet."""
    if serves(data_dir):
        raise DataDirectoryRefused(
            f"A server runs in {data_dir}: what it writes is not complete yet.",
            "Stop it (pg_ctl stop -m fast). Only an old primary has WAL that diverged.",
            data_dir=data_dir,
        )


def histories_in(wal_dir: str, names: Iterable[str]) -> Dict[int, str]:
    """The timeline histories among the files of this name in ``pg_wal``, by timeline."""
    found = {}
    for name in filter(is_history, names):
        with open_to_read(os.path.join(wal_dir, name)) as stream:
            found[int(name[:8], 16)] = stream.read().decode(errors="replace")
    return found


def place_of(config: Config, control: ControlData, data_dir: str, texts: Mapping[int, str]) -> Place:
    """Of a running server as it tells; of a stopped one as its control file does, which knows less."""
    recovering, timeline, end = control.state != SHUT_DOWN and control.min_recovery is not None, control.timeline, 0
    if serves(data_dir):
        with session(config.connection) as sql:
            recovering = bool(sql.value("SELECT pg_is_in_recovery()"))
            if recovering:
                at = replay_position(sql, control.segment_size)
                timeline, end = at.timeline, at.lsn
            else:
                timeline = int(str(sql.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))[:8], 16)
    elif recovering:
        timeline, end = max(timeline, control.min_recovery_timeline), control.min_recovery or 0
    path = path_to(timeline, texts)
    if timeline > 1 and len(path.steps) == 1:
        raise DataDirectoryRefused(
            f"{data_dir} has no {history_name(timeline)}: where its timeline {timeline} forked is not known.",
            "Bring the file from a repository (lifeboat wal-fetch), and run it again.",
            data_dir=data_dir,
        )
    place = Place(path, end, recovering)
    # A primary archives its own timeline itself: what is to be settled ends where that one forked.
    return place if recovering else replace(place, end=place.fork or 0)
