# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold or release a backup in every repository."""

from __future__ import annotations

import getpass
import socket
from typing import Callable, List

from ..audit.scope import audited
from ..base.errors import BackupMissing
from ..config.load import Config
from ..repository.holds import set_hold, would_change
from ..repository.repository import Repositories, Repository


def plan(config: Config, label: str, held: bool, reason: str) -> List[str]:
    """The names of the repositories that :func:`apply` would change. Raises the same errors, writes nothing."""
    return _each(config, lambda repository: would_change(repository, label, held, reason))


def apply(config: Config, label: str, held: bool, reason: str) -> List[str]:
    """Hold or release a backup in every repository that has it; the names of the repositories that were changed.

    The hold records this user and host. A repository that is not required may lack the backup. Raises the
    errors of :func:`.repository.holds.set_hold`.
    """
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    with audited(config, "hold" if held else "release", [label]) as note:
        changed = _each(config, lambda repository: set_hold(repository, label, held, reason, by))
        note.skip = not changed
        note.details.update(reason=reason, repositories=changed)
        return changed


def _each(config: Config, change: Callable[[Repository], bool]) -> List[str]:
    changed: List[str] = []
    missing: List[BackupMissing] = []
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                if change(repository):
                    changed.append(repository.name)
            except BackupMissing as exc:
                missing.append(exc)
                if repository.required:
                    raise
    finally:
        repositories.close()
    if len(missing) == len(repositories.items):
        raise missing[0]
    return changed
