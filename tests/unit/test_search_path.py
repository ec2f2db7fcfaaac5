# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No session starts with a search path set by a database's owner: all ways to start one are covered."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Iterator, List, Tuple

import lifeboat
import pytest
from lifeboat.config.sections import ConnectionConfig
from lifeboat.postgres.connection import PATH_OPTION, libpq_environment
from support.stores import ROOT

ENGINE = Path(lifeboat.__path__[0])
#: PostgreSQL's programs that open a session.
PROGRAMS = ("psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_amcheck", "pg_receivewal")
#: Who may take a database's own path, and why that is no way up.
OWN_PATH = {
    "postgres/connection.py": "where it is defined",
    "postgres/relations.py": "one statement without operators, each name with its schema",
    "restore_test/questions.py": "a role that may only read, in a scratch",
}


def sources() -> Iterator[Tuple[str, str]]:
    for path in sorted(ENGINE.rglob("*.py")):
        yield path.relative_to(ENGINE).as_posix(), path.read_text()


def test_connections_are_made_in_one_place() -> None:
    assert [name for name, text in sources() if re.search(r"import psycopg2|\bpg\.connect\(", text)] == [
        "postgres/connection.py"
    ]
    assert {name for name, text in sources() if "own_path=" in text or "own_path:" in text} == set(OWN_PATH)


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_get_the_path_with_their_connection(program: str) -> None:
    users = [(name, text) for name, text in sources() if f'"{program}"' in text]
    assert users and all("libpq_environment(" in text for _name, text in users)
    assert PATH_OPTION in libpq_environment(ConnectionConfig())["PGOPTIONS"]


def test_each_psql_of_a_role_has_the_path() -> None:
    found: List[str] = []
    for path in sorted((ROOT / "roles").rglob("*.yml")):
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines):
            if not re.fullmatch(r'\s*- "?(\{\{.*\}\}/)?(psql|pg_amcheck)"?', line):
                continue
            before, after = lines[number - 1], "\n".join(lines[number : number + 14])
            inside = "search_path=pg_catalog,pg_temp" in before or "__restore_options" in before + after
            # The file sets it by itself, before any other statement.
            assert inside or "'ask.sql'" in after, f"{path}:{number + 1}"
            found.append(path.parts[-3])
    assert sorted(set(found)) == ["application", "drill", "incident", "restore", "standby", "wal_archive"]
