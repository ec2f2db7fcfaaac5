# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream through a program: complete, or the first error; never a program left running."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Iterator, List

import pytest
from lifeboat.base.errors import ProcessFailed
from lifeboat.base.filter import Filter, through

MIB = 2**20


def noise(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield os.urandom(MIB)


class Stop(Exception):
    """Raised by a test's own end of the stream."""


def test_all_of_it_comes_out_of_a_push_stream() -> None:
    sent, out = list(noise(5)), bytearray()
    with tempfile.TemporaryFile() as words:
        stream = Filter(["cat"], out.extend, words)
        for chunk in sent:
            stream.write(chunk)
        stream.finish()
    assert bytes(out) == b"".join(sent)


def test_a_consumers_error_ends_a_push_stream() -> None:
    def consume(chunk: bytes) -> None:
        raise Stop

    with tempfile.TemporaryFile() as words:
        stream = Filter(["cat"], consume, words)
        with pytest.raises(Stop):
            for chunk in noise(50):
                stream.write(chunk)
            stream.finish()
        stream.kill()


def test_a_program_that_fails_tells_why() -> None:
    out: List[bytes] = []
    with tempfile.TemporaryFile() as words:
        stream = Filter(["sh", "-c", "echo because >&2; exit 3"], out.append, words)
        with pytest.raises(ProcessFailed, match="because"):
            for chunk in noise(50):
                stream.write(chunk)
            stream.finish()
    with tempfile.TemporaryFile() as words, pytest.raises(ProcessFailed, match="because"):
        list(through(["sh", "-c", "echo because >&2; exit 3"], noise(50), words))


def test_a_killed_push_stream_consumes_nothing_more() -> None:
    out: List[bytes] = []
    with tempfile.TemporaryFile() as words:
        stream = Filter(["cat"], out.append, words)
        stream.write(b"x" * MIB)
        stream.kill()
        before = len(out)
        stream.kill()
    assert len(out) == before


def test_all_of_it_comes_out_of_a_pull_stream() -> None:
    sent = list(noise(5))
    with tempfile.TemporaryFile() as words:
        assert b"".join(through(["cat"], sent, words)) == b"".join(sent)


def test_an_error_of_the_source_comes_before_what_the_program_says() -> None:
    def source() -> Iterator[bytes]:
        yield from noise(3)
        raise Stop

    with tempfile.TemporaryFile() as words, pytest.raises(Stop):
        list(through(["sh", "-c", "cat; exit 4"], source(), words))


def test_a_reader_that_stops_early_leaves_no_program(tmp_path: Path) -> None:
    with tempfile.TemporaryFile() as words:
        pid = tmp_path / "pid"
        stream = through(["sh", "-c", f"echo $$ > '{pid}'; exec cat"], noise(10**6), words)
        assert len(next(stream)) == MIB
        stream.close()  # type: ignore[attr-defined]
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()
