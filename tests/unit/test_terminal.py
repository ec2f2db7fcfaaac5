# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Output for people."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.cli.terminal import Terminal, size, table


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1550, "1.6 kB"),
        (99_900, "99.9 kB"),
        (123_456, "123 kB"),
        (999_960, "1.0 MB"),
        (16_777_216, "16.8 MB"),
        (1_500_000_000, "1.5 GB"),
        (2.5e15, "2500 TB"),
    ],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


@given(st.integers(0, 10**15))
def test_a_size_is_right_to_its_digits(count: int) -> None:
    number, unit = size(count).split()
    value = float(number) * 1000 ** ["B", "kB", "MB", "GB", "TB"].index(unit)
    assert abs(value - count) <= max(0.051 * 1000 ** ["B", "kB", "MB", "GB", "TB"].index(unit), count * 0.006)
    assert float(number) < 1000 or unit == "TB"


def test_columns_stand_below_their_heads() -> None:
    text = table(["label", "size"], [["a", "1"], ["longer than its head", "22"]])
    lines = text.splitlines()
    assert lines[0].index("size") == lines[1].index("1") == lines[2].index("22")
    assert not any(line.endswith(" ") for line in lines)


def test_a_phase_is_a_line_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(show_progress=True)
    terminal.phase("backup x")
    terminal.advance(1, 2)
    terminal.note("done")
    assert capsys.readouterr().err == "lifeboat: backup x\nlifeboat: done\n"


def test_no_progress_is_silence(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(show_progress=False)
    terminal.phase("backup x")
    terminal.advance(1, 2)
    terminal.note("done")
    terminal.finish()
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    terminal = Terminal(show_progress=True)
    terminal.phase("backup x")
    terminal.advance(500, 1000)
    terminal.note("done")
    out = capsys.readouterr().err
    assert re.search(r"\r\x1b\[Kbackup x \[############ {12}\]  50% 500 B of 1.0 kB", out)
    assert out.endswith("\nlifeboat: done\n")


def test_more_than_expected_is_a_full_bar(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    terminal = Terminal(show_progress=True)
    terminal.phase("recover")
    terminal.advance(30, 20)
    terminal.finish()
    assert f"[{'#' * 24}] 100% 30 segments of 20 segments" in capsys.readouterr().err
