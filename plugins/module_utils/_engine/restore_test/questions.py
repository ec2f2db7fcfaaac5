# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks of a restored cluster: pages and indexes, sizes and row counts, the user's queries."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from typing import AbstractSet, Any, Callable, Dict, List, Optional, Sequence, Tuple

from ..base import clock
from ..base.errors import LifeboatError
from ..base.process import run
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..config.verify import Question
from ..postgres.connection import Session, connect, libpq_environment, session
from ..postgres.contents import compare, read_contents
from ..postgres.controldata import program
from ..postgres.identifiers import quoted
from ..records.model import BackupManifest

HELD, BROKEN, LEFT_OUT = "held", "broken", "left out"
_SHOWN = 40


@dataclass(frozen=True)
class Finding:
    """One check: ``state`` is ``held``, ``broken`` or ``left out`` (it could not be run), ``seconds`` its time."""

    name: str
    state: str
    detail: str
    seconds: float = 0.0
    lines: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 3), "lines": list(self.lines)}


def ask_all(config: Config, where: ConnectionConfig, backup: BackupManifest) -> List[Finding]:
    """Run every check; one that fails to run is broken, never an exception."""
    found = [_timed("amcheck", lambda: _amcheck(config, where))]
    found.append(_timed("contents", lambda: _contents(config, where, backup)))
    if config.verify.queries:
        asker = _asker(where, {q.database for q in config.verify.queries})
        found += [_timed(q.title, lambda q=q: _query(asker, q)) for q in config.verify.queries]  # type: ignore[misc]
    return found


def _timed(name: str, question: Callable[[], Finding]) -> Finding:
    begin = clock.monotonic()
    try:
        found = question()
    except LifeboatError as exc:
        found = Finding(name, BROKEN, exc.message)
    return Finding(name, found.state, found.detail, clock.monotonic() - begin, found.lines)


def _amcheck(config: Config, where: ConnectionConfig) -> Finding:
    """``pg_amcheck`` over every database ("pg_amcheck" in the manual); its status is 2 if something is corrupt."""
    if not config.verify.amcheck:
        return Finding("amcheck", LEFT_OUT, "verify.amcheck is off")
    with session(where) as sql:
        if not sql.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
            return Finding("amcheck", LEFT_OUT, "the extension amcheck is not installed on this host")
    words = ["--all", "--no-password", "--install-missing", "--heapallindexed", f"--jobs={config.verify.jobs}"]
    environment = {**libpq_environment(where), "PGDATABASE": where.dbname}
    # That the extension is there already is a notice, and no finding.
    environment["PGOPTIONS"] += " -c client_min_messages=warning"
    done = run([program(config.bin_dir, "pg_amcheck"), *words], check=False, env=environment)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.status == 0 and not lines:
        return Finding("amcheck", HELD, "every table and every B-tree index of every database, each row in its index")
    told = tuple(lines[:_SHOWN])
    what = "found corruption" if done.status == 2 else f"ended with status {done.status}"
    return Finding("amcheck", BROKEN, f"pg_amcheck {what}: {lines[0] if lines else 'no output'}", 0.0, told)


def _contents(config: Config, where: ConnectionConfig, backup: BackupManifest) -> Finding:
    if not backup.contents:
        return Finding("contents", LEFT_OUT, "the backup's record has none: it was made by an earlier Lifeboat")
    differences = compare(backup.contents, read_contents(where, config.verify.count_tables), config.verify.max_shrink)
    wrong = [d.text for d in differences if d.wrong]
    lines = tuple(d.text for d in differences)
    if wrong:
        return Finding("contents", BROKEN, "; ".join(wrong[:5]), 0.0, lines)
    text = f"{len(backup.contents)} databases, none smaller by more than {config.verify.max_shrink:g} %"
    return Finding("contents", HELD, text, 0.0, lines)


def _asker(where: ConnectionConfig, databases: AbstractSet[str]) -> ConnectionConfig:
    """The connection of a role that can read everything and do nothing else, created in the scratch for the queries.

    Views and functions that a query names are the code of their owners. No RESET leads further than to whoever logged
    in, and the scratch lets everybody in who reaches its socket, so this role too.
    """
    role = f"lifeboat_{secrets.token_hex(8)}"
    with session(where) as sql:
        sql.rows(f"CREATE ROLE {role} LOGIN BYPASSRLS IN ROLE pg_read_all_data, pg_monitor")
        there = {str(row[0]) for row in sql.rows("SELECT datname FROM pg_database")}
        for name in sorted(databases & there):
            sql.rows(f"GRANT CONNECT ON DATABASE {quoted(name)} TO {role}")
    return replace(where, user=role, password=None, passfile=None)


def _query(asker: ConnectionConfig, question: Question) -> Finding:
    # With the path that the database has, since that is what the query was written for.
    with closing(connect(asker, question.database, own_path=True)) as connection:
        rows = Session(connection).rows(question.query)
    answer = rows[0][0] if rows and rows[0] else None
    trouble = objection(question, answer)
    return Finding(question.title, BROKEN if trouble else HELD, trouble or f"gives {answer}")


def objection(question: Question, answer: Any) -> Optional[str]:
    """What is wrong with the result, or None. Pure."""
    if question.equals is not None and str(answer) != question.equals:
        return f"gives {answer}, and must be {question.equals}"
    if question.minimum is not None:
        try:
            value = float(answer)
        except (TypeError, ValueError):
            return f"gives {answer}, which is no number, and must be at least {question.minimum:g}"
        if value < question.minimum:
            return f"gives {answer}, and must be at least {question.minimum:g}"
    return None


def broken(findings: Sequence[Finding]) -> List[Finding]:
    """The findings that are broken."""
    return [f for f in findings if f.state == BROKEN]
