# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which versions of a bucket's objects existed at a time."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from random import Random
from typing import Dict, List, Optional, Tuple

from hypothesis import given
from hypothesis import strategies as st
from lifeboat.store.s3.versions import Version, as_it_was

BEGIN = datetime(2026, 11, 22, tzinfo=timezone.utc)
# What happens to which key: a put, or a delete; one thing in each second.
LIFE = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30)


def at(second: int) -> datetime:
    return BEGIN + timedelta(seconds=second)


@given(LIFE, st.integers(-1, 31), st.randoms())
def test_a_bucket_is_seen_as_it_was(life: List[Tuple[str, bool]], second: int, order: Random) -> None:
    there: Dict[str, Optional[str]] = {}
    versions = []
    for number, (key, put) in enumerate(life):
        versions.append(Version(key, f"v{number}", at(number), 1, marker=not put))
        if number <= second:
            there[key] = f"v{number}" if put else None
    order.shuffle(versions)
    seen = {key: version.id for key, version in as_it_was(versions, at(second)).items()}
    assert seen == {key: version for key, version in there.items() if version}


def test_within_a_second_the_first_listed_is_the_newest_and_objects_precede_markers() -> None:
    new, old = Version("a", "new", BEGIN, 2), Version("a", "old", BEGIN, 1)
    hidden = Version("a", "hidden", BEGIN, marker=True)
    assert as_it_was([new, old, hidden], BEGIN) == {"a": new}
    assert as_it_was([hidden, new], BEGIN) == {"a": new}
    assert as_it_was([hidden], BEGIN) == {}
