# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask many at once, and wait for all of them no longer than a given time."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import thread
from typing import Callable, Dict, Mapping, MutableMapping, Tuple, TypeVar, Union

from ..base import clock
from ..base.errors import LifeboatError

# Private to Python: the threads of every pool, which it waits for when the process ends.
_POOLS: MutableMapping[threading.Thread, object] = getattr(thread, "_threads_queues", {})
_Answer = TypeVar("_Answer")


def ask_all(
    questions: Mapping[str, Callable[[], _Answer]], seconds: float
) -> Tuple[Dict[str, _Answer], Dict[str, str]]:
    """The answers by name, and why there is none: an error's message, or that the time is over.

    Each question has a thread of its own, which is abandoned once the time is over: a store that hangs keeps nobody,
    nor does it keep the process from ending.
    """
    answers: queue.Queue[Tuple[str, Union[_Answer, Exception]]] = queue.Queue()

    def ask(name: str, question: Callable[[], _Answer]) -> None:
        try:
            answers.put((name, question()))
        except Exception as exc:  # One question's fault must not hide what the others found.
            answers.put((name, exc))

    for name, question in questions.items():
        threading.Thread(target=ask, args=(name, question), name=f"lifeboat-ask-{name}", daemon=True).start()
    found: Dict[str, _Answer] = {}
    silent: Dict[str, str] = {}
    deadline = clock.monotonic() + seconds
    while len(found) + len(silent) < len(questions):
        try:
            name, answer = answers.get(timeout=max(0.0, deadline - clock.monotonic()))
        except queue.Empty:
            break
        if isinstance(answer, LifeboatError):
            silent[name] = answer.message
        elif isinstance(answer, Exception):
            silent[name] = f"{type(answer).__name__}: {answer}"
        else:
            found[name] = answer
    missing = [name for name in questions if name not in found and name not in silent]
    silent.update(dict.fromkeys(missing, f"no answer within {seconds:g} s"))
    if missing:
        _let_go()
    return found, silent


def _let_go() -> None:
    """Let the process end without the pools of abandoned questions, whose queues Python would first work off."""
    for worker in threading.enumerate():
        # Inherited from the question's thread.
        if worker.daemon:
            _POOLS.pop(worker, None)
