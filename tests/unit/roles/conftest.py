# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The script of scheduled jobs, for the tests in this directory."""

from __future__ import annotations

import shlex
import subprocess
import time
from pathlib import Path
from typing import Callable

import pytest
from support.jobs import NAMESPACE, Job


@pytest.fixture(scope="session")
def namespaces() -> None:
    """Root of a user namespace, if that is allowed."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are forbidden here")


@pytest.fixture
def job(tmp_path: Path, namespaces: None) -> Job:
    return Job(tmp_path)


@pytest.fixture
def running(job: Job, tmp_path: Path) -> Callable[[], int]:
    """A job ``check`` that runs until this is called; its status."""
    gate = tmp_path / "gate"
    job.does(f"while [ ! -e {shlex.quote(str(gate))} ]; do sleep 0.05; done")
    process = job.start("main", "check")
    deadline = time.monotonic() + 60
    while not job.begun.exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.05)

    def end() -> int:
        gate.touch()
        process.communicate()
        return process.returncode

    return end
