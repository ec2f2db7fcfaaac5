# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The restore action ``standby``: a server that stays in recovery and follows the repository."""

from __future__ import annotations

import os
from typing import Any, Iterator, Mapping, Optional

from ..base.errors import ConfigError, StandbyRefused
from ..base.temporary import temporary_directory
from ..config.load import Config
from ..postgres.recovery import SETTINGS_FILE, with_settings
from ..postgres.server import setting_of
from ..wal.inventory import Run
from .request import RestorePlan, RestoreRequest


def require_possible(config: Config, request: RestoreRequest, settings: Mapping[str, Any]) -> None:
    """ConfigError or StandbyRefused if a standby is impossible; ``settings`` are the cluster's permanent ones."""
    if request.action != "standby":
        return
    if config.as_of:
        raise ConfigError(
            "action standby and as_of exclude each other: a standby follows the repository as it grows.",
            "Omit as_of, or choose another action.",
        )
    with temporary_directory("lifeboat-settings-") as scratch:
        for name, text in (("postgresql.conf", ""), (SETTINGS_FILE, with_settings("", settings))):
            with open(os.path.join(scratch, name), "w", encoding="utf-8") as stream:
                stream.write(text)
        require_not_always(config.bin_dir, scratch, config.config_file)


def require_not_always(bin_dir: Optional[str], data_dir: str, config_file: Optional[str]) -> None:
    """StandbyRefused if the server of this directory would have ``archive_mode = always``.

    Such a standby archives every segment that it restores, so it would archive an incomplete one as complete.
    """
    if setting_of(bin_dir, data_dir, config_file, "archive_mode", check=False) == "always":
        raise StandbyRefused(
            "archive_mode is always: this standby would archive incomplete segments.",
            "Set archive_mode to on (--set archive_mode=on, or settings): it then archives once it is promoted.",
            setting="archive_mode",
            value="always",
        )


def notes(request: RestoreRequest, found: Run) -> Iterator[str]:
    """Notes on the limits of the standby. Pure."""
    if request.action == "standby" and found.sealed:
        yield (
            "the WAL is sealed, and sealed clusters are not streamed: the standby gets complete segments only"
            " (archive_timeout bounds its lag), and needs the identity on this host for as long as it follows"
        )


def reached_enough(planned: RestorePlan, lsn: int, timeline: int) -> bool:
    """Whether a standby at ``lsn`` has replayed all WAL of the plan; a newer timeline may fork before that. Pure."""
    if timeline > planned.path.timeline:
        return lsn >= planned.backup.stop_lsn
    # Without a record in the last segment, the archive ends within a record that is longer than a segment.
    whole = planned.run.segments[-1].start if planned.last_record is not None else 0
    records = [r + 1 for r in (planned.last_record, planned.pieces.last_record) if r is not None]
    return lsn >= max(planned.backup.stop_lsn, whole, *records)
