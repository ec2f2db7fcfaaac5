# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of the pack: what each file shows, and for which rows of docs/compliance.md it is evidence. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, Dict, List, Mapping, Sequence, Tuple


@dataclass(frozen=True)
class Shown:
    """Files (a pattern of names), what they show, and the rows of docs/compliance.md, by their first words."""

    files: str
    what: str
    rows: Tuple[str, ...]


PARTS: Tuple[Shown, ...] = (
    Shown(
        "configuration.json",
        "The policies in force: retention, objectives, repositories, sealing, signing, without secrets",
        ("5(1)(c), (e)", "32(1)(a)", "32(1)(b)", "CC9.1", "A.8.13"),
    ),
    Shown(
        "schedule.json",
        "Of each operation how often it succeeded and failed, and its longest pause; that of the backups",
        ("A1.2 backup", "CC7.2 monitoring", "A.8.13"),
    ),
    Shown("access.json", "Who did what, how often, as their hosts claim", ("5(2)", "CC7.3, CC7.4")),
    Shown(
        "deletions.json",
        "Every removal on record: retention, repairs, releases of holds, erasures",
        ("5(1)(c), (e)", "17 right", "CC6.1, A1.2"),
    ),
    Shown("audit/events.jsonl", "The audit trail", ("5(2)", "CC7.3, CC7.4", "CC7.5")),
    Shown("audit/verification.json", "Whether the trail is whole: compared in all sources", ("5(2)", "CC7.3, CC7.4")),
    Shown(
        "repositories/*/backups.json",
        "The backups that are there, when each was verified and restored as a test, and until when it is locked",
        ("A1.2 backup", "CC6.1, A1.2", "A.8.13"),
    ),
    Shown("repositories/*/verifications.jsonl", "What was read back, and what was damaged", ("5(1)(f)", "A.8.13")),
    Shown("repositories/*/restore_tests.jsonl", "Reports of restore tests", ("32(1)(c)", "32(1)(d)", "A.8.13")),
    Shown(
        "incidents/*",
        "Incidents: who was told and when, what was done, what it cost, and what follows from it",
        ("CC7.3, CC7.4", "CC7.5", "A.5.29"),
    ),
    Shown("drills/*", "Reports, evidence and checklists of drills", ("32(1)(c)", "32(1)(d)", "A1.3", "A.8.13")),
)


def rows_of(name: str) -> Tuple[str, ...]:
    """The rows for which this file of the pack is evidence."""
    return next((part.rows for part in PARTS if fnmatch(name, part.files)), ())


def render(about: Mapping[str, Any], files: Sequence[Mapping[str, Any]], unread: Mapping[str, str]) -> str:
    """``index.md``. ``about`` has ``cluster``, ``since``, ``until``, ``host``, ``lifeboat`` and ``figures``."""
    lines = [
        f"# Evidence of backup and recovery: cluster {_cell(about['cluster'])}",
        "",
        f"From {about['since']} to {about['until']}, made on {_cell(about['host'])} by Lifeboat {about['lifeboat']}.",
        "`sha256sum --check SHA256SUMS` verifies the files. Records are as the repositories have them, with their",
        "signatures where there are any.",
        "",
        *[f"- {_cell(name)}: {_cell(str(value))}" for name, value in about["figures"].items()],
        "",
    ]
    if unread:
        lines += ["## What could not be read, and is missing here", ""]
        lines += [f"- {_cell(name)}: {_cell(why)}" for name, why in sorted(unread.items())] + [""]
    lines += ["## What is what", "", "| files | what they show | rows of docs/compliance.md |", "| --- | --- | --- |"]
    for part in PARTS:
        names = [str(file["name"]) for file in files if fnmatch(str(file["name"]), part.files)]
        told = f"`{part.files}` ({len(names)})" if "*" in part.files else f"`{part.files}`"
        lines.append(f"| {told if names else f'{told}: none'} | {part.what} | {'; '.join(part.rows)} |")
    lines += ["", "## Files", "", "| file | bytes | SHA-256 |", "| --- | --- | --- |"]
    lines += [f"| {_cell(str(file['name']))} | {file['size']} | {file['sha256']} |" for file in files]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    """Text of others that neither ends a cell nor begins markup."""
    return "".join(f"&#{ord(char)};" if char in "|<>`[]&" else " " if char in "\r\n" else char for char in text)


def as_data(
    about: Mapping[str, Any], files: Sequence[Mapping[str, Any]], unread: Mapping[str, str], aside: Sequence[Any]
) -> Dict[str, Any]:
    """``index.json``, ``format`` 1."""
    listed: List[Dict[str, Any]] = [{**file, "compliance": list(rows_of(str(file["name"])))} for file in files]
    return {"format": 1, **about, "unread": dict(unread), "set_apart": list(aside), "files": listed}
