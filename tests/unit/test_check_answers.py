# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of ``lifeboat check``: stable names, the line for monitoring plugins, limits of the backlog."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, Optional

import lifeboat.check
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.check.answer import CHECKS, CRITICAL, OK, SEVERITIES, WARNING, Check
from lifeboat.check.server import judge_backlog
from lifeboat.cli.commands.check import nagios_line
from lifeboat.config.sections import WalConfig
from lifeboat.wal.backlog import Backlog

NOW = 1_000_000.0


def test_every_check_has_a_stable_name_and_every_name_a_check() -> None:
    told = set()
    for path in Path(lifeboat.check.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Check", "_failed", "_encrypted"):
                first: Any = node.args[0]
                if isinstance(first, ast.Constant):
                    told.add(first.value)
    assert told == set(CHECKS)


def test_names_for_people() -> None:
    assert Check("wal", OK, "", repository="near").name == "repository near: WAL"
    assert Check("backup", OK, "", repository="near", about="L").name == "repository near: backup L"
    assert Check("repository", OK, "", repository="near").name == "repository near"
    assert Check("server", OK, "").name == "server"


def test_the_line_for_monitoring_plugins() -> None:
    checks = [
        Check("server", OK, "PostgreSQL 17.2"),
        Check("backups", CRITICAL, "too old | really\nso", "", "near", value=7200, unit="s", limit=3600),
        Check("restore", WARNING, "slow", "", "near", value=12.5, unit="s"),
    ]
    assert nagios_line(checks) == (
        "LIFEBOAT CRITICAL: 1 critical, 1 warning: repository near: backups: too old really so"
        " | 'near_backups'=7200s;;3600;0 'near_restore'=12.5s;;;0"
    )
    assert nagios_line(checks[:1]) == "LIFEBOAT OK: 1 checks"


@given(
    st.lists(
        st.builds(
            Check, st.sampled_from(sorted(CHECKS)), st.sampled_from(SEVERITIES), st.text(), repository=st.text(),
            value=st.none() | st.floats(0), unit=st.sampled_from(("s", "B")),
        ),
        min_size=1,
    )
)  # fmt: skip
def test_the_line_is_one_line_with_one_bar_at_most(checks: Any) -> None:
    line = nagios_line(checks)
    assert "\n" not in line and line.count("|") <= 1 + sum(item.name.count("|") for item in checks)
    for datum in line.partition(" | ")[2].split(" ") if " | " in line else ():
        assert re.fullmatch(r"'[A-Za-z0-9_.-]*'=[0-9.e+-]+(s|B);;;0", datum)


@pytest.mark.parametrize(
    ("count", "size", "waited", "free", "rpo", "status"),
    [
        (0, 0, 0, 0, 60, OK),
        (64, 64 << 24, 600, 1 << 40, None, OK),
        (65, 64 << 24, 600, 1 << 40, None, WARNING),
        (129, 64 << 24, 600, 1 << 40, None, CRITICAL),
        (3, 3 << 24, 601, 1 << 40, None, WARNING),
        (3, 3 << 24, 1201, 1 << 40, None, CRITICAL),
        (3, 3 << 24, 61, 1 << 40, 60, CRITICAL),
        (3, 3 << 24, 1, 3 << 24, None, CRITICAL),
        (3, 3 << 24, 1, 7 << 24, None, WARNING),
        (3, 3 << 24, 1, None, None, OK),
    ],
)
def test_a_backlog_has_limits(
    count: int, size: int, waited: float, free: Optional[int], rpo: Optional[float], status: str
) -> None:
    backlog = Backlog(count, size, "0" * 24 if count else "", NOW - waited if count else None)
    found = judge_backlog(backlog, free, WalConfig(), rpo, NOW)
    assert (found.status, found.value) == (status, size)
    assert bool(found.hint) == (status != OK)


def test_limits_of_the_backlog_can_be_switched_off() -> None:
    none = WalConfig(backlog_files=0, backlog_seconds=0, backlog_share=0)
    assert judge_backlog(Backlog(10**6, 1 << 40, "0" * 24, 0.0), 1, none, None, NOW).status == OK
