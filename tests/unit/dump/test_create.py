# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The statements that restore a database's properties contain nothing but names and string constants."""

from __future__ import annotations

import re
from typing import Any, List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import DatabaseRefused
from lifeboat.dump.create import give_properties, literal, require_properties, split_list
from lifeboat.postgres.identifiers import quoted
from lifeboat.records.model import ArchiveFile
from lifeboat.repository.dumps import Dump, Properties
from support.records import EPOCH, SYSTEM


def a_dump(**properties: Any) -> Dump:
    file = ArchiveFile("data.pgdump.zst", 1, "a" * 64)
    own = Properties(**{"owner": "me", "encoding": "UTF8", "collate": "C", "ctype": "C", **properties})
    return Dump("label", "shop", "main", SYSTEM, "here", EPOCH, "17.2", 170002, 1, file, file, own)


class Said:
    """Records the statements."""

    def __init__(self) -> None:
        self.statements: List[str] = []

    def rows(self, sql: str) -> List[Any]:
        self.statements.append(sql)
        return []


@pytest.mark.parametrize(
    ("stored", "elements"),
    [
        ('"$user", public', ["$user", "public"]),
        ('"Sales Dept", public', ["Sales Dept", "public"]),
        ('"say ""hi"""', ['say "hi"']),
        ('""', [""]),
        ("", []),
        ("x;ALTER/**/ROLE/**/me/**/SUPERUSER;--", ["x;ALTER/**/ROLE/**/me/**/SUPERUSER;--"]),
        ("a b", None),
        ("a,", None),
        (",a", None),
        ('"open', None),
        ('"a"b', None),
    ],
)
def test_a_stored_list_is_read_as_pg_dump_reads_it(stored: str, elements: Optional[List[str]]) -> None:
    assert split_list(stored) == elements


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), max_size=4))
def test_quoted_elements_come_back(elements: List[str]) -> None:
    assert split_list(", ".join(quoted(e) for e in elements)) == elements


# What is left when names and string constants are taken out.
_CONSTANT = re.compile(r"E'(?:[^'\\]|''|\\\\)*'|\"(?:[^\"]|\"\")*\"")


@given(st.sampled_from(["search_path", "temp_tablespaces", "work_mem"]), st.text(max_size=30))
def test_whatever_was_stored_is_a_constant(key: str, value: str) -> None:
    said = Said()
    give_properties(said, a_dump(settings=(f"{key}={value}",)), 'a "name"', privileges=True)  # type: ignore[arg-type]
    (statement,) = said.statements
    assert re.fullmatch(r"ALTER DATABASE  SET  = (, )*", _CONSTANT.sub("", statement))


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=30))
def test_a_comment_and_a_role_are_no_code(role: str, text: str) -> None:
    said = Said()
    own = a_dump(comment=text, role_settings=((role, f"work_mem={text}"),))
    give_properties(said, own, "shop", privileges=True)  # type: ignore[arg-type]
    assert [_CONSTANT.sub("", statement) for statement in said.statements] == [
        "COMMENT ON DATABASE  IS ", "ALTER ROLE  IN DATABASE  SET  = ",
    ]  # fmt: skip


def test_grants_are_privileges() -> None:
    own = a_dump(grants=(("reader", "CONNECT", True),), role_settings=(("reader", "work_mem=1MB"),))
    given, withheld = Said(), Said()
    give_properties(given, own, "shop", privileges=True)  # type: ignore[arg-type]
    assert given.statements[1:] == [
        'REVOKE ALL ON DATABASE "shop" FROM PUBLIC',
        'GRANT CONNECT ON DATABASE "shop" TO "reader" WITH GRANT OPTION',
    ]
    give_properties(withheld, own, "shop", privileges=False)  # type: ignore[arg-type]
    assert withheld.statements == []


def test_a_constant_has_no_end_of_its_own() -> None:
    assert literal("a'b\\") == "E'a''b\\\\'"


def test_impossible_properties_are_refused() -> None:
    require_properties(a_dump(settings=('search_path="a b", c', "pg_x.y=1"), grants=(("", "CONNECT", False),)))
    for wrong in (
        {"settings": ('x" = 1; --=1',)},
        {"settings": ("work_mem",)},
        {"role_settings": (("me", 'x" = 1; --=1'),)},
        {"settings": ("Search_Path=a b",)},
        {"grants": (("", "ALL", False),)},
        {"provider": "libc"},
    ):
        with pytest.raises(DatabaseRefused):
            require_properties(a_dump(**wrong))
