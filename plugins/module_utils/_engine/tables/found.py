# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find tables of the scratch cluster by name, make them independent of others, and rename them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

from ..base.errors import TableMissing
from ..config.sections import ConnectionConfig
from ..postgres.connection import Session
from ..postgres.identifiers import quoted, with_end
from ..postgres.relations import count_rows, find_oid, refuse_code

# A partitioned table comes with its partitions, parents first.
_RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text, coalesce(p.isleaf, true)
  FROM pg_partition_tree(%s::oid) p JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
 ORDER BY p.level, c.oid
"""
_RELATION = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text, true
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s::oid
"""
# The indexes and sequences of a table, which have names in its schema.
_PARTS = """
WITH asked AS (SELECT %s::oid AS oid)
SELECT 'INDEX', n.nspname, c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indrelid = (SELECT oid FROM asked)
UNION ALL
SELECT 'SEQUENCE', n.nspname, c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = (SELECT oid FROM asked)
   AND d.deptype IN ('a', 'i')
ORDER BY 1, 2, 3
"""
_FOREIGN = """
SELECT conname FROM pg_constraint
 WHERE conrelid = %s::oid AND contype = 'f' AND conparentid = 0 AND NOT confrelid = ANY (%s::oid[])
"""
_TRIGGERS = "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::oid AND NOT tgisinternal AND tgparentid = 0"
_THERE = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') ORDER BY 1 LIMIT 50
"""


@dataclass(frozen=True)
class Relation:
    """A table, a partitioned table (``kind`` p) or a partition, by its schema and its name there."""

    oid: int
    schema: str
    name: str
    kind: str = "r"

    @property
    def quoted(self) -> str:
        """The name for a statement, and as a pattern of ``pg_dump``."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


def find_tables(
    sql: Session, where: ConnectionConfig, database: str, names: Sequence[str], moment: str
) -> Tuple[Relation, ...]:
    """The tables of these names, resolved by the database, with their partitions; TableMissing if there is none."""
    found: Dict[int, Relation] = {}
    for name in names:
        oid = find_oid(where, database, name)
        kind = sql.value("SELECT relkind::text FROM pg_class WHERE oid = %s::oid", [oid]) if oid else None
        if kind not in ("r", "p"):
            there = ", ".join(str(row[0]) for row in sql.rows(_THERE)) or "none"
            what = f"There is no table {name}" if oid is None else f"{name} is not a table"
            raise TableMissing(
                f"{what} {moment}; there are: {there}.",
                "Correct the name (with its schema, quoted as in SQL), or choose a time at which it existed.",
                table=name,
            )
        for row in sql.rows(_RELATIONS if kind == "p" else _RELATION, [oid]):
            found[int(row[0])] = Relation(int(row[0]), str(row[1]), str(row[2]), str(row[3]))
    return tuple(found.values())


def stand_alone(sql: Session, tables: Sequence[Relation]) -> List[str]:
    """Drop their triggers, and their foreign keys to other tables; returns a description of each."""
    oids, dropped = [t.oid for t in tables], []
    for table in tables:
        for (name,) in sql.rows(_FOREIGN, [table.oid, oids]):
            sql.rows(f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quoted(name)}")
            dropped.append(f"foreign key {name} of {table.schema}.{table.name}")
        for (name,) in sql.rows(_TRIGGERS, [table.oid]):
            sql.rows(f"DROP TRIGGER {quoted(name)} ON {table.quoted}")
            dropped.append(f"trigger {name} of {table.schema}.{table.name}")
    return dropped


def rename(sql: Session, tables: Sequence[Relation], suffix: str) -> Tuple[Relation, ...]:
    """Rename them, their indexes and their sequences with the suffix."""
    renamed = []
    for table in tables:
        for kind, schema, name in sql.rows(_PARTS, [table.oid]):
            sql.rows(f"ALTER {kind} {quoted(schema)}.{quoted(name)} RENAME TO {quoted(with_end(name, suffix))}")
        fresh = with_end(table.name, suffix)
        sql.rows(f"ALTER TABLE {table.quoted} RENAME TO {quoted(fresh)}")
        renamed.append(Relation(table.oid, table.schema, fresh, table.kind))
    return tuple(renamed)


def count(sql: Session, tables: Sequence[Relation]) -> Dict[str, int]:
    """The row count of each table that has rows itself, by quoted name."""
    sql.rows("SET row_security = off")
    refuse_code(sql)
    return {t.quoted: count_rows(sql, t.quoted) for t in tables if t.kind == "r"}
