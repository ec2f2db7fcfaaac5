# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss of one disaster with and without the WAL stream: two restores to the latest moment, one ledger. Pure."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set

from .checks import Check


def compare(streamed: Mapping[str, Any], plain: Mapping[str, Any], disaster: Mapping[str, Any]) -> Dict[str, Any]:
    """The commits that the pieces saved. ``streamed`` and ``plain`` are restores of the report, with and without them.

    :return: ``pieces`` (how many were stored), ``with`` and ``without`` (``seconds``, ``transactions``, ``restore``,
        ``last_survivor_at``, ``wal_end``), ``saved_transactions``, ``checks``
    """
    stored = disaster.get("stored") or {}
    kept = _lost(plain) - _lost(streamed)
    return {
        "pieces": int(stored.get("pieces", 0)),
        "with": _loss(streamed, stored.get("pieced_lsn")),
        "without": _loss(plain, stored.get("whole_lsn")),
        "saved_transactions": len(kept),
        "checks": [_at_work(disaster).as_dict(), _nothing_worse(streamed, plain).as_dict()],
    }


def _loss(restore: Mapping[str, Any], end: Optional[str]) -> Dict[str, Any]:
    verdict = restore["verdict"]
    last = verdict["last_survivor"]
    return {
        "seconds": float(verdict["rpo_seconds"]),
        "transactions": int(verdict["rpo_transactions"]),
        "restore": restore["number"],
        "last_survivor_at": last["acked_at"] if last else None,
        "wal_end": end,
    }


def _at_work(disaster: Mapping[str, Any]) -> Check:
    killed: List[str] = [words for words in disaster.get("killed", ()) if "wal-stream" in words.split()]
    pieces = int((disaster.get("stored") or {}).get("pieces", 0))
    return Check(
        "stream",
        "The stream was running until the disaster",
        bool(killed) and pieces > 0,
        "lifeboat wal-stream among the killed processes, and its pieces in the store",
        f"{'it is' if killed else 'it is not'} among the killed processes; {pieces} pieces",
        "the command lines of the killed processes, and the store's objects after the disaster",
    )


def _nothing_worse(streamed: Mapping[str, Any], plain: Mapping[str, Any]) -> Check:
    worse = sorted(_lost(streamed) - _lost(plain))
    saved = len(_lost(plain) - _lost(streamed))
    return Check(
        "stream_saved",
        "The pieces only add commits: no commit is lost because of them",
        not worse,
        "0 commits",
        f"{len(worse)} commits; {saved} restored by the pieces alone",
        f"the lost commits of restore {streamed['number']} compared with those of restore {plain['number']}",
    )


def _lost(restore: Mapping[str, Any]) -> Set[int]:
    return {int(commit["id"]) for commit in restore["verdict"]["lost"]}
