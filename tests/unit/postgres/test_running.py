# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which directories running servers use."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from lifeboat.postgres.running import running_servers


def test_a_server_that_is_starting_does_not_use_the_directory_it_was_started_in(tmp_path: Path) -> None:
    started, data = tmp_path / "started", tmp_path / "data"
    started.mkdir()
    data.mkdir()
    (data / "PG_VERSION").write_text("17\n")
    program = tmp_path / "postgres"
    shutil.copy(shutil.which("bash") or "/bin/bash", program)
    script = 'echo here; sleep 0.3; cd "$0"; read -r end'
    with subprocess.Popen(
        [str(program), "-c", script, str(data)],
        cwd=started, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline() == "here\n"
        found = [server.data_dir for server in running_servers() if str(tmp_path) in server.data_dir]
        process.communicate("\n")
    assert found == [str(data)]


def test_a_server_whose_files_were_deleted_still_uses_its_directory(tmp_path: Path) -> None:
    program = tmp_path / "postgres"
    shutil.copy(shutil.which("bash") or "/bin/bash", program)
    data = tmp_path / "data"
    data.mkdir()
    with subprocess.Popen(
        [str(program), "-c", "echo here; read -r end"],
        cwd=data, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout and process.stdout.readline() == "here\n"
        found = [server.data_dir for server in running_servers() if server.pid == process.pid]
        process.communicate("\n")
    assert found == [str(data)]
