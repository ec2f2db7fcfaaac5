# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pg_amcheck prints is looked up in the catalog; what owners call their relations is no statement."""

from __future__ import annotations

import shlex

from lifeboat.assess.commands import reindex
from lifeboat.assess.damage import environment, named, parse
from lifeboat.assess.facts import INDEX, SYSTEM, TABLE, Damage, Server
from lifeboat.config.sections import ConnectionConfig

ROWS = [
    ("public", "orders", "r", "public", "orders"),
    ("public", "by.note", "i", "public", "by.note"),
    ("public.by", "note", "i", "public.by", "note"),
    ("pg_toast", "pg_toast_16390", "t", "public", "orders"),
    ("pg_toast", "pg_toast_16390_index", "i", "pg_toast", "pg_toast_16390_index"),
    ("pg_catalog", "pg_class", "r", "pg_catalog", "pg_class"),
    ("pg_catalog", "pg_class_oid_index", "i", "pg_catalog", "pg_class_oid_index"),
    ("public", 'x"; DROP', "i", "public", 'x"; DROP'),
]
# As PostgreSQL 17 prints it.
OUTPUT = """\
heap table "shop.public.orders", block 3, offset 5:
    line pointer to page offset 8191 is not maximally aligned
heap table "shop.public.orders":
    ERROR:  invalid page in block 7 of relation base/16385/16390
btree index "shop.pg_toast.pg_toast_16390_index":
    ERROR:  item order invariant violated for index "pg_toast_16390_index"
    DETAIL:  Lower index tid=(1,2)
btree index "shop.pg_catalog.pg_class_oid_index":
    ERROR:  invalid page in block 2 of relation base/16385/2662
heap table "shop.pg_toast.pg_toast_16390", block 0, offset 1:
    xmin 5 precedes oldest valid transaction ID
"""


def test_relations_and_blocks_are_named() -> None:
    found = parse(OUTPUT, named("shop", ROWS))
    assert [(d.relation, d.kind, d.blocks) for d in found] == [
        ('"public"."orders"', TABLE, (3, 7)),
        ('"pg_toast"."pg_toast_16390_index"', INDEX, ()),
        ('"pg_catalog"."pg_class_oid_index"', SYSTEM, (2,)),
        # A TOAST table cannot be restored without the table that it belongs to.
        ('"public"."orders"', TABLE, (0,)),
    ]
    assert found[0].words == "line pointer to page offset 8191 is not maximally aligned"


def test_a_name_that_two_relations_share_or_that_is_in_no_catalog_is_never_built_again() -> None:
    text = 'btree index "shop.public.by.note":\n    ERROR:  x\nbtree index "shop.public.nobody":\n    ERROR:  x\n'
    assert [d.kind for d in parse(text, named("shop", ROWS))] == [SYSTEM, SYSTEM]


def test_a_name_with_control_characters_gets_no_statement() -> None:
    rows = [("public", "x\x1b[2Jy", "i", "public", "x\x1b[2Jy")]
    (damage,) = parse('btree index "shop.public.x\x1b[2Jy":\n    ERROR:  x\n', named("shop", rows))
    assert damage.kind == SYSTEM


def test_the_name_of_an_index_is_one_word_of_the_command_and_one_identifier_of_the_statement() -> None:
    (damage,) = parse('btree index "shop.public.x"; DROP":\n    ERROR:  x\n', named("shop", ROWS))
    words = shlex.split(reindex([damage], Server("primary", host="/run/my sockets")))
    assert words[-1] == '--command=REINDEX INDEX "public"."x""; DROP"' and "--host=/run/my sockets" in words
    assert "PGOPTIONS=-c search_path=pg_catalog,pg_temp" in words


def test_the_name_of_a_database_leads_pg_amcheck_to_no_other_server() -> None:
    # Whoever may create databases would otherwise get the password.
    told = environment(ConnectionConfig(host="/run/postgresql", password="secret", dbname="host=192.0.2.1 user=x"))
    assert (told["PGHOST"], told["PGDATABASE"]) == ("/run/postgresql", "dbname='host=192.0.2.1 user=x'")


def test_a_database_is_named_as_a_connection_string() -> None:
    words = shlex.split(reindex([Damage("a=b 'c'", '"s"."i"', INDEX)], Server("primary")))
    assert "--dbname=dbname='a=b \\'c\\''" in words
