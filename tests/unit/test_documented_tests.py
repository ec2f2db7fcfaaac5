# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every test that a page cites as evidence exists, and every row of the threat model cites one."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import List, Tuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PLACES = (ROOT / "tests", ROOT)
PAGES = ("compliance.md", "threat-model.md")
_CITED = re.compile(r"`((?:[\w/-]+\.py)?)((?:::\w+)?)`")


def rows(page: str) -> List[str]:
    return [line for line in (ROOT / "docs" / page).read_text().splitlines() if line.startswith("|")]


def cited(row: str) -> List[Tuple[str, str]]:
    """File and function of each citation; ``::name`` alone refers to the file cited before it."""
    found: List[Tuple[str, str]] = []
    for file, function in _CITED.findall(row):
        if file or function:
            found.append((file or found[-1][0], function[2:]))
    return found


def functions(path: Path) -> List[str]:
    return [node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]


@pytest.mark.parametrize("page", PAGES)
def test_every_cited_test_exists(page: str) -> None:
    citations = [citation for row in rows(page) for citation in cited(row)]
    assert citations
    for file, function in citations:
        path = next((place / file for place in PLACES if (place / file).is_file()), None)
        assert path is not None, f"{page} cites {file}, which is not there"
        assert not function or function in functions(path), f"{page} cites {file}::{function}, which is not there"


def test_every_row_of_the_threat_model_cites_a_test() -> None:
    found = [row for row in rows("threat-model.md") if not row.startswith(("| ---", "| who could |"))]
    assert found
    for row in found:
        assert cited(row), f"this row cites no test: {row}"
