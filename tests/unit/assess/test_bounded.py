# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever hangs is named, and keeps nobody; whoever fails is told with the reason."""

from __future__ import annotations

import threading

from lifeboat.assess.bounded import ask_all
from lifeboat.base.errors import StoreUnavailable


def test_one_hangs_one_fails_and_the_others_are_heard() -> None:
    never = threading.Event()

    def refused() -> int:
        raise StoreUnavailable("The store is down.", "Start it.")

    def mistaken() -> int:
        raise KeyError("label")

    def hanging() -> int:
        never.wait()
        return 1

    questions = {"hangs": hanging, "down": refused, "wrong": mistaken, "well": lambda: 7}
    try:
        found, silent = ask_all(questions, 0.5)
    finally:
        never.set()
    assert found == {"well": 7}
    assert silent == {
        "down": "The store is down.", "wrong": "KeyError: 'label'", "hangs": "no answer within 0.5 s",
    }  # fmt: skip


def test_nothing_to_ask() -> None:
    assert ask_all({}, 0.1) == ({}, {})
