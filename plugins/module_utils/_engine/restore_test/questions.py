# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restored cluster is asked: does every page and index hold, is as much there, do the user's queries agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from .. import clock
from ..config import Config, ConnectionConfig
from ..contents import compare, read_contents
from ..errors import LifeboatError
from ..model import BackupManifest
from ..postgres.connection import libpq_environment, session
from ..postgres.controldata import program
from ..process import run
from .policy import Question

HELD, BROKEN, LEFT_OUT = "held", "broken", "left out"
_SHOWN = 40


@dataclass(frozen=True)
class Finding:
    """One question: ``state`` is ``held``, ``broken`` or ``left out`` (it could not be asked), ``seconds`` its time."""

    name: str
    state: str
    detail: str
    seconds: float = 0.0
    lines: Tuple[str, ...] = ()

    def as_dict(self) -> Dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "seconds": round(self.seconds, 3), "lines": list(self.lines)}


def ask_all(config: Config, where: ConnectionConfig, backup: BackupManifest) -> List[Finding]:
    """Every question; one that cannot be asked is broken, never an exception."""
    found = [_timed("amcheck", lambda: _amcheck(config, where))]
    found.append(_timed("contents", lambda: _contents(config, where, backup)))
    found += [_timed(q.title, lambda q=q: _query(where, q)) for q in config.verify.queries]  # type: ignore[misc]
    return found


def _timed(name: str, question: Callable[[], Finding]) -> Finding:
    begin = clock.monotonic()
    try:
        found = question()
    except LifeboatError as exc:
        found = Finding(name, BROKEN, exc.message)
    return Finding(name, found.state, found.detail, clock.monotonic() - begin, found.lines)


def _amcheck(config: Config, where: ConnectionConfig) -> Finding:
    """``pg_amcheck`` over every database ("pg_amcheck" in the manual); its status is 2 where something is corrupt."""
    if not config.verify.amcheck:
        return Finding("amcheck", LEFT_OUT, "verify.amcheck is off")
    with session(where) as sql:
        if not sql.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
            return Finding("amcheck", LEFT_OUT, "the extension amcheck is not installed on this host")
    words = ["--all", "--no-password", "--install-missing", "--heapallindexed", f"--jobs={config.verify.jobs}"]
    environment = {**libpq_environment(where), "PGDATABASE": where.dbname}
    done = run([program(config.bin_dir, "pg_amcheck"), *words], check=False, env=environment)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.status == 0 and not lines:
        return Finding("amcheck", HELD, "every table and every B-tree index of every database, each row in its index")
    told = tuple(lines[:_SHOWN])
    what = "found corruption" if done.status == 2 else f"ended with status {done.status}"
    return Finding("amcheck", BROKEN, f"pg_amcheck {what}: {lines[0] if lines else 'it said nothing'}", 0.0, told)


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


def _query(where: ConnectionConfig, question: Question) -> Finding:
    with session(where, question.database) as sql:
        rows = sql.rows(question.query)
    answer = rows[0][0] if rows and rows[0] else None
    trouble = objection(question, answer)
    return Finding(question.title, BROKEN if trouble else HELD, trouble or f"gives {answer}")


def objection(question: Question, answer: Any) -> Optional[str]:
    """What is wrong with the answer, or None. Pure."""
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
    """Those that do not hold."""
    return [f for f in findings if f.state == BROKEN]
