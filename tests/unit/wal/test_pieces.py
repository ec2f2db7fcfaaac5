# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pieces form the beginning of a segment, and that they count only after the complete segments."""

from __future__ import annotations

import struct
from datetime import datetime, timezone
from pathlib import Path
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.wal_names import Segment
from lifeboat.codec import zstd
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.postgres.timeline import path_to
from lifeboat.repository.layout import Layout, piece_of, wal_name
from lifeboat.repository.repository import Repository
from lifeboat.wal.inventory import Run, archived, find_run
from lifeboat.wal.pieces import NO_TAIL, Piece, contiguous, follow, read_pieces

SIZE = 2**20
SYSTEM = "7"
NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
stretches = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 30)).map(lambda t: (t[0], t[0] + t[1])))


@given(stretches)
def test_the_chosen_pieces_cover_from_zero_on_as_far_as_any_can(found: List[Tuple[int, int]]) -> None:
    chosen = contiguous([Piece(a, b, "", NOW, 1) for a, b in found])
    end = 0
    for piece in chosen:
        assert piece.start <= end < piece.stop
        end = piece.stop
    held = {i for a, b in found for i in range(a, b)}
    assert end == next(i for i in range(100) if i not in held)


@given(st.integers(0, 2**30), st.integers(0, 2**30))
def test_a_pieces_key_gives_its_offsets_back_and_is_no_segment(start: int, stop: int) -> None:
    name = Segment(1, 5, SIZE).name
    key = Layout("main").wal_piece(SYSTEM, name, start, stop)
    assert piece_of(key) == (name, start, stop)
    assert wal_name(key) != name
    assert piece_of(Layout("main").wal(SYSTEM, name)) is None
    assert piece_of(Layout("main").wal(SYSTEM, name + ".partial")) is None


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.open(RepositoryConfig("repo", DirectoryOptions(str(tmp_path))), "main")


def content(number: int) -> bytes:
    head = struct.pack("=HHIQI4xQII", 0xD110, 2, 1, number * SIZE, 0, int(SYSTEM), SIZE, 8192)
    return (head + bytes(range(1, 256)) * (SIZE // 255 + 1))[:SIZE]


def store(repository: Repository, number: int, start: int, stop: int, data: bytes = b"") -> None:
    key = repository.layout.wal_piece(SYSTEM, Segment(1, number, SIZE).name, start, stop)
    repository.store.put(key, data or zstd.compress(content(number)[start:stop]))


def run_of(repository: Repository, *numbers: int) -> Run:
    for number in numbers:
        repository.store.put(repository.layout.wal(SYSTEM, Segment(1, number, SIZE).name), b"x")
    return find_run(path_to(1, {}), SIZE, SIZE, archived(repository, SYSTEM, [1], SIZE, SIZE))


def test_pieces_are_put_together_and_filled_up_with_zeros(repository: Repository) -> None:
    for start, stop in ((0, 100), (100, 5000), (50, 200), (6000, 7000)):
        store(repository, 3, start, stop)
    pieced = read_pieces(repository, SYSTEM, Segment(1, 3, SIZE).name)
    assert (pieced.end, pieced.damaged) == (5000, "")
    assert pieced.content == content(3)[:5000] + bytes(SIZE - 5000)


@pytest.mark.parametrize("damaged", [b"no zstd", zstd.compress(b"short")])
def test_a_damaged_piece_ends_them(repository: Repository, damaged: bytes) -> None:
    store(repository, 3, 0, 100)
    store(repository, 3, 100, 200, damaged)
    store(repository, 3, 200, 300)
    pieced = read_pieces(repository, SYSTEM, Segment(1, 3, SIZE).name)
    assert pieced.end == 100
    assert "00000064-000000C8" in pieced.damaged
    assert pieced.content == content(3)[:100] + bytes(SIZE - 100)


def test_another_clusters_pieces_are_none(repository: Repository) -> None:
    key = repository.layout.wal_piece("8", Segment(1, 3, SIZE).name, 0, 100)
    repository.store.put(key, zstd.compress(content(3)[:100]))
    assert read_pieces(repository, "8", Segment(1, 3, SIZE).name).end == 0


def test_pieces_follow_the_complete_segments(repository: Repository) -> None:
    run = run_of(repository, 1, 2)
    store(repository, 3, 0, SIZE)
    store(repository, 4, 0, 500)
    store(repository, 5, 0, 500)
    tail = follow(repository, SYSTEM, path_to(1, {}), run)
    assert [s.number for s in tail.segments] == [3, 4]
    assert tail.end == 4 * SIZE + 500


def test_pieces_end_no_gap_and_are_no_segment(repository: Repository) -> None:
    store(repository, 1, 0, SIZE)
    empty = find_run(path_to(1, {}), SIZE, SIZE, archived(repository, SYSTEM, [1], SIZE, SIZE))
    assert empty.segments == ()
    assert follow(repository, SYSTEM, path_to(1, {}), empty) == NO_TAIL
    run = run_of(repository, 1, 3)
    store(repository, 2, 0, SIZE)
    assert run.missing == (Segment(1, 2, SIZE).name,)
    assert follow(repository, SYSTEM, path_to(1, {}), run) == NO_TAIL
