# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files a delta restore keeps: those in the manifest that pg_verifybackup does not report."""

from __future__ import annotations

from typing import Set

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.restore.delta import Same, by_archive, unnamed

SAID = "pg_verifybackup: error: "
LISTED = ["base/1/1", "base/1/2", "base/1/3", "global/1", "pg_tblspc/16385/PG_17_2/5/7"]
COMPLAINTS = [
    'checksum mismatch for file "{}"',
    '"{}" has size 8192 on disk but size 16384 in the manifest',
    '"{}" is present in the manifest but not on disk',
    'file "{}" should contain 8192 bytes, but read 4096 bytes',
]


@given(st.sets(st.sampled_from(LISTED)), st.sampled_from(COMPLAINTS), st.booleans())
def test_what_is_complained_about_is_not_kept(bad: Set[str], words: str, stranger: bool) -> None:
    lines = [SAID + words.format(name) for name in sorted(bad)]
    lines += [SAID + '"stranger" is present on disk but not in the manifest'] if stranger else []
    assert unnamed(LISTED, 1 if lines else 0, "\n".join(lines)) == Same(frozenset(LISTED) - bad)


@pytest.mark.parametrize(
    "line",
    [
        'could not open file "/data/base/1/1": Permission denied',
        "could not parse backup manifest: manifest checksum mismatch",
        "/data/global/pg_control: CRC is incorrect",
    ],
)
def test_after_other_words_nothing_is_kept(line: str) -> None:
    known = SAID + COMPLAINTS[0].format("base/1/1")
    same = unnamed(LISTED, 1, f"{known}\n{SAID}{line}\n")
    assert not same.files and line in str(same.useless)


def test_a_failure_without_words_and_words_without_a_failure_keep_nothing() -> None:
    assert unnamed(LISTED, 1, "") == Same(frozenset(), "no complaint (exit status 1)")
    assert not unnamed(LISTED, 0, SAID + COMPLAINTS[0].format("base/1/1")).files


def test_what_is_never_kept() -> None:
    never = [
        "postgresql.auto.conf",
        "global/pg_control",
        "lifeboat_restore.json",
        "pg_wal/x",
        "a\nb",
        "recovery.signal",
    ]
    assert unnamed([*LISTED, *never], 0, "") == Same(frozenset(LISTED))


def test_names_are_those_of_the_archives() -> None:
    assert by_archive(LISTED) == {None: {"base/1/1", "base/1/2", "base/1/3", "global/1"}, "16385": {"PG_17_2/5/7"}}
