# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make an existing data directory a standby that follows the repository, without restoring it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, Optional

from ..base.errors import ConfigError, StandbyRefused
from ..base.wal_names import format_lsn
from ..config.load import Config
from ..postgres.controldata import ControlData, read_control
from ..postgres.recovery import (
    SETTINGS_FILE,
    STANDBY,
    restore_command,
    rewrite,
    set_signal,
    standby_settings,
    with_settings,
    without_recovery,
)
from ..postgres.timeline import TimelinePath, path_to
from ..repository.hasty import open_answering
from ..repository.histories import read_histories
from .places import refuse_running
from .standby import require_not_always
from .target import latest_timeline

_SHUT_DOWN = ("shut down", "shut down in recovery")


@dataclass(frozen=True)
class Follow:
    """A data directory that can follow the repository; ``changed`` is false if it already has the settings."""

    data_dir: str
    timeline: int
    newest_timeline: int
    changed: bool

    def as_dict(self) -> Dict[str, Any]:
        return {
            "changed": self.changed,
            "data_dir": self.data_dir,
            "timeline": self.timeline,
            "newest_timeline": self.newest_timeline,
        }


def refusal(control: ControlData, path: TimelinePath, running: bool) -> Optional[str]:
    """Why this server cannot follow the timelines of ``path``; None if it can. Pure.

    A server that was not shut down may have written pages whose WAL is after the fork, and nothing undoes them.
    """
    if not running and control.state not in _SHUT_DOWN:
        return f"it was not shut down cleanly (pg_controldata: {control.state})"
    here = max(filter(None, (control.checkpoint, control.min_recovery)), default=0)
    if all(step.timeline != control.timeline for step in path.steps):
        return f"it is on timeline {control.timeline}, which is not an ancestor of timeline {path.timeline}"
    fork = path.fork_of(control.timeline)
    # The checkpoint is the start of a record: one that begins at the fork is already past it.
    if fork is None or ((control.checkpoint or 0) < fork and (control.min_recovery or 0) <= fork):
        return None
    return (
        f"it continued to {format_lsn(here)} on timeline {control.timeline}, which the cluster left at"
        f" {format_lsn(fork)} for timeline {path.timeline}"
    )


def plan(config: Config, running: bool = False) -> Follow:
    """Check that :func:`apply` can make it a standby.

    ``running``: prepare a primary that is about to be stopped; it becomes a standby when it starts again.
    StandbyRefused for a server with data from after the fork, DataDirectoryRefused for one that runs unexpectedly.
    """
    if not config.data_dir or not config.source:
        raise ConfigError("The data directory is not configured.", "Set data_dir in the configuration file.")
    control = read_control(config.bin_dir, config.data_dir)
    following = _follows(config, config.data_dir)
    if not running and not following:
        refuse_running([config.data_dir], config.bin_dir)
    with open_answering(config) as repositories:
        repository = repositories.readable()
        repository.owns(control.system_identifier)
        told = read_histories(repository, control.system_identifier)
    path = path_to(latest_timeline({control.timeline}, told.texts, told.stored), told.texts)
    why = refusal(control, path, running or following)
    if why:
        raise StandbyRefused(
            f"The server in {config.data_dir} cannot follow the repository: {why}.",
            "Restore it: lifeboat restore --action standby --delta keeps unchanged files.",
            data_dir=config.data_dir,
        )
    require_not_always(config.bin_dir, config.data_dir, config.config_file)
    return Follow(config.data_dir, control.timeline, path.timeline, not following)


def apply(config: Config, planned: Follow) -> Follow:
    """Write the settings of a standby and ``standby.signal``. Neither starts nor stops the server."""
    if planned.changed:
        write_settings(config, planned.data_dir)
    return planned


def write_settings(config: Config, data_dir: str) -> None:
    """Let the server start as a standby that the repositories feed, and ``standby.primary_conninfo``."""
    rewrite(data_dir, _settings(config))
    set_signal(data_dir, STANDBY)


def _settings(config: Config) -> Dict[str, str]:
    command = restore_command(config.command, config.source or "", pieces=True, follow=True)
    return standby_settings(command, config.standby.primary_conninfo)


def _follows(config: Config, data_dir: str) -> bool:
    """Whether the directory already is a standby with this configuration."""
    if not os.path.exists(os.path.join(data_dir, STANDBY)):
        return False
    try:
        with open(os.path.join(data_dir, SETTINGS_FILE), encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return False
    return text == with_settings(without_recovery(text), _settings(config))
