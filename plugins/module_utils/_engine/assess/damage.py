# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which relations and blocks of the live cluster are damaged: ``pg_amcheck`` finds them. Reads; installs nothing.

PostgreSQL manual, "pg_amcheck" and "amcheck". A relation's check ends at its first page with a wrong checksum, so
that a table is checked again before and behind each. What pg_amcheck prints is looked up in the catalog, and gets
into no statement.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Dict, Iterable, List, Optional, Sequence

from ..base import clock
from ..base.errors import LifeboatError, ProcessFailed
from ..base.process import run
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres.connection import libpq_environment, session
from ..postgres.controldata import program
from ..postgres.identifiers import conninfo, quoted
from ..records.fields import printable
from .facts import INDEX, SYSTEM, TABLE, Damage, Damages

_HEAD = re.compile(r'(heap table|btree index) "(.*)"(?:, block (\d+).*)?:\Z')
_BLOCK = re.compile(r"invalid page in block (\d+) of relation")
# Of a table so many blocks are looked for, and so many relations are named.
_MOST_BLOCKS, _MOST = 64, 200
# The name of each relation, and of the table that a TOAST table belongs to.
_RELATIONS = """
SELECT n.nspname, c.relname, c.relkind::text, coalesce(pn.nspname, n.nspname), coalesce(p.relname, c.relname)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class p ON p.reltoastrelid = c.oid LEFT JOIN pg_namespace pn ON pn.oid = p.relnamespace
 WHERE c.relkind IN ('r', 'm', 't', 'i', 'S')
"""
_OWN = ("pg_catalog", "information_schema")


def look_for_damage(config: Config, seconds: float) -> Damages:
    """Check every database that has the extension amcheck, for at most so many seconds; ProcessFailed beyond that."""
    deadline = clock.monotonic() + seconds
    with session(config.connection) as sql:
        databases = [str(row[0]) for row in sql.rows("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1")]
        failures = sql.rows(
            "SELECT datname, checksum_failures, checksum_last_failure FROM pg_stat_database"
            " WHERE checksum_failures > 0 AND datname IS NOT NULL ORDER BY 1"
        )
    noted = tuple(f"PostgreSQL counted {count} pages with wrong checksums in {name}, the last at {at}"
                  for name, count, at in failures)  # fmt: skip
    found: List[Damage] = []
    unread: List[str] = []
    for database in databases:
        where = replace(config.connection, dbname=database)
        with session(where) as sql:
            if not sql.rows("SELECT 1 FROM pg_extension WHERE extname = 'amcheck'"):
                unread.append(database)
                continue
            rows = sql.rows(_RELATIONS)
        known = named(database, rows)
        for damage in parse(_amcheck(config, where, (), deadline), known):
            found.append(_all_blocks(config, where, damage, known, deadline))
    return Damages(tuple(found[:_MOST]), tuple(unread), noted)


def named(database: str, rows: Iterable[Sequence[object]]) -> Dict[str, Optional[Damage]]:
    """The relations by what pg_amcheck calls them; None for a name that no command may have. Pure.

    Such a name is one that two relations have, or one that a terminal would not show as it is.
    """
    known: Dict[str, Optional[Damage]] = {}
    for row in rows:
        schema, name, kind, of_schema, of_name = map(str, row)
        what = SYSTEM if of_schema in _OWN else INDEX if kind == "i" else TABLE
        damage = Damage(database, f"{quoted(of_schema)}.{quoted(of_name)}", what)
        word = f"{database}.{schema}.{name}"
        hidden = printable(damage.relation) != damage.relation
        known[word] = None if word in known or hidden else damage
    return known


def parse(text: str, known: Dict[str, Optional[Damage]]) -> List[Damage]:
    """What pg_amcheck complains about, a relation once, with the blocks that it names. Pure."""
    blocks: Dict[str, List[int]] = {}
    words: Dict[str, str] = {}
    here = ""
    for line in text.splitlines():
        head = _HEAD.match(line)
        if head:
            here = head.group(2)
            blocks.setdefault(here, [])
            if head.group(3):
                blocks[here].append(int(head.group(3)))
        elif here and line.startswith(" "):
            words.setdefault(here, line.strip())
            block = _BLOCK.search(line)
            if block:
                blocks[here].append(int(block.group(1)))
    found = []
    for name, numbers in blocks.items():
        # Without a place in the catalog no statement can be made for it.
        damage = known.get(name) or Damage(name.split(".", 1)[0], name, SYSTEM)
        found.append(replace(damage, blocks=tuple(sorted(set(numbers))), words=words.get(name, "")))
    return found


def environment(where: ConnectionConfig) -> Dict[str, str]:
    """libpq's variables for pg_amcheck, which takes the name of a database with ``=`` for a connection string. Pure."""
    return {**libpq_environment(where), "PGDATABASE": conninfo(where.dbname)}


def _amcheck(config: Config, where: ConnectionConfig, words: Sequence[str], deadline: float) -> str:
    argv = [program(config.bin_dir, "pg_amcheck"), "--no-password", *words]
    left = deadline - clock.monotonic()
    if left <= 0:
        raise ProcessFailed("The time for pg_amcheck is over.", "Give it more time: --within.")
    done = run(argv, check=False, env=environment(where), timeout=left)
    if done.status not in (0, 2):
        raise LifeboatError(
            f"pg_amcheck ended with status {done.status}: {(done.stderr or done.stdout).strip()[:300]}",
            "Run it by hand on the host, as the cluster's owner.",
        )
    return done.stdout


def _all_blocks(
    config: Config, where: ConnectionConfig, damage: Damage, known: Dict[str, Optional[Damage]], deadline: float
) -> Damage:
    """A table with every damaged block: it is checked again before and behind each page that cannot be read."""
    if damage.kind != TABLE or not damage.blocks:
        return damage
    with session(where) as sql:
        words = "SELECT pg_relation_size(%s::regclass) / current_setting('block_size')::int"
        pages = int(sql.value(words, (damage.relation,)))

    def check(first: int, last: int) -> List[int]:
        # Quoted as it is, nothing in the name is a pattern.
        words = [f"--table={damage.relation}", "--no-dependent-indexes", "--no-dependent-toast"]
        words += [f"--startblock={first}", f"--endblock={last}"]
        found = parse(_amcheck(config, where, words, deadline), known)
        return [block for one in found for block in one.blocks if first <= block <= last]

    blocks: List[int] = []
    start, more = 0, list(damage.blocks)
    while more:
        # A page that cannot be read takes with it what the check found in the pages before it.
        if min(more) > start:
            blocks += check(start, min(*more, pages) - 1)
        blocks += more
        start = max(more) + 1
        more = check(start, pages - 1) if start < pages and len(blocks) < _MOST_BLOCKS else []
    return replace(damage, blocks=tuple(sorted(set(blocks))))
