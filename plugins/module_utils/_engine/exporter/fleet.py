# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters of a directory of configurations, and the data last read from each of their repositories.

Scrapes never wait for a store: the repositories are read in the background, and the data is kept.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ..audit.latest import last_pruned
from ..base import clock
from ..base.errors import ConfigError, LifeboatError
from ..base.version import VERSION
from ..config.load import Config, RepositoryConfig, load
from ..metrics import (
    Measured,
    Samples,
    Stored,
    measured_samples,
    objective_samples,
    read_stored,
    stored_samples,
)
from ..repository.repository import Repositories, Repository
from ..usage import RepositoryUsage, differences, measured

_MEASURED_EVERY = timedelta(hours=1)
# Clocks of a store and of this machine may differ.
_AGAIN = timedelta(minutes=15)


@dataclass(frozen=True)
class Reading:
    """One repository: the data last read, when, and the error of the last attempt, if it failed.

    ``measured`` may be up to an hour old, because measuring takes a listing of everything.
    """

    stored: Optional[Stored] = None
    read_at: Optional[datetime] = None
    error: Optional[LifeboatError] = None
    measured: Optional[Measured] = None

    @property
    def usage(self) -> Optional[RepositoryUsage]:
        """What it holds, and may hold."""
        return self.measured.usage if self.measured else None


@dataclass(frozen=True)
class Cluster:
    """A configuration, and the readings of its repositories."""

    path: str
    config: Config
    readings: Mapping[str, Reading] = field(default_factory=dict)

    @property
    def current(self) -> Mapping[str, Reading]:
        """The readings of the repositories that can be read now; all of them if none can.

        Only these show incidents: one that has been closed since stays open in the last reading of a lost repository.
        """
        return {name: r for name, r in self.readings.items() if r.error is None} or self.readings


@dataclass(frozen=True)
class Unusable:
    """A configuration that cannot be used, and why."""

    path: str
    error: LifeboatError


def configurations(directory: str) -> List[str]:
    """The files in a directory that end in ``.yml``, except those with the credentials of file sets; ConfigError."""
    try:
        names = sorted(os.listdir(directory))
    except OSError as exc:
        raise ConfigError(
            f"Cannot read {directory}: {exc.strerror}.",
            "Use --config-dir DIR, a directory with one configuration for each cluster.",
            path=directory,
        ) from exc
    return [os.path.join(directory, n) for n in names if n.endswith(".yml") and not n.endswith(".files.yml")]


class Fleet:
    """All clusters. Thread-safe: one thread refreshes, any number read."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._clusters: Dict[str, Cluster] = {}
        self._unusable: Tuple[Unusable, ...] = ()
        self._refreshed: Optional[datetime] = None
        self._compared: Dict[str, datetime] = {}

    def refresh(self) -> None:
        """Read every configuration and every repository again, one after the other."""
        unusable: List[Unusable] = []
        seen: Dict[str, str] = {}
        for path in configurations(self._directory):
            try:
                config = load(path)
                if config.cluster in seen.values():
                    raise ConfigError(
                        f"{path} is of cluster {config.cluster}, which another configuration has too.",
                        "Give each cluster its own name, or remove one of the files.",
                        path=path,
                    )
            except LifeboatError as exc:
                unusable.append(Unusable(path, exc))
                continue
            seen[path] = config.cluster
            self._read(path, config)
        with self._lock:
            self._clusters = {path: cluster for path, cluster in self._clusters.items() if path in seen}
            self._unusable, self._refreshed = tuple(unusable), clock.now()

    def _read(self, path: str, config: Config) -> None:
        repositories = Repositories.open(config)
        try:
            for entry, repository in zip(config.repositories, repositories.items):
                before = self._reading(path, entry.name)
                try:
                    found = replace(
                        before, stored=read_stored(config, entry, repository), read_at=clock.now(), error=None
                    )
                    if before.usage is None or clock.now() - before.usage.at >= _MEASURED_EVERY:
                        found = replace(found, measured=_measured(config, entry, repository, before.measured))
                except LifeboatError as exc:
                    found = replace(before, error=exc)
                self._keep(path, config, entry.name, found)
            self._compare(path, config, repositories.items)
        finally:
            repositories.close()

    def _compare(self, path: str, config: Config, repositories: Sequence[Repository]) -> None:
        """Hourly, what each repository lacks; while one of them cannot be read, what was known stays."""
        readings = {r.name: self._reading(path, r.name) for r in repositories}
        last = self._compared.get(path)
        if len(readings) < 2 or (last is not None and clock.now() - last < _MEASURED_EVERY):
            return
        with suppress(LifeboatError):
            for name, difference in differences(config.cluster, repositories).items():
                if found := readings[name].measured:
                    found = replace(found, difference=difference)
                    self._keep(path, config, name, replace(readings[name], measured=found))
            self._compared[path] = clock.now()

    def _reading(self, path: str, name: str) -> Reading:
        with self._lock:
            known = self._clusters.get(path)
            return known.readings.get(name, Reading()) if known else Reading()

    def _keep(self, path: str, config: Config, name: str, reading: Reading) -> None:
        with self._lock:
            known = self._clusters.get(path)
            names = {entry.name for entry in config.repositories}
            kept = {n: r for n, r in known.readings.items() if n in names} if known else {}
            self._clusters[path] = Cluster(path, config, {**kept, name: reading})

    def snapshot(self) -> Tuple[Tuple[Cluster, ...], Tuple[Unusable, ...], Optional[datetime]]:
        """The clusters by name, the configurations that cannot be used, and when the last refresh ended."""
        with self._lock:
            clusters = sorted(self._clusters.values(), key=lambda cluster: cluster.config.cluster)
            return tuple(clusters), self._unusable, self._refreshed

    def samples(self) -> List[Samples]:
        """The samples of all clusters; for an unavailable repository, those of the last time, with 0 for up."""
        clusters, unusable, refreshed = self.snapshot()
        program = Samples()
        program.add("build_info", 1, version=VERSION)
        program.add("exporter_refresh_timestamp_seconds", refreshed)
        program.add("exporter_unusable_configurations", len(unusable))
        out = [program]
        for cluster in clusters:
            out.append(objective_samples(cluster.config))
            for entry in cluster.config.repositories:
                reading = cluster.readings.get(entry.name)
                if reading is None:
                    continue
                up, stored = reading.error is None, reading.stored
                if stored and entry.name not in cluster.current:
                    stored = replace(stored, incidents={})
                out.append(stored_samples(cluster.config, entry, stored, reading.read_at, up))
                if reading.measured:
                    out.append(measured_samples(cluster.config, reading.measured))
        return out


def _measured(config: Config, entry: RepositoryConfig, repository: Repository, before: Optional[Measured]) -> Measured:
    """Of the audit trail only what is new is read. A difference from a repository that was removed is dropped."""
    since = before.usage.at - _AGAIN if before else None
    pruned = last_pruned(repository, since) or (before.pruned if before else None)
    difference = before.difference if before and len(config.repositories) > 1 else None
    return Measured(measured(entry, repository), difference, pruned)
