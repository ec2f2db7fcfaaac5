# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide which registered erasures need a confirmation. Pure.

Whoever can store a backup can store an erasure. A deletion of one key's rows is applied without confirmation, but a
custom statement is code from the repository, and an erasure that did not exist ``as_of`` a moment may be an intruder's.
"""

from __future__ import annotations

from typing import AbstractSet, Iterable, List

from ..base.errors import ErasuresUnconfirmed
from ..records.model import format_time
from ..repository.erasures import Erasure


def unconfirmed(erasures: Iterable[Erasure], late: AbstractSet[str], confirmed: Iterable[str]) -> List[Erasure]:
    """Erasures that lack a required confirmation; ``late``: the confirmations of those later than ``as_of``."""
    given = frozenset(confirmed)
    return [e for e in erasures if (not e.is_default or e.confirmation in late) and e.confirmation not in given]


def require_confirmed(erasures: Iterable[Erasure], late: AbstractSet[str], confirmed: Iterable[str]) -> None:
    """ErasuresUnconfirmed, with a list, if any erasure lacks a required confirmation."""
    missing = unconfirmed(erasures, late, confirmed)
    if missing:
        raise ErasuresUnconfirmed(
            f"{len(missing)} registered erasures are not confirmed: " + "; ".join(_told(e, late) for e in missing),
            "Read each. Confirm those that you registered with --confirm-erasures and the text before the first space"
            " (confirm_erasures in Ansible). If nobody registered one, an intruder stored it: see docs/ransomware.md."
            " --without-erasures skips the whole register. Nothing was changed.",
            unconfirmed=[e.shown() for e in missing],
        )


def _told(erasure: Erasure, late: AbstractSet[str]) -> str:
    when = ", later than as_of" if erasure.confirmation in late else ""
    what = f"deletes from {erasure.table} by {erasure.column}" if erasure.is_default else f"runs {erasure.statement}"
    who = f"registered {format_time(erasure.recorded_at)} by {erasure.by}{when}, in {erasure.database}"
    return printable(f"{erasure.confirmation} ({who}) {what}")


def printable(text: str) -> str:
    """The text, with control characters and those that change the display order escaped."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else f"\\u{ord(c):04x}" for c in text)
