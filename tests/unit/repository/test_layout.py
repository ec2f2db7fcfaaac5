# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The keys of a repository, and invalid labels of backups."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment, history_name, is_wal_file
from lifeboat.repository.labels import is_label, make_label
from lifeboat.repository.layout import Layout, is_sealed, wal_name

names = st.builds(
    lambda timeline, number, suffix: (
        history_name(timeline) if suffix == "history" else Segment(timeline, number).name + suffix
    ),
    st.integers(1, 2**32 - 1),
    st.integers(0, 2**40 - 1),
    st.sampled_from(["", ".partial", ".00000028.backup", "history"]),
)


@given(names)
def test_the_key_of_a_wal_file_gives_its_name_back(name: str) -> None:
    key = Layout("main").wal("7", name)
    assert is_wal_file(name)
    assert wal_name(key) == name
    forms = Layout("main").wal_forms("7", name, sealed_first=True)
    assert {wal_name(form) for form in forms} == {name}
    # What has data is looked for in both forms; a history has none.
    assert [is_sealed(form) for form in forms] == ([False] if name.endswith("history") else [True, False])
    assert Layout("main").wal_forms("7", name) == forms[::-1]
    assert key.startswith("main/wal/7/")


def test_keys_as_the_format_documents_them() -> None:
    layout = Layout("main")
    assert layout.wal("7", "00000001000000020000000A") == "main/wal/7/00000001/00000002/00000001000000020000000A.zst"
    assert layout.wal_forms("7", "00000001000000020000000A")[1].endswith("/00000001000000020000000A.zst.age")
    digest = layout.wal_digest("7", "00000001000000020000000A")
    assert digest == "main/wal/7/sha256/00000001/00000002/00000001000000020000000A"
    assert layout.wal("7", "00000002.history") == "main/wal/7/00000002.history"
    assert layout.wal_log("7", 1, 2) == "main/wal/7/00000001/00000002/"
    assert layout.manifest("20261122T020000Z-full") == "main/backups/20261122T020000Z-full/manifest.json"
    assert layout.system("7") == "main/systems/7.json"
    assert layout.repository == "main/repository.json"


@given(names)
def test_a_timelines_wal_lies_below_its_prefix(name: str) -> None:
    layout = Layout("main")
    if not name.endswith("history"):
        assert layout.wal("7", name).startswith(layout.wal_log("7", int(name[:8], 16), int(name[8:16], 16)))


moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda d: d.replace(tzinfo=timezone.utc))  # noqa: DTZ001


@given(st.tuples(moments, moments), st.integers(-14 * 60, 14 * 60))
def test_labels_sort_by_time_whatever_the_zone(pair: tuple[datetime, datetime], offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    first, second = sorted(pair)
    labels = [make_label(first.astimezone(zone), "full"), make_label(second, "full")]
    assert labels == sorted(labels)
    assert all(is_label(label) for label in labels)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261122T020000Z",
        "20261122T020000Z-",
        "20261122T020000Z-copy",
        "x20261122T020000Z-full",
        "20261122T020000Z-full\n",
        "20261122T020000Z-full/",
        "..",
        "٢٠261122T020000Z-full",
    ],
)
def test_strings_that_are_not_labels(text: str) -> None:
    assert not is_label(text)
