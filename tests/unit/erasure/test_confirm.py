# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which erasures need a confirmation, and how they are shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lifeboat.base.errors import ErasureFailed, ErasuresUnconfirmed
from lifeboat.erasure.confirm import printable, require_confirmed, unconfirmed
from lifeboat.repository.erasures import ErasureRequest, deletion, load_erasure, make_erasure
from support.records import EPOCH

ASKED = ErasureRequest("shop", "crm.people", "id", "4711")
DEFAULT = make_erasure(ASKED, EPOCH, "me")
OWN = make_erasure(replace(ASKED, statement="SELECT crm.forget(%(key_hash)s)"), EPOCH, "me")


def test_a_statement_and_what_came_late_wait_for_a_confirmation() -> None:
    late = frozenset([DEFAULT.confirmation])
    assert unconfirmed([DEFAULT, OWN], frozenset(), ()) == [OWN]
    assert unconfirmed([DEFAULT, OWN], late, [OWN.confirmation]) == [DEFAULT]
    assert unconfirmed([DEFAULT, OWN], late, [OWN.confirmation, DEFAULT.confirmation]) == []
    with pytest.raises(ErasuresUnconfirmed, match=r"SELECT crm\.forget") as raised:
        require_confirmed([DEFAULT, OWN], frozenset(), ())
    assert raised.value.details["unconfirmed"] == [OWN.shown()] and OWN.confirmation in raised.value.message


def test_the_id_alone_confirms_nothing_and_neither_does_another_content() -> None:
    other = replace(OWN, statement="SELECT crm.forget(%(salt)s)")
    assert other.id == OWN.id
    for given in (OWN.id, OWN.confirmation):
        assert unconfirmed([other], frozenset(), [given]) == [other]
    # Neither the statement's parameters nor the key can be exchanged.
    for changed in (replace(OWN, parameters={"a": "b"}), replace(OWN, key_hash="0"), replace(OWN, database="other")):
        assert changed.confirmation != OWN.confirmation


def test_nothing_hides_on_a_terminal() -> None:
    assert printable("a\nb\tü") == "a b ü"
    assert printable("\x1b[8m\u202edrop\r") == "\\u001b[8m\\u202edrop\\u000d"


def test_a_deletion_has_no_unqualified_name() -> None:
    assert deletion('"crm"."people"', "id", hash_key=False) == (
        'DELETE FROM "crm"."people" WHERE "id"::pg_catalog.text OPERATOR(pg_catalog.=) %(key)s'
    )
    assert deletion('"odd%"."x"', "i%d", hash_key=True).count("%%") == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"statement": 5}, {"statement": None}, {"table": ["a"]}, {"key": {"a": 1}}, {"parameters": {"a": 1}},
        {"column": "a\0b"}, {"by": "\ud800"},
    ],
)  # fmt: skip
def test_a_record_of_other_types_is_none(wrong: dict[str, object]) -> None:
    raw = replace(OWN, **wrong).record()  # type: ignore[arg-type]
    with pytest.raises(ErasureFailed):
        load_erasure(raw, "it")
