# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a standby is behind the repository, as ``lifeboat check`` reports it."""

from __future__ import annotations

from typing import List, Optional

from ..base.errors import LifeboatError
from ..base.units import about
from ..base.wal_names import format_lsn
from ..config.load import Config
from ..restore import StandbyStatus, standby_status_of
from .answer import OK, WARNING, Check
from .server import ServerState


def of_standby(config: Config, state: ServerState) -> List[Check]:
    """No check for a primary; for a standby one query, and a listing of the WAL that it has not replayed."""
    if not (state.facts and state.facts.in_recovery):
        return []
    try:
        return [judge(standby_status_of(config), config.objectives.rpo)]
    except LifeboatError as exc:
        return [Check("standby", WARNING, f"Cannot determine its lag: {exc.message}", exc.hint)]


def judge(status: StandbyStatus, rpo: Optional[float]) -> Check:
    """Whether it replays all WAL of the repository in time. Pure."""
    at, lag = status.at, status.lag_seconds
    text = f"replayed to {format_lsn(at.lsn)} on timeline {at.timeline}"
    if status.lag_bytes:
        text += f", {status.lag_bytes / 1e6:.1f} MB behind repository {status.stored.repository}"
    # Some WAL that is not replayed yet, or exists only as pieces, is normal.
    wrong = status.faults
    if rpo is not None and lag > rpo:
        wrong = [*wrong, f"the oldest of it has been stored for {about(lag)}, longer than the RPO"]
    hint = "See lifeboat standby status, and docs/restore.md, As a standby." if wrong else ""
    return Check(
        "standby", WARNING if wrong else OK, "; ".join([text, *wrong]), hint, value=round(lag, 1), unit="s", limit=rpo
    )
