# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``report.html``: the report as one self-contained page. The first screen is for decision makers."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional

from ..records.model import parse_time
from ..report.markup import Child, Markup, count, join, moment, rate, seconds, size, table, tag
from ..report.page import whole_page
from .picture import strip
from .report import links, promises
from .saved import saved
from .stored import with_pieces

_LISTED = 2000
_CLOCK = {"disaster": "the disaster", "order": "its request"}
_LOSS = "The price of going back: {n} acknowledged commits are after the target, and were given up on purpose"


def render(report: Mapping[str, Any]) -> str:
    """The whole page."""
    return whole_page(
        f"Disaster recovery drill: {report['result']}",
        _head(report),
        _failure(report["failure"]),
        _failed_checks(report),
        _tiles(report),
        saved(report["rpo"]),
        _story(report),
        [_restore(restore) for restore in report["restores"]],
        _objectives(report),
        _environment(report),
        _repeat(report),
        tag(
            "footer",
            f"Lifeboat {report['lifeboat']}, report format {report['format']}. The same data as JSON: report.json.",
        ),
    )


def _head(report: Mapping[str, Any]) -> Markup:
    good = report["result"] == "passed"
    source, backup = report["source"], report["backup"]
    disaster_at = report["disaster"].get("at")
    words = "The database was restored" if good else "The drill found a fault"
    lead = None
    if disaster_at and source:
        store = report["environment"]["repositories"][0]["store"]
        lead = (
            f"A PostgreSQL {source['version']} cluster of {size(source['size'])} was destroyed under load on"
            f" {moment(disaster_at, date=True)}, and {_targets(report['restores'], store)}."
        )
    elif backup:
        lead = "The drill ended before the disaster."
    return tag(
        "header",
        tag("div", "Lifeboat · disaster recovery drill", cls="kicker"),
        tag("h1", words, " ", tag("span", report["result"].upper(), cls=f"badge {'good' if good else 'bad'}")),
        tag("p", lead, cls="lead") if lead else None,
    )


def _targets(restores: List[Mapping[str, Any]], store: str) -> str:
    if not restores:
        return f"has not been rebuilt from {store}"
    # A restore without the pieces is only a measurement.
    restores = [r for r in restores if with_pieces(r["target"])]
    times = {1: "once", 2: "twice"}.get(len(restores), f"{len(restores)} times")
    return f"rebuilt from {store} {times}: " + ", and ".join(restore["title"] for restore in restores)


def _failure(failure: Optional[Mapping[str, Any]]) -> Optional[Markup]:
    if not failure:
        return None
    return tag(
        "section",
        tag("h3", "The drill stopped at: ", failure.get("step", "an unknown step")),
        tag("p", failure.get("message", "")),
        tag("p", tag("code", failure["error_code"])) if failure.get("error_code") else None,
        cls="card failure",
    )


def _failed_checks(report: Mapping[str, Any]) -> Optional[Markup]:
    failed = [
        (f"Restore {restore['number']}: {check['title']}", check)
        for restore in report["restores"]
        for check in restore["checks"]
        if not check["ok"]
    ]
    failed += [(check["title"], check) for check in promises(report) if not check["ok"]]
    if not failed:
        return None
    lines = [
        tag("li", title, ". Expected ", c["expected"], "; found ", tag("b", c["found"]), ".") for title, c in failed
    ]
    return tag("section", tag("h3", "Failed checks"), tag("ul", lines), cls="card failure")


def _tiles(report: Mapping[str, Any]) -> Markup:
    rto, rpo, checks = report["rto"], report["rpo"], report["checks"]
    tiles = [_no_tile("Time to recover (RTO)"), _no_tile("Data lost (RPO)"), _no_tile("Brought back to the moment")]
    if rto:
        note = f"restore {rto['restore']}, from {_CLOCK[rto['clock']]} to the first committed write"
        tiles[0] = _tile("Time to recover (RTO)", seconds(rto["seconds"]), [note, _promise(rto)], rto["check"]["ok"])
    if rpo:
        notes = [f"{count(rpo['transactions'])} acknowledged commits, at the latest possible point", _promise(rpo)]
        if rpo["stream"]:
            without = rpo["stream"]["without"]
            notes.append(f"without the stream: {seconds(without['seconds'])}, {count(without['transactions'])} commits")
        if rpo["missing"]:
            notes.insert(1, f"{count(rpo['missing'])} of them had been archived, so they are missing")
        good = rpo["check"]["ok"] and not rpo["missing"]
        tiles[1] = _tile("Data lost (RPO)", seconds(rpo["seconds"]), notes, good)
    earlier = next((r for r in report["restores"] if r["target"]["kind"] != "latest" and r["verdict"]), None)
    if earlier:
        verdict = earlier["verdict"]
        kept = verdict["required"] - len(verdict["missing"])
        good = not verdict["missing"] and not verdict["surplus"]
        note = f"of {count(verdict['required'])} commits before the target; {len(verdict['surplus'])} after it"
        tiles[2] = _tile("Brought back to the moment", f"{count(kept)} commits", [note], good)
    if not checks["all"]:
        return tag("section", tiles, _no_tile("Checks passed"), cls="tiles")
    done = checks["passed"] == checks["all"]
    note = "each with its evidence below" if done else "the others failed or were not reached"
    tiles.append(_tile("Checks passed", f"{checks['passed']} of {checks['all']}", [note], done))
    return tag("section", tiles, cls="tiles")


def _promise(part: Mapping[str, Any]) -> str:
    if part["objective"] is None:
        return "no objective configured"
    return f"objective: {part['objective']:g} s, {'met' if part['check']['ok'] else 'NOT met'}"


def _tile(name: str, value: str, notes: List[str], good: bool) -> Markup:
    lines = [tag("div", note, cls="note") for note in notes]
    return tag("div", tag("div", name, cls="name"), tag("b", value), lines, cls="tile" if good else "tile bad")


def _no_tile(name: str) -> Markup:
    return tag(
        "div", tag("div", name, cls="name"), tag("b", "–"), tag("div", "not reached", cls="note"), cls="tile none"
    )


def _story(report: Mapping[str, Any]) -> Markup:
    zero = report["disaster"].get("at")
    items = []
    for number, event in enumerate(report["story"], 1):
        items.append(
            tag(
                "li",
                tag("span", number, cls=f"mark {event['event']}"),
                tag("span", moment(event["at"]), cls="soft"),
                tag("span", _relative(event["at"], zero), cls="soft"),
                tag("span", event["text"]),
            )
        )
    note = "Times are UTC, from the host's clock."
    if report["restores"]:
        note += " Green was restored, red is lost, grey was given up."
    return join(
        [
            tag("h2", "What happened"),
            tag("section", tag("p", note, cls="soft"), strip(report), tag("ol", items, cls="story"), cls="card"),
        ]
    )


def _relative(at: str, zero: Optional[str]) -> str:
    if not zero:
        return ""
    offset = (parse_time(at) - parse_time(zero)).total_seconds()
    return f"{'+' if offset >= 0 else '−'}{abs(offset):.1f} s"


def _restore(restore: Mapping[str, Any]) -> Markup:
    result, target = restore["result"], restore["target"]
    inclusive = "" if target.get("inclusive", True) else " (exclusive)"
    facts: Dict[str, Child] = {
        "Target": f"{target['kind']} {target.get('value') or ''}{inclusive}",
        "Reached": f"LSN {result['reached_lsn']}, last replayed commit {moment(result['reached_time'])}",
        "Backup": f"{links(result)}, from repository {result['repository']}",
        "Timeline": f"{result['timeline']}, which left {result['parent_timeline']}",
        "Fetched, written": f"{size(result['bytes_stored'])} stored, {size(result['bytes_restored'])} restored",
        "WAL replayed": f"{result['segments']} segments",
        "Into": result["data_dir"],
    }
    return join(
        [
            tag("h2", f"Restore {restore['number']}: {restore['title']}"),
            tag(
                "section",
                _facts(facts),
                tag("h3", f"Open for writes {seconds(restore['rto_seconds'])} after {_CLOCK[restore['clock']]}"),
                _phases(restore),
                tag("h3", "Checks"),
                checks_table(restore["checks"]),
                _lost(restore),
                _call(restore),
                cls="card",
            ),
        ]
    )


def _call(restore: Mapping[str, Any]) -> Optional[Markup]:
    if not restore["call"]:
        return None
    return tag("details", tag("summary", "The call"), tag("pre", restore["call"]))


def _phases(restore: Mapping[str, Any]) -> Markup:
    total = sum(phase["seconds"] for phase in restore["phases"]) or 1.0
    rows: List[Markup] = []
    begun = 0.0
    for phase in restore["phases"]:
        left, width = 100 * begun / total, 100 * phase["seconds"] / total
        track = tag("div", tag("i", style=f"left:{min(left, 99.6):.2f}%;width:{width:.2f}%"), cls="track")
        rows.append(_phase_row(tag("span", phase["name"], tag("span", phase["what"], cls="what")), phase, track))
        begun += phase["seconds"]
    total_row = {"seconds": restore["rto_seconds"], "bytes": None, "segments": None, "bytes_per_second": None}
    rows.append(_phase_row("total", total_row, Markup(""), cls="total"))
    heads = [tag("th", name) for name in ("Phase", "Time", "Data", "Segments", "MB/s", "Where the time went")]
    return tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows), cls="phases")


def _phase_row(name: Child, phase: Mapping[str, Any], track: Markup, cls: Optional[str] = None) -> Markup:
    segments = "" if phase["segments"] is None else str(phase["segments"])
    cells = (name, seconds(phase["seconds"]), size(phase["bytes"]), segments, rate(phase["bytes_per_second"]), track)
    return tag("tr", [tag("td", cell) for cell in cells], cls=cls)


def checks_table(checks: List[Mapping[str, Any]]) -> Markup:
    """The checks: result, statement and how it was checked, the expected and the actual value."""
    if not checks:
        return tag("p", "Not reached.", cls="bad-ink")
    rows = []
    for check in checks:
        mark = tag("span", "✓" if check["ok"] else "✗", cls="good-ink" if check["ok"] else "bad-ink")
        found = check["found"] if check["ok"] else tag("b", check["found"], cls="bad-ink")
        rows.append([mark, [check["title"], tag("span", check["how"], cls="how")], check["expected"], found])
    return table(["", "Check, and how it was made", "Expected", "Found"], rows, cls="checks")


def _lost(restore: Mapping[str, Any]) -> Optional[Markup]:
    verdict = restore["verdict"]
    if not verdict:
        return None
    lost = restore["loss"]
    if not lost:
        return join([tag("h3", "Lost transactions"), tag("p", "None: every acknowledged commit was restored.")])
    latest = restore["target"]["kind"] == "latest"
    words = f"{count(len(lost))} acknowledged commits are lost" if latest else _LOSS.format(n=count(len(lost)))
    first, last = (f"number {c['id']}, acknowledged {moment(c['acked_at'])}" for c in (lost[0], lost[-1]))
    span = f": from {first}, to {last}."
    lines = [tag("div", f"{c['id']}  {moment(c['acked_at'])}  {c['lsn']}") for c in lost[:_LISTED]]
    more = f" (the first {_LISTED}; all are in report.json)" if len(lost) > _LISTED else ""
    return join(
        [
            tag("h3", "Lost transactions" if latest else "Given up by the choice of the target"),
            tag("p", words + span),
            tag(
                "details",
                tag("summary", f"All of them: number, acknowledged, LSN{more}"),
                tag("div", lines, cls="lost"),
            ),
        ]
    )


def _objectives(report: Mapping[str, Any]) -> Optional[Markup]:
    checks = promises(report)
    if not checks:
        return None
    return join([tag("h2", "Objectives"), tag("section", checks_table(checks), cls="card")])


def _environment(report: Mapping[str, Any]) -> Markup:
    env, source, backup = report["environment"], report["source"], report["backup"]
    cards = []
    if env:
        libraries = ", ".join(f"{name} {version}" for name, version in env["libraries"].items())
        cards.append(
            _card(
                "Host and programs",
                {
                    "Host": f"{report['host']}: {env['cpus']} CPUs, {size(env['memory'])} memory",
                    "System": f"{env['system']}, {env['kernel']}",
                    "PostgreSQL": f"{source.get('version')} in {env['bin_dir']}",
                    "Lifeboat": f"{env['lifeboat']}, Python {env['python']}, {libraries}",
                    "Store": [f"{r['name']}: {r['store']} at {r['endpoint']} " for r in env["repositories"]],
                },
            )
        )
    if source:
        shown = (
            "archive_mode",
            "archive_timeout",
            "archive_command",
            "wal_level",
            "fsync",
            "synchronous_commit",
            "data_checksums",
        )
        cards.append(
            _card(
                "The destroyed server",
                {
                    "Cluster": f"{report['cluster']}, system identifier {source['system_identifier']}",
                    "Size": f"{size(source['size'])} in {len(source['databases'])} databases",
                    "Databases": ", ".join(source["databases"]),
                    "Settings": [tag("code", f"{name} = {source['settings'].get(name)}", tag("br")) for name in shown],
                },
            )
        )
    for title, made in (("The backup", backup), ("The incremental backup", report.get("incremental"))):
        if made:
            cards.append(_backup_card(title, made))
    if backup and report["restores"] and not report.get("incremental"):
        words = f"PostgreSQL {source.get('version')} has none; 17 and newer do. The restores used only the full backup."
        cards.append(_card("The incremental backup", {"None": words}))
    disaster = report["disaster"]
    if disaster:
        held = [
            f"{a['name']}: {a['objects']} objects, {size(a['bytes'])}, of them {a['wal_objects']} of WAL"
            for a in report["archive"]
        ]
        cards.append(
            _card(
                "The disaster",
                {
                    "At": moment(disaster["at"], date=True),
                    "Last archived": f"{disaster['archived_wal']}, which ends at {disaster['archived_lsn']}",
                    "Not yet archived": ", ".join(disaster["waiting"]) or "no complete segment",
                    "Repository then": ", ".join(held),
                    "Deleted": [tag("code", path, tag("br")) for path in disaster["removed"]],
                },
            )
        )
    return join([tag("h2", "Conditions"), tag("div", cards, cls="two")])


def _backup_card(title: str, backup: Mapping[str, Any]) -> Markup:
    timings = ", ".join(f"{name} {seconds(float(value))}" for name, value in backup["timings"].items())
    return _card(
        title,
        {
            "Label": backup["label"] + (f", on {backup['parent']}" if backup.get("parent") else ""),
            "LSN": f"{backup['start_lsn']} to {backup['stop_lsn']}, timeline {backup['timeline']}",
            "Size": f"{size(backup['data_size'])}, {size(sum(f['size'] for f in backup['files']))} stored",
            "Files": ", ".join(f["name"] for f in backup["files"]),
            "Time": timings,
        },
    )


def _card(title: str, facts: Mapping[str, Child]) -> Markup:
    return tag("section", tag("h3", title, style="margin-top:0"), _facts(facts), cls="card")


def _facts(facts: Mapping[str, Child]) -> Markup:
    return tag("dl", [[tag("dt", name), tag("dd", value)] for name, value in facts.items()], cls="facts")


def _repeat(report: Mapping[str, Any]) -> Markup:
    evidence = table(
        ["File of evidence", "SHA-256"], [[tag("code", n), tag("code", d)] for n, d in report["evidence"].items()]
    )
    commands = [tag("pre", command) for command in report["repeat"]]
    return join([tag("h2", "Repeat and check it"), tag("section", commands, evidence, cls="card")])
