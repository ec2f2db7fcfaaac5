# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository lacks compared with another: everything finished, in an order that never promises too much."""

from __future__ import annotations

from typing import Dict, List, Set

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.repository.kinds import kind_of
from lifeboat.repository.labels import make_label
from lifeboat.repository.lag import Lag, by_owner, find_lag
from lifeboat.repository.layout import Layout
from lifeboat.store.protocol import ObjectInfo
from support.records import SYSTEM, moment

LAYOUT = Layout("main")
LABELS = [make_label(moment(n), "full") for n in range(3)]
DRILLS = [f"{LAYOUT.drills}{label[:16]}-server/" for label in LABELS]
RECORDS = [*(LAYOUT.manifest(label) for label in LABELS), *(f"{drill}manifest.json" for drill in DRILLS)]
DATA = [LAYOUT.backup(label, name) for label in LABELS for name in ("base.tar.zst", "backup_manifest")]
REPORTS = [f"{drill}{name}" for drill in DRILLS for name in ("report.json", "SHA256SUMS")]
WAL = [LAYOUT.wal(SYSTEM, f"0000000100000000{n:08X}") for n in range(4)]
CORE = [LAYOUT.repository, LAYOUT.system(SYSTEM), LAYOUT.wal(SYSTEM, "00000002.history"), LAYOUT.epoch(SYSTEM, 1)]
HOLDS = [LAYOUT.hold(LABELS[0], moment(9), "0a1b2c3d")]
FOREIGN = ["main/notes", LAYOUT.lease("restores", "0123456789ab", "begun"), LAYOUT.verification(moment(9), "0a1b2c3d")]
AUDIT = [LAYOUT.audit_event("db1.postgres", moment(n), n) for n in (1, 2)]
ERASURES = [LAYOUT.erasure(moment(9), "0a1b2c3d")]
LAST = [*HOLDS, *AUDIT, *ERASURES]
ALL = [*RECORDS, *DATA, *REPORTS, *WAL, *CORE, *LAST, *FOREIGN]


def infos(keys: List[str], size: int = 10) -> List[ObjectInfo]:
    return [ObjectInfo(key, size, moment(0)) for key in keys]


def sizes(keys: Set[str], size: int = 10) -> Dict[str, int]:
    return dict.fromkeys(keys, size)


@given(st.sets(st.sampled_from(ALL)), st.sets(st.sampled_from(ALL)))
def test_all_that_is_finished_is_copied_and_nothing_else(there: Set[str], have: Set[str]) -> None:
    lag = find_lag("main", infos(sorted(there)), sizes(have))
    keys = [item.info.key for item in lag.lacking]
    kinds = {key: kind_of("main", key) for key in ALL}
    whole = {kinds[key].owner for key in RECORDS if key in there}
    assert set(keys) == {
        key
        for key in there - have - set(FOREIGN)
        if kinds[key].name not in ("backup", "drill") or kinds[key].owner in whole
    }
    # A record comes after everything that it promises, and whose all that is before anything else.
    assert keys == sorted(keys, key=lambda key: key in RECORDS or key in LAST)
    assert keys[: len(set(keys) & set(CORE[:2]))] == sorted(set(keys) & set(CORE[:2]))
    assert lag.bytes == 10 * len(keys) and sum(by_owner(lag.lacking).values()) == len(keys)
    assert not lag.conflicts


def test_another_content_under_the_same_name_is_reported() -> None:
    lag = find_lag("main", infos(ALL), sizes(set(ALL), 11))
    assert not lag.lacking
    # WAL may be compressed in another way, and each repository has a record of its own.
    assert set(lag.conflicts) == {*RECORDS, *DATA, *REPORTS, *CORE[2:], *AUDIT, *ERASURES}


def test_an_incident_may_have_another_event_elsewhere() -> None:
    event = LAYOUT.incident_event("20261122T020000Z-db1", 2)
    assert find_lag("main", infos([event]), sizes({event}, 11)) == Lag((), ())
    assert [item.info.key for item in find_lag("main", infos([event]), {}).lacking] == [event]


def test_pieces_are_copied_until_their_segment_is_complete() -> None:
    names = [f"0000000100000000{n:08X}" for n in range(2)]
    pieces = [LAYOUT.wal_piece(SYSTEM, name, 0, 0x2000) for name in names]
    lag = find_lag("main", infos([*pieces, WAL[0]]), {})
    assert {item.info.key for item in lag.lacking} == {pieces[1], WAL[0]}


def test_how_far_wal_is_acknowledged_comes_before_the_wal() -> None:
    """An interrupted copy then finds what is missing."""
    mark = LAYOUT.wal_acknowledged(SYSTEM, "000000010000000000000003")
    lag = find_lag("main", infos([*CORE, *WAL, mark, *DATA, *RECORDS]), {})
    keys = [item.info.key for item in lag.lacking]
    assert keys.index(mark) == min(keys.index(key) for key in WAL) - 1


def test_a_segment_has_one_form() -> None:
    sealed = [f"{key}.age" for key in WAL]
    assert not find_lag("main", infos(WAL), sizes(set(sealed))).lacking
    assert not find_lag("main", infos(sealed), sizes(set(WAL))).lacking
    assert len(find_lag("main", infos(sealed), {}).lacking) == len(sealed)


def test_what_the_listings_tell_to_be_other_bytes_is_in_doubt() -> None:
    """WAL of another size, and anything with a different MD5; if one of them has no MD5, the size must suffice."""
    one = [ObjectInfo(key, 10, moment(0), "a" * 32) for key in ALL]
    size = sizes(set(ALL))
    assert not find_lag("main", one, size, dict.fromkeys(ALL, "a" * 32)).doubtful
    assert not find_lag("main", one, size).doubtful and not find_lag("main", infos(ALL), size, {WAL[0]: "b"}).doubtful
    told = find_lag("main", one, size, {WAL[0]: "b" * 32, RECORDS[0]: "b" * 32, CORE[0]: "b" * 32, HOLDS[0]: "b" * 32})
    assert {item.info.key for item in told.doubtful} == {WAL[0], RECORDS[0]} and not told.conflicts
    assert [item.info.key for item in find_lag("main", infos(WAL), {**size, WAL[1]: 11}).doubtful] == [WAL[1]]
    piece = LAYOUT.wal_piece(SYSTEM, "000000010000000000000009", 0, 8192)
    assert not find_lag("main", infos([piece]), {piece: 11}).doubtful
