# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The five disasters, with the commands of this inventory for each cluster. Pure."""

from __future__ import annotations

import shlex
from typing import Any, Callable, List, Mapping

from .blocks import Block, Commands, Section, Words
from .company import Company, day, own, read, rehearsed, span

_WHEN = "2026-11-22 14:01:59+00"
_TITLES = {
    "corruption": "Corruption: pages are damaged",
    "server": "Server: the host or its disks are lost",
    "region": "Region: a site is lost, with its repository",
    "ransomware": "Ransomware: somebody has the keys or the host",
    "deletion": "Deletion: somebody removed or changed data",
}
_SIGNS = {
    "corruption": "PostgreSQL's log tells of checksum failures or unreadable pages, or pg_amcheck finds faults.",
    "server": "The host does not answer and will not come back, or its data directory is lost.",
    "region": "All hosts of a site are lost, and perhaps the repository there.",
    "ransomware": (
        "Files are encrypted, backups disappear, or credentials leaked. Revoke the writer's keys and cut the host off"
        " first. Rebuild on a clean host only, with new credentials."
    ),
    "deletion": "The server runs, and data is missing or wrong since a known statement or time.",
}


def disasters(told: Company) -> Section:
    """The chapter: what is common, then each disaster with the commands for each cluster."""
    first = Words(
        "Open an incident on a host of the cluster that still runs, so that people are told and everybody sees the same"
        " state; where none does, the playbooks open it. Then assess: that changes nothing. Each playbook shows what"
        " will be lost and how long it takes, and asks before it touches anything. If it fails, run the same command"
        " again: finished phases are skipped. Replace what is in CAPITALS."
    )
    begin: List[Block] = [first]
    for facts in told.clusters:
        name = str(facts["cluster"])
        host = told.primary(name)
        lines = (
            f"{_command(told, name)} incident open 'WHAT IS WRONG'",
            _assess(told, host),
        )
        begin.append(Commands(f"Cluster {name}", lines))
    parts = [_disaster(told, name, commands) for name, commands in _COMMANDS.items()]
    return Section("The five disasters", "disasters", tuple(begin), tuple(parts))


def _disaster(told: Company, name: str, commands: Callable[[Company, Mapping[str, Any]], List[Block]]) -> Section:
    blocks: List[Block] = [Words(_SIGNS[name])]
    for facts in told.clusters:
        line = _assess(told, told.primary(str(facts["cluster"])), name)
        blocks.append(Commands(f"Cluster {facts['cluster']}: the ways back, and what each loses", (line,)))
        blocks += commands(told, facts)
        drill = rehearsed(facts, name)
        if drill is None:
            blocks.append(Words(f"Cluster {facts['cluster']}: never rehearsed."))
            continue
        result = "passed" if drill["passed"] else "FAILED"
        words = f"Cluster {facts['cluster']}: rehearsed {day(drill['stored_at'])}, {result}"
        if drill["rto"] is not None:
            words += f", {span(drill['rto'])} to recover"
        blocks.append(Words(f"{words}."))
    return Section(_TITLES[name], f"disaster-{name}", tuple(blocks))


def _corruption(told: Company, facts: Mapping[str, Any]) -> List[Block]:
    name = str(facts["cluster"])
    host, lifeboat = told.primary(name), _command(told, str(facts["cluster"]))
    port = own(host, name).get("port", 5432)
    return [
        Commands(
            f"Cluster {name}, on {host['name']}: what is damaged, and whether the newest backup is sound",
            (
                f"sudo -u {_owner(told, name)} pg_amcheck --port {port} --all --heapallindexed",
                f"{lifeboat} verify --restore",
            ),
        ),
        Commands(
            f"Cluster {name}: one table beside the damaged one, or the whole cluster in place",
            (
                f"{lifeboat} table restore DATABASE SCHEMA.TABLE --latest",
                _play(told, "dr_restore", lifeboat_hosts=host["name"], dr_cluster=name),
            ),
        ),
    ]


def _server(told: Company, facts: Mapping[str, Any]) -> List[Block]:
    name = str(facts["cluster"])
    host, standby = told.primary(name), told.standby(name)
    found: List[Block] = []
    if standby:
        line = _play(told, "dr_failover", lifeboat_hosts=standby["name"], dr_old_host=host["address"])
        found.append(Commands(f"Cluster {name}: fail over to the standby {standby['name']}", (line,)))
    line = _play(told, "dr_rebuild", lifeboat_hosts="NEW_HOST", dr_old_host=host["address"])
    what = f"Cluster {name}: rebuild {host['name']} on an empty host that is in its group of the inventory"
    return [*found, Commands(what, (f"{line} --check", line))]


def _region(told: Company, facts: Mapping[str, Any]) -> List[Block]:
    name = str(facts["cluster"])
    host, standby = told.primary(name), told.standby(name)
    names = [str(r["name"]) for r in facts["repositories"]]
    if len(names) < 2:
        return [
            Words(
                f"Cluster {name} has one repository, {names[0]}. If the region is lost that holds it, the cluster is"
                " lost."
            )
        ]
    lost = "LOST_REPOSITORY"
    words = Words(f"Cluster {name} has the repositories {', '.join(names)}; name the lost one for {lost}.")
    if standby:
        line = _play(
            told,
            "dr_failover",
            lifeboat_hosts=standby["name"],
            dr_old_host=host["address"],
            lifeboat_lost_repositories=lost,
        )
        return [words, Commands(f"Cluster {name}: fail over to the standby {standby['name']}", (line,))]
    line = _play(
        told,
        "dr_rebuild",
        lifeboat_hosts="NEW_HOST",
        dr_old_host=host["address"],
        lifeboat_lost_repositories=lost,
    )
    return [words, Commands(f"Cluster {name}: rebuild in the other region", (line,))]


def _ransomware(told: Company, facts: Mapping[str, Any]) -> List[Block]:
    name = str(facts["cluster"])
    if not any(r["versions"] for r in facts["repositories"]):
        return [
            Words(
                f"Cluster {name}: no repository can be read as it was before an attack, because none has versions."
                " What was overwritten or removed there is lost; restore what is left on a clean host."
            ),
            Commands(
                f"Cluster {name}: on a clean host",
                (_play(told, "dr_rebuild", lifeboat_hosts="CLEAN_HOST", dr_fenced="yes"),),
            ),
        ]
    when = "2026-11-22T14:01:59Z"
    lines = (
        f"{_command(told, name)} --as-of {when} list",
        _play(told, "dr_rebuild", lifeboat_hosts="CLEAN_HOST", dr_as_of=when, dr_fenced="yes"),
    )
    return [
        Commands(
            f"Cluster {name}: the repositories as they were before the attack, and on a clean host from there", lines
        )
    ]


def _deletion(told: Company, facts: Mapping[str, Any]) -> List[Block]:
    name = str(facts["cluster"])
    host, lifeboat = told.primary(name), _command(told, name)
    found: List[Block] = [
        Commands(
            f"Cluster {name}, on {host['name']}: find the statement, and get the table back beside the live one",
            (
                f"{lifeboat} table search DATABASE SCHEMA.TABLE --from {shlex.quote(_WHEN)}",
                f"{lifeboat} table restore DATABASE SCHEMA.TABLE --time {shlex.quote(_WHEN)}",
            ),
        ),
        Commands(
            f"Cluster {name}: the whole cluster back to a moment; what is there now is kept under another name",
            (
                _play(told, "dr_restore", lifeboat_hosts=host["name"], dr_cluster=name, dr_target="time")
                + f" -e \"dr_target_value='{_WHEN}'\"",
            ),
        ),
    ]
    if any(r["dumps"] for r in read(facts)):
        line = _play(told, "dr_dump", lifeboat_hosts=host["name"], dr_cluster=name, dr_database="DATABASE")
        found.append(Commands(f"Cluster {name}: one database from its newest dump", (line,)))
    return found


_COMMANDS: Mapping[str, Callable[[Company, Mapping[str, Any]], List[Block]]] = {
    "corruption": _corruption,
    "server": _server,
    "region": _region,
    "ransomware": _ransomware,
    "deletion": _deletion,
}


def _assess(told: Company, host: Mapping[str, Any], disaster: str = "") -> str:
    """The command that shows the ways back and changes nothing, for a host that need not answer."""
    return _play(told, "dr", lifeboat_hosts=host["name"], dr_disaster=disaster)


def _play(told: Company, playbook: str, **variables: Any) -> str:
    """The command that runs a playbook of the collection."""
    given = "".join(f" -e {shlex.quote(f'{name}={value}')}" for name, value in variables.items() if value)
    return f"ansible-playbook {told.flags}lifeboat.postgres.{playbook}{given}"


def _command(told: Company, cluster: str) -> str:
    """The host command for this cluster, as it is typed on the host."""
    return f"sudo -u {_owner(told, cluster)} lifeboat --config {shlex.quote(f'/etc/lifeboat/{cluster}.yml')}"


def _owner(told: Company, cluster: str) -> str:
    return shlex.quote(str(own(told.primary(cluster), cluster).get("owner", "postgres")))
