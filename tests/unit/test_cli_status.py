# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exit statuses, which PostgreSQL relies on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, List, Optional

import pytest
from lifeboat.base.errors import StoreUnavailable
from lifeboat.cli import main as cli
from lifeboat.cli.commands import listing, wal

PUSH, FETCH = ["wal-push", "pg_wal/x"], ["wal-fetch", "f", "p"]


def status_of(argv: List[str]) -> int:
    """The exit status of the process."""
    try:
        return cli.main(argv)
    except SystemExit as exc:
        return int(exc.code or 0)


@pytest.mark.parametrize(
    "argv",
    [
        ["wal-fetch"],
        ["wal-fetch", "f"],
        ["wal-fetch", "f", "p", "more"],
        ["wal-fetch", "--no", "f", "p"],
        ["--bogus", "wal-fetch", "f", "p"],
        ["--config", *FETCH],
    ],
)
def test_a_misspelt_restore_command_never_looks_like_the_end_of_wal(argv: List[str]) -> None:
    assert status_of(argv) == 254


@pytest.mark.parametrize("argv", [["wal-push"], [], ["no-such-command"], ["backup", "--type", "half"]])
def test_wrong_usage_is_status_2(argv: List[str]) -> None:
    assert status_of(argv) == 2


@pytest.mark.parametrize("argv", [["--help"], ["wal-fetch", "--help"], ["--version"]])
def test_help_is_no_error(argv: List[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(argv) == 0
    assert "lifeboat" in capsys.readouterr().out


@pytest.mark.parametrize(
    "failure", [RuntimeError("a bug"), MemoryError(), OSError(5, "I/O"), StoreUnavailable("no answer")]
)
@pytest.mark.parametrize(("argv", "status"), [(PUSH, 1), (FETCH, 254)])
def test_whatever_happens_has_the_contracts_status(
    failure: Exception,
    argv: List[str],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(path: str, as_of: Optional[str] = None) -> Any:
        raise failure

    monkeypatch.setattr(wal, "load", fail)
    assert cli.main(argv) == status
    assert type(failure).__name__ in (err := capsys.readouterr().err) or "no answer" in err


def test_an_interrupt_has_the_contracts_status(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: str) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(wal, "load", interrupt)
    assert cli.main(FETCH) == 254
    assert cli.main(PUSH) == 1
    monkeypatch.setattr(listing, "load", lambda path, as_of: interrupt(path))
    assert cli.main(["list"]) == 130


def test_an_error_for_people_and_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--config", "/nowhere/x.yml", "list"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "lifeboat: Cannot read the configuration file /nowhere/x.yml: No such file or directory.\n"
        "  -> Check the path and its owner, or name another file with --config. [config_invalid]\n"
    )
    assert cli.main(["--config", "/nowhere/x.yml", "--json", "list"]) == 1
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["error_code"] == "config_invalid"
    assert "/nowhere/x.yml" in error["message"]
    assert error["hint"]
    assert error["details"] == {"path": "/nowhere/x.yml"}


@pytest.mark.parametrize("lost", ["cli", "cli/commands", "wal", "audit", "base/errors"])
@pytest.mark.parametrize(("argv", "status"), [(FETCH, 254), (PUSH, 1)])
def test_an_installation_that_is_broken_never_looks_like_the_end_of_wal(
    argv: List[str], status: int, lost: str, tmp_path: Path
) -> None:
    package = tmp_path / "lifeboat"
    shutil.copytree(Path(cli.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    if (package / lost).is_dir():
        shutil.rmtree(package / lost)
    else:
        (package / lost).unlink()
    done = subprocess.run(
        [sys.executable, "-m", "lifeboat.run", *argv],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    assert "ModuleNotFoundError" in done.stderr
