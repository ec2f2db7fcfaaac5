# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who reads a backup, and whose server runs in a data directory."""

from __future__ import annotations

import os

import pytest
from lifeboat.backup.method import AUTO_CORES, AUTO_SIZE, is_child, worthwhile


@pytest.mark.parametrize(
    ("size", "cores", "checksums", "fast", "wanted"),
    [
        (AUTO_SIZE, AUTO_CORES, True, True, True),
        (AUTO_SIZE, AUTO_CORES, False, False, True),
        (AUTO_SIZE, AUTO_CORES, True, False, False),
        (AUTO_SIZE - 1, AUTO_CORES, True, True, False),
        (AUTO_SIZE, AUTO_CORES - 1, True, True, False),
    ],
)
def test_auto_reads_in_parallel_only_what_is_large_and_cheap_to_check(
    size: int, cores: int, checksums: bool, fast: bool, wanted: bool
) -> None:
    assert worthwhile(size, cores, checksums, fast) is wanted


def test_a_process_belongs_to_a_directory_if_parent_place_and_start_agree() -> None:
    here = os.getcwd()
    lines = [str(os.getppid()), here, "1700000000", "5432"]
    assert is_child(os.getpid(), 1700000001, lines, here)
    assert not is_child(os.getpid(), 1700000002, lines, here)
    assert not is_child(os.getpid(), 1700000000, lines, "/")
    assert not is_child(os.getpid(), 1700000000, ["1", *lines[1:]], here)
    assert not is_child(2**22 + 1, 1700000000, lines, here)
    for damaged in ([], lines[:2], [*lines[:2], "x"]):
        assert not is_child(os.getpid(), 1700000000, damaged, here)
