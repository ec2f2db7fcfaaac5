# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The content of a ledger: a line of JSON for every commit that the server acknowledged, and one for the end.

{"id": 17, "started_at": "…Z", "acked_at": "…Z", "lsn_before": "0/3000028", "lsn_after": "0/30001F0"}
{"ended": "server vanished", "at": "…Z", "in_flight": {"id": 18, …, "acked_at": null, "lsn_after": null}}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Mapping, Optional, Tuple

from ..base.errors import ConfigError
from ..base.wal_names import format_lsn, parse_lsn
from ..records.model import format_time, parse_time


@dataclass(frozen=True)
class Commit:
    """One transaction, as seen by the client.

    The server wrote its commit record between ``started_at`` and ``acked_at`` (one clock: ledger and server share a
    host), and between ``lsn_before`` and ``lsn_after`` in the WAL. ``acked_at`` is None for the one commit that the
    disaster left unacknowledged; ``lsn_after`` is None if the server was lost before it was queried.
    """

    id: int
    started_at: datetime
    acked_at: Optional[datetime]
    lsn_before: int
    lsn_after: Optional[int]

    def as_dict(self) -> Dict[str, Any]:
        """The commit as its line in the ledger."""
        return {
            "id": self.id,
            "started_at": format_time(self.started_at),
            "acked_at": None if self.acked_at is None else format_time(self.acked_at),
            "lsn_before": format_lsn(self.lsn_before),
            "lsn_after": None if self.lsn_after is None else format_lsn(self.lsn_after),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Commit:
        """The reverse of :meth:`as_dict`; KeyError, TypeError or ValueError if it is not a commit."""
        acked, after = data["acked_at"], data["lsn_after"]
        return cls(
            id=int(data["id"]),
            started_at=parse_time(data["started_at"]),
            acked_at=None if acked is None else parse_time(acked),
            lsn_before=parse_lsn(data["lsn_before"]),
            lsn_after=None if after is None else parse_lsn(after),
        )


@dataclass(frozen=True)
class Ledger:
    """A complete ledger. ``in_flight``: the commit that was sent but never acknowledged."""

    commits: Tuple[Commit, ...]
    ended: Optional[str] = None
    ended_at: Optional[datetime] = None
    in_flight: Optional[Commit] = None

    @property
    def records(self) -> Tuple[Commit, ...]:
        """All transactions that may be in the database."""
        return self.commits if self.in_flight is None else (*self.commits, self.in_flight)

    def end_dict(self) -> Dict[str, Any]:
        """The last line."""
        return {
            "ended": self.ended,
            "at": None if self.ended_at is None else format_time(self.ended_at),
            "in_flight": None if self.in_flight is None else self.in_flight.as_dict(),
        }


def parse_ledger(text: str, name: str = "the ledger") -> Ledger:
    """Read the lines of a ledger. ConfigError names the first invalid line: a verdict needs every line."""
    commits = []
    end: Mapping[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        try:
            data = json.loads(line)
            if "ended" in data:
                end = data
            else:
                commits.append(Commit.from_dict(data))
        except (KeyError, TypeError, ValueError) as exc:
            raise ConfigError(
                f"{name}: line {number} is not the record of a commit: {line[:80]!r}.",
                "Repeat the drill, and do not kill the ledger's writer.",
                line=number,
            ) from exc
    in_flight = end.get("in_flight")
    return Ledger(
        commits=tuple(commits),
        ended=end.get("ended"),
        ended_at=parse_time(end["at"]) if end.get("at") else None,
        in_flight=Commit.from_dict(in_flight) if in_flight else None,
    )
