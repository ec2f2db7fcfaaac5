# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that starts at once in tests behaves like the one that users start."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest
from support.postgres import COMMAND
from support.warm import Warm


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tuple[Path, Path]]:
    """The command started from scratch, and the forked one."""
    root = tmp_path_factory.mktemp("commands")
    cold, warm = root / "cold", root / "warm"
    cold.write_text(COMMAND)
    with Warm() as server:
        # Where it is not forked, it fails.
        warm.write_text(server.script(root / "none"))
        for command in (cold, warm):
            command.chmod(0o755)
        yield cold, warm


@pytest.mark.parametrize(
    "words", [["--version"], ["no-such-command"], ["--config", "here.yml", "list"], ["wal-fetch", "x", "y"]]
)
def test_its_output_and_its_status_are_those_of_the_command(
    commands: Tuple[Path, Path], tmp_path: Path, words: List[str]
) -> None:
    # Relative: it works in the caller's directory.
    (tmp_path / "here.yml").write_text("cluster: [")
    (tmp_path / "here.yml").chmod(0o600)
    cold, warm = (subprocess.run([c, *words], cwd=tmp_path, capture_output=True, check=False) for c in commands)
    assert (warm.returncode, warm.stdout, warm.stderr) == (cold.returncode, cold.stdout, cold.stderr)
