# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An epoch: from it on one site leads, until the next one. A record in every required repository, written once. Pure.

The bytes are the same in every repository, and the SHA-256 of them is what the next epoch refers to.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, Optional

from ..base.wal_names import format_lsn
from ..records.fields import MOST_TIMELINE, SHA256, SYSTEM
from ..records.model import FORMAT, format_time, open_fields
from ..repository.layout import epoch_place
from ..repository.plausible import implausible

#: Why a site leads from then on: it is the first that does; the site before handed over; the site before was lost.
KINDS = FIRST, SWITCHOVER, FAILOVER = ("first", "switchover", "failover")
#: Those of a change of the primary.
CHANGES = (SWITCHOVER, FAILOVER)
#: The most bytes of a record: it has a dozen short fields and a signature.
MOST_BYTES = 64 * 1024
MOST_EPOCH = 2**32 - 1
SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", re.ASCII)
#: Of one attempt to lead: whoever has it goes on with what it has begun.
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}\Z", re.ASCII)
_KIND = re.compile(rf"(?:{'|'.join(KINDS)})\Z")


@dataclass(frozen=True)
class Epoch:
    """That ``site`` leads from epoch ``number`` on.

    ``timeline`` is that of the site's server when it was claimed, ``handover`` the LSN at which the site before
    stopped, ``previous`` the SHA-256 of the record of the epoch before (None for the first). ``digest`` is that of this
    record as it is stored, None before it is.
    """

    system: str
    number: int
    site: str
    token: str
    kind: str
    timeline: int
    handover: Optional[int]
    previous: Optional[str]
    claimed_at: datetime
    digest: Optional[str] = None

    def as_dict(self) -> Dict[str, Any]:
        """The record as JSON knows it, without signature and checksum."""
        return {"format": FORMAT, "previous": self.previous, **self.shown()}

    def shown(self) -> Dict[str, Any]:
        """The record for people and programs. The token is no secret: who may claim may claim the next epoch too."""
        return {
            "system_identifier": self.system,
            "epoch": self.number,
            "site": self.site,
            "token": self.token,
            "kind": self.kind,
            "timeline": self.timeline,
            "handover_lsn": None if self.handover is None else format_lsn(self.handover),
            "claimed_at": format_time(self.claimed_at),
        }

    def describe(self) -> str:
        """For people: ``epoch 2 (failover, 2026-11-22T14:02:00Z)``."""
        return f"epoch {self.number} ({self.kind}, {format_time(self.claimed_at)[:19]}Z)"


def load_epoch(raw: bytes, key: str) -> Epoch:
    """The epoch in this record; ObjectCorrupt, also where it is not the one of its key."""
    epoch = read_epoch(raw, key)
    if epoch_place(key) != (epoch.system, epoch.number):
        raise implausible(key, f"it claims to be epoch {epoch.number} of system identifier {epoch.system}")
    return epoch


def read_epoch(raw: bytes, key: str) -> Epoch:
    """The same, whatever the key says."""
    fields = open_fields(raw, key, MOST_BYTES)
    return Epoch(
        fields.text("system_identifier", SYSTEM),
        fields.integer("epoch", 1, MOST_EPOCH),
        fields.text("site", SITE),
        fields.text("token", TOKEN),
        fields.text("kind", _KIND),
        fields.integer("timeline", 1, MOST_TIMELINE),
        fields.lsn("handover_lsn") if fields.has("handover_lsn") else None,
        fields.maybe_text("previous", SHA256),
        fields.moment("claimed_at"),
        hashlib.sha256(raw).hexdigest(),
    )
