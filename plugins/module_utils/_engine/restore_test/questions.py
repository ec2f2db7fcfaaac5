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
    """One check: ``state`` is ``held``, ``broken`` or ``left out`` (not possible), ``seconds`` its duration."""

    name: str
    state: str
    detail: str
    seconds: float = 0.0
    lines: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "seconds": round(self.seconds, 3), "lines": list(self.lines)}


def ask_all(config: Config, where: ConnectionConfig, backup: BackupManifest) -> List[Finding]:
    """Run every check; an error in one is a broken finding, not an exception."""
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
        return Finding("contents", LEFT_OUT, "the backup has no record of its contents: an earlier Lifeboat made it")
    differences = compare(backup.contents, read_contents(where, config.verify.count_tables), config.verify.max_shrink)
    wrong = [d.text for d in differences if d.wrong]
    lines = tuple(d.text for d in differences)
    if wrong:
        return Finding("contents", BROKEN, "; ".join(wrong[:5]), 0.0, lines)
    text = f"{len(backup.contents)} databases, none smaller by more than {config.verify.max_shrink:g} %"
    return Finding("contents", HELD, text, 0.0, lines)


def _asker(where: ConnectionConfig, databases: AbstractSet[str]) -> ConnectionConfig:
    """The connection of a role that can only read, created in the scratch cluster for the queries.

    A query may call views and functions, which are code of their owners. The role logs in by itself, because RESET
    cannot get back further than the role that logged in; the scratch cluster accepts any role on its socket.
    """
    role = f"lifeboat_{secrets.token_hex(8)}"
    with session(where) as sql:
        sql.rows(f"CREATE ROLE {role} LOGIN BYPASSRLS IN ROLE pg_read_all_data, pg_monitor")
        there = {str(row[0]) for row in sql.rows("SELECT datname FROM pg_database")}
        for name in sorted(databases & there):
            sql.rows(f"GRANT CONNECT ON DATABASE {quoted(name)} TO {role}")
    return replace(where, user=role, password=None, passfile=None)


def _query(asker: ConnectionConfig, question: Question) -> Finding:
    # With the search_path of the database, for which the query was written.
    with closing(connect(asker, question.database, own_path=True)) as connection:
        rows = Session(connection).rows(question.query)
    answer = rows[0][0] if rows and rows[0] else None
    trouble = objection(question, answer)
    return Finding(question.title, BROKEN if trouble else HELD, trouble or f"returns {answer}")


def objection(question: Question, answer: Any) -> Optional[str]:
    """Why the result is wrong; None if it is right. Pure."""
    if question.equals is not None and str(answer) != question.equals:
        return f"returns {answer} instead of {question.equals}"
    if question.minimum is not None:
        try:
            value = float(answer)
        except (TypeError, ValueError):
            return f"returns {answer} instead of a number of at least {question.minimum:g}"
        if value < question.minimum:
            return f"returns {answer} instead of at least {question.minimum:g}"
    return None


def broken(findings: Sequence[Finding]) -> List[Finding]:
    """The findings that are broken."""
    return [f for f in findings if f.state == BROKEN]
