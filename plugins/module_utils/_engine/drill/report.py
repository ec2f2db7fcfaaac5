# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``report.json``: the results of a drill, assembled from its evidence.

The report is one JSON object, ``format`` 1, described in ``docs/drill-report.md``. Times are ISO 8601 in UTC, durations
seconds, sizes bytes. A drill that could not be finished has a report too: ``failure`` names the step, and what was not
A drill that could not be finished has a report too: ``failure`` names the step, and what was not
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..base import clock
from ..base.version import VERSION
from ..config.load import Config
from ..records.model import format_time, parse_time
from . import evidence as files
from .checks import Check
from .comparison import compare
from .evidence import Evidence
from .ledger import read
from .stored import with_pieces

FORMAT = 1
_PHASES = {
    "plan": "find the backup and timeline, check that every WAL segment exists",
    "extract": "stream, decompress and write the base backup, and the incremental ones",
    "combine": "pg_verifybackup over each backup of the chain, then the changed blocks, or pg_combinebackup",
    "verify": "pg_verifybackup over every file",
    "recover": "fetch and replay WAL up to the target",
    "finish": "promote, and wait until writes are allowed",
}


def assemble(config: Config, evidence: Evidence) -> Dict[str, Any]:
    """The report from the existing evidence."""
    drill, disaster = evidence.get(files.DRILL), evidence.get(files.DISASTER)
    survey, failure = evidence.get(files.SURVEY), evidence.get(files.FAILURE)
    restores = [_restore(evidence, number, disaster) for number in evidence.restores()]
    now = clock.now()
    started = drill.get("started_at")
    report: Dict[str, Any] = {
        "format": FORMAT,
        "lifeboat": VERSION,
        "cluster": config.cluster,
        "host": drill.get("host") or survey.get("environment", {}).get("host"),
        "started_at": started,
        "finished_at": format_time(now),
        "seconds": round((now - parse_time(started)).total_seconds(), 1) if started else None,
        "rto": _rto(config, restores),
        "rpo": _rpo(config, restores, disaster),
        "restores": restores,
        "backup": evidence.get(files.BACKUP),
        "incremental": evidence.get(files.INCREMENTAL) or None,
        "disaster": {key: value for key, value in disaster.items() if key != "inventory"},
        "archive": _archive(disaster),
        "ledger": _ledger(evidence),
        "marks": evidence.get(files.MARKS),
        "source": survey.get("server", {}),
        "environment": survey.get("environment", {}),
        "repeat": drill.get("repeat", []),
        "failure": failure or None,
        "evidence": evidence.digests(),
    }
    report["story"] = _story(report)
    planned = int(drill.get("planned_restores", 1))
    checks = all_checks(report)
    report["checks"] = {"all": len(checks), "passed": sum(1 for check in checks if check["ok"])}
    judged = [r for r in restores if r["checks"]]
    good = not failure and len(judged) >= planned and all(check["ok"] for check in checks)
    return {"result": "passed" if good else "failed", **report}


def all_checks(report: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """All checks of a report: those of the objectives, then those of each restore."""
    found = promises(report)
    for restore in report["restores"]:
        found += restore["checks"]
    return found


def links(result: Mapping[str, Any]) -> str:
    """The labels of the backups that a restore combined."""
    return " + ".join(result.get("chain") or [result["label"]])


def promises(report: Mapping[str, Any]) -> List[Mapping[str, Any]]:
    """The checks that are not of a single restore: the objectives and the stream."""
    found: List[Mapping[str, Any]] = [report[name]["check"] for name in ("rto", "rpo") if report[name]]
    return found + (report["rpo"]["stream"]["checks"] if report["rpo"] and report["rpo"]["stream"] else [])


def _restore(evidence: Evidence, number: int, disaster: Mapping[str, Any]) -> Dict[str, Any]:
    told, judged = evidence.read(files.restore_name(number)), evidence.get(files.judge_name(number))
    result = told["result"]
    since = disaster["at"] if told["clock"] == "disaster" else told["ordered_at"]
    total = _seconds(since, told.get("opened_at"))
    return {
        "number": number,
        "title": told["title"],
        "target": told["target"],
        "call": told.get("call", ""),
        "clock": told["clock"],
        "ordered_at": told["ordered_at"],
        "opened_at": told.get("opened_at"),
        "rto_seconds": total,
        "phases": _phases(told, result, _seconds(since, told["ordered_at"]) or 0.0, total, evidence),
        "result": result,
        "verdict": judged.get("verdict"),
        "loss": _loss(told["target"]["kind"], judged.get("verdict")),
        "checks": judged.get("checks", []),
    }


def _loss(kind: str, verdict: Optional[Mapping[str, Any]]) -> List[Mapping[str, Any]]:
    """The commits that were lost at the latest possible point, or that an earlier target gives up on purpose."""
    if not verdict:
        return []
    missing = () if kind == "latest" else verdict["missing"]
    return [commit for commit in verdict["lost"] if commit["id"] not in missing]


def _phases(
    told: Mapping[str, Any], result: Mapping[str, Any], before: float, total: Optional[float], evidence: Evidence
) -> List[Dict[str, Any]]:
    """The engine's phases, and separate lines for the time before the request and around the engine."""
    told_timings = {name: float(value) for name, value in result["timings"].items() if name != "total"}
    order = [*_PHASES, *sorted(set(told_timings) - set(_PHASES))]
    timings = {name: told_timings[name] for name in order if name in told_timings}
    segment_size = int(evidence.get(files.SURVEY).get("server", {}).get("segment_size", 0))
    sizes = {
        "extract": int(result["bytes_restored"]),
        "combine": int(result["bytes_restored"]),
        "verify": int(result["bytes_restored"]),
        "recover": int(result["segments"]) * segment_size,
    }
    phases = []
    if told["clock"] == "disaster":
        phases.append(_phase("order", "from the disaster to the request to restore", before))
    for name, seconds in timings.items():
        phase = _phase(name, _PHASES.get(name, ""), seconds, sizes.get(name))
        if name == "recover":
            phase["segments"] = int(result["segments"])
        phases.append(phase)
    if total is not None:
        around = max(0.0, total - before - sum(timings.values()))
        phases.append(_phase("open", "start of Ansible's module, hand-over, first committed write", around))
    return phases


def _phase(name: str, what: str, seconds: float, size: Optional[int] = None) -> Dict[str, Any]:
    rate = round(size / seconds) if size and seconds > 0 else None
    return {
        "name": name,
        "what": what,
        "seconds": round(seconds, 3),
        "bytes": size,
        "segments": None,
        "bytes_per_second": rate,
    }


def _rto(config: Config, restores: Sequence[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """The longest time of all restores, except the one that is only a measurement."""
    opened = [r for r in restores if r["rto_seconds"] is not None and with_pieces(r["target"])]
    if not opened:
        return None
    longest = max(opened, key=lambda r: float(r["rto_seconds"]))
    seconds = float(longest["rto_seconds"])
    how = "the host's clock at the disaster (at the request, for a later restore) and after the first committed write"
    return {
        "seconds": seconds,
        "restore": longest["number"],
        "clock": longest["clock"],
        "objective": config.objectives.rto,
        "check": _objective("rto", "The recovery time meets its objective", seconds, config.objectives.rto, how),
    }


def _rpo(
    config: Config, restores: Sequence[Mapping[str, Any]], disaster: Mapping[str, Any]
) -> Optional[Dict[str, Any]]:
    """The loss at the latest possible point. An earlier target gives up commits on purpose, which is not the RPO."""
    judged = [r for r in restores if r["target"]["kind"] == "latest" and r["verdict"]]
    latest = next((r for r in judged if with_pieces(r["target"])), None)
    if latest is None:
        return None
    plain = next((r for r in judged if not with_pieces(r["target"])), None)
    seconds = float(latest["verdict"]["rpo_seconds"])
    how = "the time of the disaster minus that of the acknowledgement of the last surviving commit in the ledger"
    return {
        "seconds": seconds,
        "transactions": latest["verdict"]["rpo_transactions"],
        "missing": len(latest["verdict"]["missing"]),
        "restore": latest["number"],
        "stream": compare(latest, plain, disaster) if plain else None,
        "objective": config.objectives.rpo,
        "check": _objective("rpo", "The data loss meets its objective", seconds, config.objectives.rpo, how),
    }


def _objective(name: str, title: str, seconds: float, objective: Optional[float], how: str) -> Dict[str, Any]:
    expected = "no objective is configured" if objective is None else f"at most {objective:g} s"
    return Check(name, title, objective is None or seconds <= objective, expected, f"{seconds:.1f} s", how).as_dict()


def _archive(disaster: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The objects in each repository after the disaster."""
    return [
        {
            "name": name,
            "location": store["location"],
            "objects": len(store["objects"]),
            "bytes": sum(store["objects"].values()),
            "wal_objects": sum(1 for key in store["objects"] if "/wal/" in key),
            "wal_bytes": sum(size for key, size in store["objects"].items() if "/wal/" in key),
        }
        for name, store in disaster.get("inventory", {}).items()
    ]


def _ledger(evidence: Evidence) -> Dict[str, Any]:
    if not evidence.has(files.LEDGER):
        return {}
    ledger = read(evidence.path(files.LEDGER))
    first = ledger.commits[0] if ledger.commits else None
    last = ledger.commits[-1] if ledger.commits else None
    return {
        "commits": len(ledger.commits),
        "first_at": format_time(first.started_at) if first else None,
        "last_at": format_time(last.acked_at) if last and last.acked_at else None,
        "ended": ledger.ended,
        "in_flight": ledger.in_flight.id if ledger.in_flight else None,
    }


def _story(report: Mapping[str, Any]) -> List[Dict[str, Any]]:
    """The events in order: ``at``, ``event`` (a word) and ``text``."""
    backup, disaster, ledger, marks = report["backup"], report["disaster"], report["ledger"], report["marks"]
    told = [
        (report["started_at"], "start", "The drill begins: a server, databases, load, archiving"),
        (backup.get("started_at"), "backup", f"Base backup {backup.get('label')} begins"),
        (backup.get("finished_at"), "backup", f"Base backup {backup.get('label')} is consistent: the window begins"),
        (ledger.get("first_at"), "ledger", "The ledger's writer starts to commit, in addition to the load"),
        (ledger.get("last_at"), "ledger", f"Its last acknowledged commit, number {ledger.get('commits')}"),
        (disaster.get("at"), "disaster", _disaster(disaster)),
    ]
    if changes := report["incremental"]:
        told.append((changes["finished_at"], "backup", f"Incremental backup {changes['label']} is consistent"))
    told += [(mark["at"], name, mark["text"]) for name, mark in marks.items()]
    for restore in report["restores"]:
        name = f"Restore {restore['number']} ({restore['title']})"
        told.append((restore["ordered_at"], "order", f"{name} is requested"))
        told.append((restore["opened_at"], "open", f"{name} accepts writes"))
    known = [(parse_time(at), event, text) for at, event, text in told if at]
    return [
        {"at": format_time(at), "event": event, "text": text} for at, event, text in sorted(known, key=lambda t: t[0])
    ]


def _disaster(disaster: Mapping[str, Any]) -> str:
    killed, removed = len(disaster.get("killed", [])), len(disaster.get("removed", []))
    return f"Disaster: SIGKILL to {killed} processes, {removed} directories deleted"


def _seconds(since: str, until: Optional[str]) -> Optional[float]:
    if not until:
        return None
    start: datetime = parse_time(since)
    return round((parse_time(until) - start).total_seconds(), 3)
