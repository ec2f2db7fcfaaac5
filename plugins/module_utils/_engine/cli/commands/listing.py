# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat list`` and ``lifeboat show``."""

from __future__ import annotations

import argparse
from typing import Any, Dict, List, Sequence

from ...config.load import load
from ...listing import contents as info
from ...repository.catalog import load_catalog
from ...repository.repository import Repositories
from ...restore.runbook import restore_by_hand
from ...wal.keep import holds_sealed
from ..terminal import Answer, Terminal, bullets, duration, size, table
from .described import add_command

_NAMED = 20


def add_arguments(subparsers: Any) -> None:
    """Add the commands and their arguments to ``subparsers``."""
    parser = add_command(subparsers, "list", "list", "list --json")
    parser.set_defaults(handler=run_list)
    parser = add_command(subparsers, "show", "show latest", "show 20261122T020000Z-full")
    parser.add_argument("label", metavar="LABEL", help="a label from lifeboat list, or latest")
    parser.set_defaults(handler=run_show)


def run_list(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print a table of the backups, then the windows and gaps."""
    data = info.describe(load(args.config, args.as_of))
    rows = [_row(b) for b in data["backups"]]
    lines: List[str] = [f"cluster {data['cluster']} in repository {data['repository']}"]
    lines += bullets([f"skipped {p['repository']}: {p['message']}" for p in data["passed_over"]])
    lines += [
        "",
        table(["label", "based on", "consistent at", "data", "stored", "timeline", "stop LSN", "restore takes"], rows)
        if rows
        else "no finished backups",
    ]
    for window in data["windows"]:
        lines.append("")
        lines.append(
            f"window on timeline {window['timeline']}: {window['start']} to {window['end']}"
            f" ({duration(window['seconds'])}), up to LSN {window['end_lsn']}"
            + (f", by pieces up to LSN {window['pieces_end_lsn']}" if window["pieces_end_lsn"] else "")
        )
        if window["lost"]:
            lines.append(
                f"LOST after it: {window['lost_count']} segments were archived but are missing,"
                f" the first is {window['lost'][0]}"
            )
    for gap in data["gaps"]:
        lines.append(
            f"GAP after {gap['label']}: {gap['missing_count']} segments are missing, the first is {gap['missing'][0]}"
        )
    lines += [f"held {b['label']}: {b['held']}" for b in data["backups"] if b["held"]]
    verified = [b for b in data["backups"] if b["verified_at"]]
    lines += [f"last verified: {verified[-1]['label']}, on {verified[-1]['verified_at'][:19]}Z"] if verified else []
    tested = [b for b in data["backups"] if b["tested"]]
    lines += [f"last restored: {tested[-1]['label']}, {_tested(tested[-1]['tested'])}"] if tested else []
    lines += [f"BROKEN {b['label']}: {b['broken']}" for b in data["backups"] if b["broken"]]
    lines += [f"AHEAD {b['message']}" for b in data["ahead"]]
    lines += [f"DAMAGED {d['label']}: {d['message']}" for d in data["damaged"]]
    lines += [f"FOREIGN, ignored: {f['message']}" for f in data["foreign"]]
    lines += [f"unfinished, ignored: {label}" for label in data["unfinished"]]
    lines += told_apart(data["set_apart"], data["set_apart_count"])
    return Answer(data, "\n".join(lines))


def told_apart(aside: Sequence[Dict[str, Any]], count: int) -> List[str]:
    """A line for each of the first 20 objects that are set apart, and the number of the others."""
    lines = [f"SET APART {item['message']}" for item in aside[:_NAMED]]
    return lines + ([f"SET APART {count - _NAMED} more (--json names them)"] if count > _NAMED else [])


def _tested(test: Dict[str, Any]) -> str:
    return f"as a test on {test['at'][:19]}Z: {'proven' if test['proven'] else 'NOT PROVEN'}"


def _row(backup: Dict[str, Any]) -> List[str]:
    mark = "" if backup["restorable"] else " (chain broken)" if backup["broken"] else " (WAL missing)"
    return [
        backup["label"] + mark,
        backup["parent"] or "",
        backup["finished_at"][:19] + "Z",
        size(backup["data_size"]),
        size(backup["stored_size"]),
        str(backup["timeline"]),
        backup["stop_lsn"],
        f"about {duration(backup['estimated_seconds'])}",
    ]


def run_show(args: argparse.Namespace, terminal: Terminal) -> Answer:
    """Print all facts about one backup."""
    config = load(args.config, args.as_of)
    repositories = Repositories.open(config)
    try:
        repository = repositories.readable()
        catalog = load_catalog(repository)
        backup = catalog.newest() if args.label == "latest" else catalog.find(args.label)
        chains = catalog.chains()
        chain, broken = chains.whole.get(backup.label), chains.broken.get(backup.label)
        sealed_wal = holds_sealed(repository, backup.system_identifier)
        by_hand = restore_by_hand(repository, chain, sealed_wal) if chain else ""
    finally:
        repositories.close()
    data = {
        **backup.as_dict(),
        "stored_size": backup.stored_size,
        "chain": [b.label for b in chain or ()],
        "broken": str(broken) if broken else None,
        "by_hand": by_hand,
    }
    needs = backup.requirements
    lines = [
        f"{backup.label} in {repository.location}",
        f"PostgreSQL {backup.server_version}, system identifier {backup.system_identifier}, timeline {backup.timeline}"
        + (", from a standby" if backup.from_standby else ""),
        f"consistent at {data['finished_at']}; WAL from {data['start_lsn']} to {data['stop_lsn']}",
        f"{size(backup.data_size)} of data, {size(backup.stored_size)} stored",
        *(
            [f"chain: {', '.join(data['chain'])}; together {size(backup.final_size)}"]
            if backup.parent and chain
            else []
        ),
        *([f"BROKEN: {broken}"] if broken else []),
        *([f"sealed to {r}" for r in backup.recipients]),
        "",
        "files",
        *bullets([f"{f.name}  {size(f.size)}  sha256 {f.sha256}" for f in backup.files]),
    ]
    if backup.tablespaces:
        lines += [
            "",
            "tablespaces",
            *bullets([f"{t.oid} {t.name} at {t.location}  {size(t.size)}" for t in backup.tablespaces]),
        ]
    lines += [
        "",
        "the new host needs",
        *bullets([f"{k}: {needs[k]}" for k in ("os", "libc", "machine", "extensions") if needs.get(k)]),
    ]
    lines += bullets([f"{k} = {v}" for k, v in sorted((needs.get("settings") or {}).items())])
    slots = needs.get("replication_slots") or {}
    if slots:
        lines += ["", "replication slots, which no backup contains"]
        lines += bullets([f"{name}: {what}" for name, what in sorted(slots.items())])
    if chain:
        lines += ["", "how to restore without Lifeboat", data["by_hand"]]
    return Answer(data, "\n".join(lines))
