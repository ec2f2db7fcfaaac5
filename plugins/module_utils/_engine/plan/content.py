# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan as a document. Pure. It has no time but those of events, so that it changes only when a fact does."""

from __future__ import annotations

from typing import Any, Iterable, List, Mapping, Tuple

from ..base.units import size
from .blocks import BAD, PHONE, Block, Document, Items, Rows, Section, Words, joined
from .company import Company, day, drills, names_of, newest, own, read, span, test_of, verified
from .disasters import disasters
from .lacking import lacking

Facts = Mapping[str, Any]


def document(told: Company) -> Document:
    """All chapters, in the order in which somebody needs them."""
    clusters, hosts = len(told.clusters), [host for host in told.hosts if host["clusters"]]
    lead = (
        f"{clusters} {'cluster' if clusters == 1 else 'clusters'} of PostgreSQL on {len(hosts)}"
        f" {'host' if len(hosts) == 1 else 'hosts'}. Written from the inventory and the repositories: every figure"
        " is a measurement with its date, or says that there is none."
    )
    return Document(
        told.title,
        lead,
        (
            _people(told),
            disasters(told),
            _protected(told),
            _objectives(told),
            _schedule(told),
            _proofs(told),
            _incidents(told),
            Section("What is not protected", "lacking", (Items(lacking(told), warn=True),)),
            _by_hand(told),
        ),
    )


def _people(told: Company) -> Section:
    """Contacts and escalation; clusters that share them are told together."""
    groups: List[Tuple[List[str], Facts]] = []
    for facts in told.clusters:
        shared = next((names for names, other in groups if _same_people(facts, other)), None)
        if shared is None:
            groups.append(([str(facts["cluster"])], facts))
        else:
            shared.append(str(facts["cluster"]))
    parts = []
    for number, (names, facts) in enumerate(groups):
        people = tuple(
            (str(c["name"]), joined(c["roles"], "-"), str(c["phone"] or "-"), str(c["mail"] or "-"))
            for c in facts["contacts"]
        )
        blocks: List[Block] = [Rows(("name", "role", PHONE, "mail"), people)] if people else [Words("No contact.")]
        rungs = [
            (
                f"after {span(rung['after'])}" if rung["after"] else "at once",
                joined(rung["roles"]),
                _reached(facts, rung),
            )
            for rung in facts["ladder"]
        ]
        blocks.append(Rows(("while nobody acknowledges", "role", "who"), tuple(rungs)))
        who = "lifeboat incident-watch tells them" if facts["escalate"] else "Nothing tells them by itself: call them"
        blocks.append(Words(f"{who}. An update is due every {span(facts['update_interval'])}."))
        times = tuple((p, span(seconds)) for p, seconds in facts["priorities"].items())
        blocks.append(Rows(("priority", "recovery time objective"), times))
        blocks.append(Words(f"An incident has priority {facts['priority']} unless it is opened with another one."))
        parts.append(
            Section(
                f"Clusters {joined(names)}" if len(names) > 1 else f"Cluster {names[0]}",
                f"people-{number}",
                tuple(blocks),
            )
        )
    return Section("Whom to call, and when", "people", (), tuple(parts))


def _same_people(one: Facts, other: Facts) -> bool:
    keys = ("contacts", "ladder", "priority", "priorities", "update_interval", "escalate")
    return all(one[key] == other[key] for key in keys)


def _reached(facts: Facts, rung: Mapping[str, Any]) -> str:
    names = [str(c["name"]) for c in facts["contacts"] if set(c["roles"]) & set(rung["roles"])]
    return joined(names, f"{BAD}nobody")


def _protected(told: Company) -> Section:
    rows: List[Tuple[str, ...]] = []
    places: List[Tuple[str, ...]] = []
    for facts in told.clusters:
        name, backup = str(facts["cluster"]), newest(facts)
        hosts = told.hosts_of(name)
        roles = [_host_words(told, name, host) for host in hosts]
        version = str(backup["server_version"]) if backup else str(own(hosts[0], name).get("version", "-"))
        amount = size(backup["restored_bytes"]) if backup else "-"
        rows.append((name, joined(roles), version, amount, "yes" if backup and backup["sealed"] else "no"))
        places += [_place(name, r) for r in facts["repositories"]]
    files = [
        (str(host["name"]), str(s["name"]), str(s.get("kind", "config")), joined([str(p) for p in s["paths"]]))
        for host in told.hosts
        for s in host["file_sets"]
    ]
    blocks: List[Block] = [
        Rows(("cluster", "hosts", "PostgreSQL", "size", "sealed"), tuple(rows)),
        Rows(("cluster", "repository", "where", "required", "locked until", "newest backup"), tuple(places)),
    ]
    if files:
        blocks.append(Rows(("host", "file set", "kind", "paths"), tuple(files)))
    applications = [
        f"{h['application'].get('name', 'an application')} on {h['name']}" for h in told.hosts if h["application"]
    ]
    if applications:
        blocks.append(Words(f"Restored and checked with the database: {joined(applications)}."))
    return Section("What is protected, and where", "protected", tuple(blocks))


def _host_words(told: Company, cluster: str, host: Mapping[str, Any]) -> str:
    standby = told.standby(cluster)
    words = [str(host["address"])] if host["address"] != host["name"] else []
    words += [f"site {host['site']}"] if host["site"] else []
    words += ["standby"] if standby and standby["name"] == host["name"] else []
    return f"{host['name']} ({joined(words)})" if words else str(host["name"])


def _place(cluster: str, repository: Facts) -> Tuple[str, ...]:
    where = joined([str(repository["location"]), str(repository["region"] or ""), _endpoint(repository)])
    required = "yes" if repository["required"] else "no"
    if repository["error"]:
        return (cluster, str(repository["name"]), where, required, "-", f"{BAD}{repository['error']}")
    backup = repository["newest"]
    told = f"{backup['label']}, of {repository['backups']}" if backup else f"{BAD}none"
    if backup and not repository["restorable"]:
        told = f"{BAD}{backup['label']}, but WAL is missing behind it"
    return (cluster, str(repository["name"]), where, required, day(repository["locked_until"]), told)


def _endpoint(repository: Facts) -> str:
    return str(repository["endpoint"]) if repository["kind"] == "s3" and repository["endpoint"] != "AWS" else ""


def _objectives(told: Company) -> Section:
    head = ("what", "promised", "measured", "when, and by what")
    parts = [
        Section(f"Cluster {facts['cluster']}", f"objectives-{number}", (Rows(head, tuple(_figures(facts))),))
        for number, facts in enumerate(told.clusters)
    ]
    return Section("Objectives, and what was measured", "objectives", (), tuple(parts))


def _figures(facts: Facts) -> Iterable[Tuple[str, str, str, str]]:
    promised = facts["objectives"]
    rto, test = promised["rto"], test_of(facts)
    if test and test["seconds"] is not None:
        by = f"{day(test['seconds_at'])}, a restore test: the server is open, without people and application"
        yield ("time to recover (RTO)", span(rto), _against(test["seconds"], rto), by)
    for drill in drills(facts):
        by = f"{day(drill['stored_at'])}, drill {drill['scenario']}"
        if drill["rto"] is not None:
            yield ("time to recover (RTO)", span(rto), _against(drill["rto"], rto), by)
        if drill["rpo"] is not None:
            lost = drill["lost_transactions"]
            more = f", {lost} commits" if lost is not None else ""
            yield ("data lost (RPO)", span(promised["rpo"]), _against(drill["rpo"], promised["rpo"]) + more, by)
    if not (test and test["seconds"] is not None) and not any(d["rto"] is not None for d in drills(facts)):
        yield ("time to recover (RTO)", span(rto), f"{BAD}never measured", "a restore test or a drill measures it")
    if not any(d["rpo"] is not None for d in drills(facts)):
        yield ("data lost (RPO)", span(promised["rpo"]), f"{BAD}never measured", "a drill measures it")
    window = promised["window"]
    starts = [(str(r["window_start"]), str(r["name"])) for r in read(facts) if r["window_start"]]
    since = f"since {day(min(starts)[0])}, repository {min(starts)[1]}" if starts else f"{BAD}none"
    yield ("point-in-time window", "not set" if window is None else f"{window:g} days", since, "the repository")
    backup = newest(facts)
    yield (
        "newest backup",
        "not set" if promised["max_backup_age"] is None else f"younger than {span(promised['max_backup_age'])}",
        day(backup["finished_at"]) if backup else f"{BAD}none",
        str(backup["label"]) if backup else "-",
    )


def _against(value: float, promise: Any) -> str:
    late = promise is not None and value > promise
    return f"{BAD if late else ''}{span(value)}"


def _schedule(told: Company) -> Section:
    parts = []
    for number, facts in enumerate(told.clusters):
        name = str(facts["cluster"])
        rows = [
            (
                str(host["name"]),
                str(job["title"]),
                str(job["when"]) if job["runs"] else f"{BAD}off",
                str(job["reason"] or "-"),
            )
            for host in told.hosts_of(name)
            for job in host["jobs"].get(name, ())
        ]
        kept = facts["retention"]
        words = (
            f"Kept: full backups {kept['full_days']:g} days, at least the newest {kept['keep_last']}; WAL for a window"
            f" of {kept['wal_days']:g} days; dumps {kept['dump_days']:g} days; drills {kept['drill_days']:g} days."
        )
        more = [f"{kept[key]} {key}" for key in ("daily", "weekly", "monthly", "yearly") if kept[key]]
        blocks: List[Block] = [Rows(("host", "job", "when (UTC)", "why not"), tuple(rows))] if rows else []
        if not facts["removes"]:
            words, more = "Nothing is ever removed: lifeboat_retention is not set.", []
        blocks.append(Words(f"{words} Beyond that: {joined(more)}." if more else words))
        parts.append(Section(f"Cluster {name}", f"schedule-{number}", tuple(blocks)))
    return Section("Schedule and retention", "schedule", (), tuple(parts))


def _proofs(told: Company) -> Section:
    rows: List[Tuple[str, ...]] = []
    rehearsals: List[Tuple[str, ...]] = []
    for facts in told.clusters:
        name = str(facts["cluster"])
        damaged = {str(r["name"]): int(r["damaged"]) for r in read(facts)}
        for repository, at in verified(facts):
            found = f"{BAD}{damaged[repository]} objects damaged" if damaged[repository] else "intact" if at else "-"
            rows.append((name, f"verification of {repository}", day(at) if at else f"{BAD}never", found))
        test = test_of(facts)
        proven = "proven" if test and test["proven"] else f"{BAD}not proven" if test else "-"
        rows.append((name, "restore test", day(test["at"]) if test else f"{BAD}never", proven))
        rehearsals += [
            (
                name,
                str(d["scenario"]),
                day(d["stored_at"]),
                "passed" if d["passed"] else f"{BAD}failed",
                f"{d['checks_passed']} of {d['checks']}",
                str(d["label"]),
            )
            for d in drills(facts)
        ]
    blocks: List[Block] = [Rows(("cluster", "what", "when", "result"), tuple(rows))]
    if rehearsals:
        blocks.append(Rows(("cluster", "drill", "kept", "result", "checks", "evidence"), tuple(rehearsals)))
    else:
        blocks.append(Words("No drill was kept."))
    for facts in told.clusters:
        coming = facts["next_drill"]
        when = f"due {day(coming['due'])[:10]}" if coming["due"] else "due now"
        blocks.append(Words(f"Next drill of cluster {facts['cluster']}: {coming['scenario']}, {when}."))
    return Section("Last verifications, restore tests and drills", "proofs", tuple(blocks))


def _incidents(told: Company) -> Section:
    open_ones = tuple(
        (str(facts["cluster"]), str(i["incident"]), str(i["priority"]), day(i["began_at"]), str(i["title"]))
        for facts in told.clusters
        for i in facts["incidents"]
        if i["open"]
    )
    actions = tuple(
        (str(facts["cluster"]), str(a["text"]), str(a["owner"] or "-"), str(a["due"] or "-"), str(i["incident"]))
        for facts in told.clusters
        for i in facts["incidents"]
        for a in i["actions"]
    )
    blocks: List[Block] = [
        Rows(("cluster", "incident", "priority", "since", "what"), open_ones)
        if open_ones
        else Words("No incident is open."),
        Rows(("cluster", "action", "owner", "until", "incident"), actions)
        if actions
        else Words("No action of an incident is open."),
    ]
    return Section("Open incidents and actions", "incidents", tuple(blocks))


def _by_hand(told: Company) -> Section:
    files = [f"by-hand-{facts['cluster']}.txt" for facts in told.clusters]
    keep = (
        "This plan, the texts named here, the inventory and its vault",
        "The vault's password, and the identity of age where backups are sealed",
        "Credentials that may read each repository",
        "This collection (ansible-galaxy collection download lifeboat.postgres), if the network may be gone too",
    )
    hosts = [f"{host['name']}: {joined(names_of(host))}" for host in told.hosts if host["clusters"]]
    return Section(
        "Without Lifeboat, and what to keep elsewhere",
        "by-hand",
        (
            Words(
                f"Each cluster can be restored with the store's own tool, zstd and tar: {joined(files)}. Print them."
            ),
            Words("Keep outside the hosts and the repositories:"),
            Items(keep),
            Words("Hosts of this plan, with their clusters:"),
            Items(tuple(hosts)),
        ),
    )
