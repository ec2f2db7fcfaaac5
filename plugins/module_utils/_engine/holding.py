# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold or release a backup in every repository."""

from __future__ import annotations

import getpass
import socket
from typing import List

from .audit.scope import audited
from .config import Config
from .errors import BackupMissing
from .repository.holds import set_hold
from .repository.repository import Repositories


def set_everywhere(config: Config, label: str, held: bool, reason: str, apply: bool = True) -> List[str]:
    """Hold or release a backup in every repository that has it; the names of those in which that changes something.

    It is noted that this user of this host did it. A repository that is not required may lack the backup. Raises the
    errors of :func:`.repository.holds.set_hold`.
    """
    with audited(config, "hold" if held else "release", [label], apply) as note:
        changed = _set(config, label, held, reason, apply)
        note.skip = not apply or not changed
        note.details.update(reason=reason, repositories=changed)
        return changed


def _set(config: Config, label: str, held: bool, reason: str, apply: bool) -> List[str]:
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    changed: List[str] = []
    missing: List[BackupMissing] = []
    repositories = Repositories.open(config)
    try:
        for repository in repositories.items:
            try:
                if set_hold(repository, label, held, reason, by, apply):
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
