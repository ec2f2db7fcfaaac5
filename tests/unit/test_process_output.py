# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""However much a program prints, only little of it is kept in memory."""

from __future__ import annotations

import sys
import tempfile
import tracemalloc

import pytest
from lifeboat.base import process
from lifeboat.base.errors import ProcessFailed

MUCH = [sys.executable, "-c", "import sys\nfor n in range(200_000): print(n)\nsys.exit(int(sys.argv[1]))"]


def test_the_beginning_is_kept_and_that_it_was_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_MOST_OUTPUT", 1000)
    tracemalloc.start()
    done = process.run([*MUCH, "0"])
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert done.cut and done.stdout.startswith("0\n1\n2\n") and len(done.stdout) == 1000
    assert peak < 1_000_000
    assert not process.run([sys.executable, "-c", "print(1)"]).cut


def test_the_end_of_a_failed_programs_output_is_reported() -> None:
    with pytest.raises(ProcessFailed) as caught:
        process.run([*MUCH, "3"])
    assert caught.value.message.endswith("199999") and len(caught.value.details["output"]) <= 4000


def test_lines_are_whole_wherever_chunks_end() -> None:
    with tempfile.TemporaryFile() as words:
        found = list(process.Drain([*MUCH, "0"], words).lines())
    assert found == [str(n) for n in range(200_000)]
    with tempfile.TemporaryFile() as words:
        end = list(process.Drain([sys.executable, "-c", "print('a\\n\\nb', end='')"], words).lines())
    assert end == ["a", "", "b"]


def test_the_end_of_many_complaints_is_reported() -> None:
    argv = [sys.executable, "-c", "import sys\nfor n in range(100_000): print(n, file=sys.stderr)\nsys.exit(1)"]
    with tempfile.TemporaryFile() as words, pytest.raises(ProcessFailed) as caught:
        list(process.Drain(argv, words).chunks())
    assert caught.value.message.endswith("99999")
