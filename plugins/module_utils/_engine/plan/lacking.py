# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan does not protect, in sentences. Pure."""

from __future__ import annotations

from typing import Any, Iterator, List, Mapping, Tuple

from ..drill import DISASTERS
from .company import Company, newest, read, rehearsed, test_of

#: What no backup of a cluster ever has.
ALWAYS = (
    "Commits that had not reached a repository when the server was lost.",
    "Replication slots: a subscriber or standby that uses one is set up again.",
    "What else is on the hosts, beyond clusters and file sets, and what points to them: DNS, load balancers.",
    "The vault's password, identities of age and the stores' accounts: keep them elsewhere.",
)


def lacking(told: Company) -> Tuple[str, ...]:
    """By host, then by cluster, then what is never protected."""
    found: List[str] = []
    bare = sorted(str(host["name"]) for host in told.hosts if not host["clusters"])
    if bare:
        found.append(f"Hosts without lifeboat_clusters or lifeboat_repositories: {', '.join(bare)}. Nothing of them.")
    for host in told.hosts:
        found += _of_host(host)
    for facts in told.clusters:
        name = str(facts["cluster"])
        found += [f"Cluster {name}: {words}" for words in (*_of_data(facts), *_of_places(facts), *_of_proofs(facts))]
        found += [f"Cluster {name}: {words}" for words in _of_team(facts)]
        found += [f"Cluster {name}: {words}" for words in _of_server(told, name)]
    return (*found, *ALWAYS)


def _of_host(host: Mapping[str, Any]) -> Iterator[str]:
    if not host["clusters"]:
        return
    if not host["file_sets"]:
        yield f"Host {host['name']}: its files. It has no lifeboat_file_sets, so not even PostgreSQL's configuration."
    elif not host["application"]:
        yield f"Host {host['name']}: its application, if it has one. It has no lifeboat_application."


def _of_data(facts: Mapping[str, Any]) -> Iterator[str]:
    backup = newest(facts)
    if backup is None:
        yield "all of it. No repository has a backup that can be restored."
        return
    for repository in read(facts):
        if not repository["newest"]:
            yield f"repository {repository['name']} has no backup that can be restored."
        elif not repository["restorable"]:
            yield f"the latest moment from repository {repository['name']}: WAL is missing behind its newest backup."
    if not backup["sealed"]:
        yield "against readers: backups are not sealed, so whoever may read a repository can read the data."


def _of_places(facts: Mapping[str, Any]) -> Iterator[str]:
    every = facts["repositories"]
    for repository in every:
        if repository["error"]:
            yield f"repository {repository['name']} could not be read, and what it has is not known."
    if len(every) == 1:
        yield "against the loss of its only repository."
    elif len({(r["endpoint"], r["region"]) for r in every}) == 1:
        yield "against the loss of a region: all repositories are in the same one."
    if not any(r["lock"] for r in every):
        yield "against whoever has the keys of the repositories: no repository locks its objects."
    if not facts["signed"]:
        yield "against forged records: they are not signed."


def _of_proofs(facts: Mapping[str, Any]) -> Iterator[str]:
    promised = facts["objectives"]
    missing = [name.upper() for name in ("rto", "rpo") if promised[name] is None]
    if missing:
        yield f"it has no objective for {' and '.join(missing)} (lifeboat_objectives)."
    test = test_of(facts)
    if test is None:
        yield "no backup of it was ever restored for a test."
    elif not test["proven"]:
        yield "its newest restore test failed."
    if not any(r["verified_at"] for r in read(facts)):
        yield "what is stored was never verified."
    never = [name for name in DISASTERS if rehearsed(facts, name) is None]
    if never:
        yield f"never rehearsed: {', '.join(never)}."


def _of_team(facts: Mapping[str, Any]) -> Iterator[str]:
    if not facts["contacts"]:
        yield "nobody is named who could be called (lifeboat_incidents.contacts)."
        return
    if not facts["escalate"]:
        yield "nobody is told of an incident by itself (lifeboat_incidents.escalate)."
    without = [str(c["name"]) for c in facts["contacts"] if not c["phone"]]
    if without:
        yield f"no phone number is known of {', '.join(without)}."


def _of_server(told: Company, name: str) -> Iterator[str]:
    host = told.primary(name)
    if not host["stream"]:
        yield "commits since the last complete WAL segment: it is not streamed (lifeboat_wal.stream)."
    if told.standby(name) is None:
        yield "there is no standby: recovery takes as long as a restore."
    off = [str(job["title"]) for job in host["jobs"].get(name, ()) if not job["runs"]]
    if off:
        yield f"not scheduled: {', '.join(off)}."
