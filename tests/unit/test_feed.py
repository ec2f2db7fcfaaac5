# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program fed from a stream: if the stream is damaged, that is the error, whichever side notices first."""

from __future__ import annotations

import tempfile
from typing import Iterator

import pytest
from lifeboat.base.errors import LifeboatError, ObjectCorrupt, ProcessFailed
from lifeboat.base.process import Feed

MIB = bytes(2**20)


def pour(command: str, chunks: Iterator[bytes]) -> int:
    with tempfile.TemporaryFile() as words:
        program = Feed(["sh", "-c", command], words)
        try:
            return sum(program.pour(chunks))
        finally:
            program.kill()


def damaged(count: int) -> Iterator[bytes]:
    """A stream whose checksum is compared at its end, like the repository's streams."""
    for _ in range(count):
        yield MIB
    raise ObjectCorrupt("The object is damaged.", "Take another.")


def test_all_of_it_is_written_and_counted() -> None:
    assert pour("test $(wc -c) = 3145728", iter([MIB] * 3)) == 3 * len(MIB)


@pytest.mark.parametrize("command", ["exit 2", "head -c 5000 >/dev/null; exit 2", "cat >/dev/null; exit 2"])
def test_the_damage_is_reported_and_not_what_the_program_stumbled_over(command: str) -> None:
    with pytest.raises(ObjectCorrupt):
        pour(command, damaged(4))


def test_a_program_that_fails_on_a_sound_stream_is_reported() -> None:
    with pytest.raises(ProcessFailed, match="bad luck"):
        pour("echo bad luck >&2; exit 2", iter([MIB] * 4))


def test_a_full_disk_is_reported_at_once() -> None:
    read = 0

    def endless() -> Iterator[bytes]:
        nonlocal read
        while read < 1000:
            read += 1
            yield MIB

    with pytest.raises(LifeboatError, match="No space left"):
        pour("echo No space left on device >&2; exit 2", endless())
    assert read < 100
