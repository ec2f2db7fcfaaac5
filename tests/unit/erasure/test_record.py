# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a registered erasure is, and which erasures a restored cluster does not contain."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError, ErasureFailed
from lifeboat.repository.erasures import (
    MARGIN,
    ErasureRequest,
    default_statement,
    due,
    hashed,
    load_erasure,
    make_erasure,
)
from support.records import EPOCH, moment

ASKED = ErasureRequest("shop", "crm.people", "id", "4711", reference="DSR-12")


@given(st.lists(st.integers(-100_000, 100_000), max_size=20), st.integers(-100_000, 100_000))
def test_what_came_after_the_moment_is_due_in_its_order(seconds: list[int], reached: int) -> None:
    register = [replace(make_erasure(ASKED, EPOCH, "me"), erased_at=moment(s)) for s in seconds]
    found = due(register, moment(reached))
    assert [e.erased_at for e in found] == sorted(e.erased_at for e in found)
    assert {e.id for e in register if e.erased_at > moment(reached)} <= {e.id for e in found}
    assert all(e.erased_at > moment(reached) - MARGIN for e in found)
    assert len(found) == len([s for s in seconds if moment(s) > moment(reached) - MARGIN])


def test_a_record_keeps_all_of_it_and_a_hashed_one_not_the_key() -> None:
    clear = make_erasure(replace(ASKED, hash_key=False, parameters={"mail": "a@b.c"}), EPOCH, "me")
    sealed = make_erasure(ASKED, EPOCH, "me")
    for erasure in (clear, sealed):
        assert load_erasure(erasure.record(), "it") == erasure
    assert b"4711" not in sealed.record() and b"4711" in clear.record()
    assert sealed.key_hash == hashed(sealed.salt or "", "4711")
    # Two of one key look like two strangers.
    assert make_erasure(ASKED, EPOCH, "me").key_hash != sealed.key_hash
    for word in ("4711", "a@b.c"):
        assert word not in repr(clear) + str(clear.shown()) + repr(ASKED)
    with pytest.raises(ErasureFailed, match=r"Cannot read the registered erasure .*erasures/it"):
        load_erasure(clear.record().replace(b"4711", b"4712"), "erasures/it")


def test_the_same_is_known_again() -> None:
    for asked in (ASKED, replace(ASKED, hash_key=False)):
        erasure = make_erasure(asked, EPOCH, "me")
        assert erasure.is_of(asked) and erasure.is_of(replace(asked, erased_at=EPOCH + timedelta(1)))
        for other in (
            replace(asked, key="4712"),
            replace(asked, table="crm.others"),
            replace(asked, hash_key=not asked.hash_key),
            replace(asked, reference="DSR-13"),
            replace(asked, statement="SELECT 1"),
        ):
            assert not erasure.is_of(other)


def test_a_later_erasure_of_the_same_subject_is_another_one() -> None:
    erasure = make_erasure(ASKED, EPOCH, "me")
    assert erasure.covers(ASKED) and erasure.covers(replace(ASKED, erased_at=erasure.erased_at))
    assert erasure.covers(replace(ASKED, erased_at=erasure.erased_at - timedelta(1)))
    assert not erasure.covers(replace(ASKED, erased_at=erasure.erased_at + timedelta(seconds=1)))
    assert not erasure.covers(replace(ASKED, key="4712"))


def test_names_are_quoted() -> None:
    words = default_statement('odd schema.ta"ble%', "Id", True)
    assert words.startswith('DELETE FROM "odd schema"."ta""ble%%" WHERE ') and '"Id"::text' in words
    assert default_statement("people", "id", False) == 'DELETE FROM "people" WHERE "id"::text = %(key)s'


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"key": ""}, "no key"),
        ({"table": ""}, "no table"),
        ({"statement": "DELETE FROM x WHERE id = %(key)s"}, r"%\(key\)s"),
        ({"statement": "DELETE FROM x WHERE id LIKE 'a%'"}, "'%'"),
        ({"statement": "SELECT %(key)s, %(mail)s", "hash_key": False}, r"%\(mail\)s"),
    ],
)
def test_an_impossible_erasure_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(ASKED, **changes)
