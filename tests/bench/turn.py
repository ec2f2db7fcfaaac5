# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One tool's turn with one cluster: full backup, archive, restore, incremental backup, restore of the chain."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from dataclasses import dataclass, replace
from typing import Callable, Optional, Sequence, Type

import clusters
from contest import Contest
from meter import Cost, Meter
from page import Failure, Figure
from support.postgres import Cluster
from tls_store import Traffic
from tool import Place, Tool

NOTHING = float("nan")


@dataclass(frozen=True)
class Cases:
    """What is measured in addition to the full backup and its restore; ``segments`` is 0 without WAL."""

    segments: int = 0
    incremental: bool = False


class Turn:
    """Each failure is reported, and ends only what depends on it."""

    def __init__(
        self, contest: Contest, meter: Meter, title: str, kind: Type[Tool], place: Place, cases: Cases, number: int
    ) -> None:
        self._contest, self._meter, self._title, self._kind = contest, meter, title, kind
        self._place, self._cases, self._number = place, cases, number
        self._cluster = place.cluster
        self._server = self._cluster.installation.major
        self._written = 0

    def run(self) -> None:
        try:
            tool = self._kind(self._place)
            self._measure(tool)
        finally:
            clusters.set_archive_command(self._cluster, "/bin/true")
            clusters.await_archived(self._cluster)
            shutil.rmtree(self._place.work, ignore_errors=True)

    def _measure(self, tool: Tool) -> None:
        self._data = clusters.size(self._cluster) / 1e6
        try:
            steps = (("repository", self._begin), ("full backup", self._full), ("archive", self._archive))
            if all(self._tried(operation, tool, case) for operation, case in steps):
                self._tried("restore", tool, self._restore, "restore, files", "restore until the server is open")
                self._chain(tool)
        finally:
            tool.rest()

    def _chain(self, tool: Tool) -> None:
        if not self._cases.incremental:
            return
        why = tool.no_incremental(self._server)
        if why:
            self._contest.fail(self._failure("incremental backup", tool, why))
        elif self._tried("incremental backup", tool, self._incremental):
            self._written = 0
            case = "restore of full and incremental"
            self._tried(case, tool, self._restore, f"{case}, files", f"{case} until the server is open")

    def _tried(self, operation: str, tool: Tool, case: Callable[..., None], *words: str) -> bool:
        try:
            case(tool, *words)
        except Exception as exc:
            self._contest.fail(self._failure(operation, tool, f"{type(exc).__name__}: {exc}"))
            return False
        return True

    def _failure(self, operation: str, tool: Tool, why: str) -> Failure:
        return Failure(self._title, operation, tool.name, self._server, " ".join(why.split()))

    def _keep(self, operation: str, tool: Tool, amount: float, unit: str, cost: Cost) -> None:
        self._contest.keep(Figure(self._title, operation, tool.name, self._server, self._number, amount, unit, cost))

    def _begin(self, tool: Tool) -> None:
        tool.prepare()
        tool.wake()
        clusters.set_archive_command(self._cluster, tool.archive_command)
        clusters.await_archived(self._cluster)
        self._cluster.execute("CHECKPOINT")

    def _full(self, tool: Tool) -> None:
        self._keep("full backup", tool, self._data, "MB", self._meter.command(tool.backup, tool.env))

    def _incremental(self, tool: Tool) -> None:
        clusters.change(self._cluster, self._number)
        tool.wake()
        clusters.set_archive_command(self._cluster, tool.archive_command)
        clusters.await_archived(self._cluster)
        cost = self._meter.command(tool.incremental, tool.env)
        self._keep("incremental backup after 5 % of the blocks changed", tool, self._data, "MB", cost)

    def _archive(self, tool: Tool) -> None:
        if not self._cases.segments:
            return
        clusters.set_archive_command(self._cluster, "")
        tool.rest()
        time.sleep(1)
        clusters.write_wal(self._cluster, min(self._cases.segments, tool.wal_segments or self._cases.segments))
        waiting = clusters.waiting(self._cluster)
        tool.wake()

        def archive() -> None:
            clusters.set_archive_command(self._cluster, tool.archive_command)
            clusters.await_archived(self._cluster)

        self._keep("archive", tool, waiting, "segments", self._meter.beside(archive, tool.programs))
        self._written = waiting
        self._cluster.execute("CHECKPOINT")

    def _restore(self, tool: Tool, files_words: str = "", open_words: str = "") -> None:
        # The last segment of what was backed up must be there.
        self._cluster.execute("SELECT pg_logical_emit_message(false, 'bench', '')", "SELECT pg_switch_wal()")
        clusters.await_archived(self._cluster)
        clusters.set_archive_command(self._cluster, "")
        tool.rest()
        clone = Cluster(self._cluster.installation, self._place.work / "restored")
        try:
            files = self._meter.command(tool.restore(clone), tool.env)
            split = self._split(clone, files) or self._recover(tool, clone, files)
            files, replay, whole = split
            self._keep(files_words, tool, self._data, "MB", files)
            if self._written:
                self._keep("replay with fetch", tool, self._written, "segments", replay)
                open_words += ", with that replay"
            self._keep(open_words, tool, self._data, "MB", whole)
        finally:
            clone.close()
            shutil.rmtree(clone.data_dir, ignore_errors=True)

    def _recover(self, tool: Tool, clone: Cluster, files: Cost) -> Sequence[Cost]:
        with open(clone.data_dir / "postgresql.auto.conf", "a", encoding="utf-8") as stream:
            for name, value in {**clone.network, "archive_mode": "off", **(tool.recovery(clone) or {})}.items():
                stream.write(f"{name} = '" + value.replace("'", "''") + "'\n")
        (clone.data_dir / "recovery.signal").touch()

        def recover() -> None:
            clone.start(wait=False)
            clusters.await_open(clone)

        replay = self._meter.beside(recover, tool.programs)
        return files, replay, files.plus(replay)

    @staticmethod
    def _split(clone: Cluster, whole: Cost) -> Optional[Sequence[Cost]]:
        """Files, replay and total of a restore that was one command, from its own timings; only the total has more."""
        with contextlib.suppress(FileNotFoundError):
            record = json.loads((clone.data_dir / "lifeboat_restore.json").read_text())
            timings = record["result"]["timings"]
            replay = timings["recover"] + timings["finish"]
            unknown = Cost(replay, NOTHING, NOTHING, NOTHING, Traffic(0, 0, 0))
            return replace(unknown, seconds=whole.seconds - replay), unknown, whole
        return None
