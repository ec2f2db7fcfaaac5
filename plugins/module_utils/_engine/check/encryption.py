# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the contents of a repository are encrypted, in transit and at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ..config.load import RepositoryConfig
from ..records.model import BackupManifest
from ..repository.layout import Layout
from ..store import at_rest as by_the_store


@dataclass(frozen=True)
class Encryption:
    """The state as text, and what is wrong with it (None: nothing)."""

    words: str
    wrong: Optional[str] = None


def in_transit(config: RepositoryConfig) -> Encryption:
    """How objects are transferred according to the configuration. Pure."""
    return Encryption(*config.store.transit())


def at_rest(config: RepositoryConfig, cluster: str, seals: bool, newest: Optional[BackupManifest]) -> Encryption:
    """How the newest backup is encrypted: by the store, as it reports for one object, and by sealing.

    Raises the errors of the store.
    """
    sealed = len(newest.recipients) if newest else 0
    said = [f"sealed to {sealed} recipients on the host"] if sealed else []
    wrong = None
    if seals and newest and not sealed:
        wrong = f"seal.recipients are set, but the newest backup, {newest.label}, is not sealed: make a new one now."
    layout = Layout(cluster)
    key = layout.backup(newest.label, newest.files[0].name) if newest else layout.repository
    found = by_the_store(config.store, key)
    said.append(found.words)
    if not sealed:
        said.append("not sealed")
    return Encryption("; ".join(said), found.wrong or wrong)
