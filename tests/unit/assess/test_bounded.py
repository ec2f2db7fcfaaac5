# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever hangs is named, and keeps nobody; whoever fails is told with the reason."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import thread as pools
from typing import List

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


def test_the_pool_of_an_abandoned_question_does_not_keep_the_process() -> None:
    never, begun = threading.Event(), threading.Event()
    workers: List[threading.Thread] = []

    def hanging() -> None:
        with ThreadPoolExecutor(1) as pool:
            workers.append(pool.submit(threading.current_thread).result())
            begun.set()
            pool.submit(never.wait).result()

    threading.Thread(target=hanging, daemon=True).start()
    try:
        assert begun.wait(60)
        ask_all({"hangs": never.wait}, 0.1)
        assert workers[0].is_alive() and workers[0] not in getattr(pools, "_threads_queues")  # noqa: B009
    finally:
        never.set()


def test_nothing_to_ask() -> None:
    assert ask_all({}, 0.1) == ({}, {})
