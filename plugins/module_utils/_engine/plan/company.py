# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan is written from: the hosts of the inventory as the role ``plan`` describes them, and the facts of their
clusters as ``gather`` reads them. Pure.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ..base.errors import ConfigError
from ..base.units import duration
from ..records.model import parse_time

# It becomes part of a file's name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", re.ASCII)


@dataclass(frozen=True)
class Company:
    """``clusters`` are of ``gather``. Each host has ``name``, ``address``, ``site``, ``clusters`` (as in
    lifeboat_clusters), ``jobs`` (by cluster, each with ``title``, ``when``, ``runs``, ``reason``), ``file_sets``,
    ``application`` and ``stream``.
    """

    title: str
    inventory: Tuple[str, ...]
    hosts: Tuple[Mapping[str, Any], ...]
    clusters: Tuple[Mapping[str, Any], ...]

    @property
    def flags(self) -> str:
        """What names the inventory to ``ansible-playbook``."""
        return "".join(f"-i {shlex.quote(source)} " for source in self.inventory)

    def hosts_of(self, cluster: str) -> List[Mapping[str, Any]]:
        """The hosts that have the cluster; that of the site that leads first."""
        found = [host for host in self.hosts if cluster in names_of(host)]
        leader = next((facts["leader"] for facts in self.clusters if facts["cluster"] == cluster), None)
        return sorted(found, key=lambda host: bool(leader) and host["site"] != leader)

    def primary(self, cluster: str) -> Mapping[str, Any]:
        """The host whose cluster it is."""
        return self.hosts_of(cluster)[0]

    def standby(self, cluster: str) -> Optional[Mapping[str, Any]]:
        """A host of another site that has the cluster too."""
        first, *others = self.hosts_of(cluster)
        return next((host for host in others if host["site"] and host["site"] != first["site"]), None)


def company(title: str, inventory: Sequence[str], hosts: Any, facts: Sequence[Mapping[str, Any]]) -> Company:
    """Each cluster once, in the order of the hosts; ConfigError where a cluster has no facts, or two have one name."""
    known: Dict[str, Mapping[str, Any]] = {}
    for found in facts:
        other = known.setdefault(str(found["cluster"]), found)
        if other is not found and not _locations(other) & _locations(found):
            raise ConfigError(
                f"Two clusters are called {found['cluster']}: they have no repository in common.",
                "Write a plan for each of them, into its own dr_plan_dir: -e lifeboat_hosts=HOSTS.",
            )
    wanted = [name for host in hosts for name in names_of(host)]
    odd = [name for name in wanted if not _NAME.match(name)]
    if odd:
        raise ConfigError(f"{odd[0]!r} is no name of a cluster.", "Correct it in lifeboat_clusters.")
    missing = [name for name in wanted if name not in known]
    if missing:
        raise ConfigError(
            f"There are no facts of cluster {missing[0]}.", "Get them with dr_plan_info, and pass all of them."
        )
    clusters = tuple(known[name] for name in dict.fromkeys(wanted))
    return Company(title, tuple(inventory), tuple(hosts), clusters)


def _locations(facts: Mapping[str, Any]) -> Set[str]:
    return {str(repository["location"]) for repository in facts["repositories"]}


def names_of(host: Mapping[str, Any]) -> List[str]:
    """The names of a host's clusters."""
    return [str(cluster["name"]) for cluster in host["clusters"]]


def own(host: Mapping[str, Any], cluster: str) -> Mapping[str, Any]:
    """The cluster as the host's variables describe it."""
    found: Mapping[str, Any] = next(c for c in host["clusters"] if c["name"] == cluster)
    return found


def read(facts: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The repositories that answered."""
    return [r for r in facts["repositories"] if not r["error"]]


def newest(facts: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    """The newest backup that can be restored from any repository."""
    found = [r["newest"] for r in read(facts) if r["newest"]]
    return max(found, key=lambda backup: str(backup["finished_at"]), default=None)


def drills(facts: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The newest drill of each scenario, from all repositories, the newest first."""
    found: Dict[str, Mapping[str, Any]] = {}
    for drill in (d for r in read(facts) for d in r["drills"]):
        known = found.get(drill["scenario"])
        if known is None or known["stored_at"] < drill["stored_at"]:
            found[drill["scenario"]] = drill
    return sorted(found.values(), key=lambda d: str(d["stored_at"]), reverse=True)


def rehearsed(facts: Mapping[str, Any], disaster: str) -> Optional[Mapping[str, Any]]:
    """The newest drill that rehearsed it: of that scenario, or of one that is named by several of them."""
    return next((d for d in drills(facts) if disaster in str(d["scenario"]).split("_")), None)


def test_of(facts: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    """The newest restore test."""
    found = [r["restore_test"] for r in read(facts) if r["restore_test"]]
    return max(found, key=lambda test: str(test["at"]), default=None)


def verified(facts: Mapping[str, Any]) -> List[Tuple[str, Optional[str]]]:
    """Of each repository that answered when it was last verified."""
    return [(str(r["name"]), r["verified_at"]) for r in read(facts)]


def day(text: Optional[str]) -> str:
    """``2026-11-22 14:01 UTC``, or ``never``."""
    return f"{parse_time(text):%Y-%m-%d %H:%M} UTC" if text else "never"


def span(value: Optional[float]) -> str:
    """:func:`~lifeboat.base.units.duration`, or ``not set``."""
    return "not set" if value is None else duration(value)
