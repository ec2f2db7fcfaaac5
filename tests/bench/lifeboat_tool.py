# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifeboat, as its host command is called."""

from __future__ import annotations

from typing import List, Mapping, Optional

from support.postgres import Cluster, Site, entry, restore_arguments
from support.walagent import AgentProcess, client_argv, spool_of
from tool import Place


class Lifeboat:
    """The engine of this checkout."""

    name = "Lifeboat"
    options = "defaults; WAL by lifeboat wal-agent and lifeboat-wal-push"
    programs = ("lifeboat",)
    wal_segments: Optional[int] = None
    newest_server = True

    def __init__(self, place: Place) -> None:
        place.work.mkdir(parents=True)
        self._site = Site(place.work, place.cluster, [entry(0, place.store.options(place.prefix))])
        self._site.options["spool_dir"] = str(spool_of(self._site))
        self._agent: Optional[AgentProcess] = None

    @staticmethod
    def missing() -> Optional[str]:
        """Why it cannot run here."""
        return None

    @staticmethod
    def version() -> str:
        from lifeboat.base.version import VERSION

        return VERSION

    def prepare(self) -> None:
        self._site.write()

    @property
    def env(self) -> Mapping[str, str]:
        return {}

    @property
    def archive_command(self) -> str:
        return " ".join(f'"{word}"' for word in client_argv(self._site, "%p"))

    @property
    def backup(self) -> List[str]:
        return self._lifeboat("backup")

    @property
    def incremental(self) -> List[str]:
        return self._lifeboat("backup", "--type", "incremental")

    @staticmethod
    def no_incremental(server: int) -> Optional[str]:
        return None if server >= 17 else f"PostgreSQL {server} makes none: they came with 17"

    def rest(self) -> None:
        if self._agent is not None:
            self._agent.stop()
            self._agent = None
            # The next one waits until the server asks, as it does where nothing was archived yet.
            (spool_of(self._site) / "push" / "asked").unlink(missing_ok=True)

    def wake(self) -> None:
        if self._agent is None:
            self._agent = AgentProcess(self._site, asked=False)

    def restore(self, clone: Cluster) -> List[str]:
        """Files and recovery in one command, because WAL is fetched while the files are unpacked."""
        return self._lifeboat("--json", *restore_arguments(clone, "--timeout", "3600"))

    def recovery(self, clone: Cluster) -> Optional[Mapping[str, str]]:
        return None

    def _lifeboat(self, *words: str) -> List[str]:
        return [str(self._site.command), "--config", str(self._site.config_file), "--quiet", *words]
