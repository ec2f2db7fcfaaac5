# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of the disasters, at the end of the run."""

from __future__ import annotations

import json
from typing import Any, Dict

import pytest
from steps import HOSTS

_STARTED = pytest.StashKey[float]()


def pytest_configure(config: pytest.Config) -> None:
    """Remember which figures are older than this run."""
    marker = HOSTS / "evidence" / ".started"
    marker.touch()
    config.stash[_STARTED] = marker.stat().st_mtime


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each disaster that was walked."""
    files = [f for f in HOSTS.glob("evidence/*/walked-*.json") if f.stat().st_mtime >= config.stash[_STARTED]]
    for file in sorted(files, key=lambda one: one.stat().st_mtime):
        told: Dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        rest = f"RPO {told['lost']} of {told['acknowledged']} acknowledged transactions lost; {told['way']}"
        terminalreporter.write_line(f"walked {told['disaster']}: RTO {told['rto']} s, {rest}")
