# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work of several threads that ends in one archive, in order."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.backup.frames import Line, batches, frame, volume_size
from lifeboat.backup.scan import Listed
from lifeboat.codec.zstd import decompress_stream
from lifeboat.records.model import MOST_FILES

sizes = st.lists(st.integers(0, 150), max_size=40)


@given(sizes)
def test_every_file_is_in_one_batch_and_only_a_single_one_is_large(given_sizes: List[int]) -> None:
    files = [Listed(str(i), size) for i, size in enumerate(given_sizes)]
    found = list(batches(files, 100))
    assert [f for batch in found for f in batch] == files
    assert all(sum(f.size for f in batch) <= 100 or len(batch) == 1 for batch in found)
    # Two batches that follow each other would not fit into one.
    assert all(sum(f.size for f in (*a, b[0])) > 100 for a, b in zip(found, found[1:]))


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_frames_are_read_as_one(parts: List[bytes]) -> None:
    joined = b"".join(frame("zstd", 1, part) for part in parts)
    assert b"".join(decompress_stream([joined], "x")) == b"".join(parts)
    assert all(zstandard.get_frame_parameters(frame("zstd", 1, p)).has_checksum for p in parts)
    assert b"".join(frame("none", 0, part) for part in parts) == b"".join(parts)


def test_results_come_in_order_whoever_is_first() -> None:
    gate, taken = threading.Event(), []
    with ThreadPoolExecutor(4) as pool, Line(pool, 8) as line:
        line.put(lambda: gate.wait(20) and "slow", taken.append)
        for number in range(6):
            line.put(lambda n=number: n, taken.append)  # type: ignore[misc]
        gate.set()
        line.finish()
    assert taken == ["slow", *range(6)]


def test_a_file_stays_open_as_long_as_a_thread_reads_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"content")
    gate, begun, seen = threading.Event(), threading.Event(), []
    stream = open(tmp_path / "x", "rb")  # noqa: SIM115

    def slow() -> None:
        begun.set()
        gate.wait(20)
        seen.append(stream.closed)

    def fail() -> None:
        begun.wait(20)
        raise ValueError("broken")

    def run() -> None:
        with Line(pool, 0) as line:
            line.keep(stream)
            line._waiting.append((pool.submit(slow), lambda _: None))
            threading.Timer(0.2, gate.set).start()
            fail()

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="broken"):
        run()
    assert seen == [False]
    assert stream.closed


@given(
    st.lists(st.integers(0, 2**30), max_size=200),
    st.one_of(st.just(0), st.integers(1, 2**31)),
    st.integers(0, 10_000),
)
def test_a_record_can_list_all_volumes(sizes: List[int], wanted: int, more: int) -> None:
    # A few large files stand for many.
    files = [Listed(str(i), size) for i, size in enumerate(sizes)]
    total = sum(sizes) * (more + 1)
    size = volume_size(total, wanted)
    assert size >= wanted
    volumes = list(batches(files, size)) or [()]
    assert [file for volume in volumes for file in volume] == files
    # Of two in a row, at least one is half full.
    assert len(volumes) <= 2 * sum(sizes) // size + 2 and 2 * total // size + 2 < MOST_FILES
    assert wanted or len(volumes) == 1
