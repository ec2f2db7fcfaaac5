# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The features of a store, and which promise is weakened if one is missing."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..base.errors import BucketMissing, StoreError, StoreUnavailable

HOLDS, WEAKER, PLANNED, UNKNOWN = "holds", "weaker", "planned", "unknown"

#: Every feature with the promise that rests on it.
PROMISES: Mapping[str, str] = {
    "versioning": "an object that is deleted or replaced, by mistake or by an intruder, can be brought back",
    "encryption": "nobody can read backups from stolen disks of the store",
    "public_access_block": "no mistake in a policy or an ACL makes the backups public",
    "tls_only": "backups and credentials never cross the network in clear",
    "stale_uploads": "interrupted uploads do not cost money forever",
    "old_versions": "removed and replaced objects do not cost money forever",
    "object_lock": "objects can be locked for as long as retention keeps them",
    "lock_holds": "nobody can destroy a locked backup early, not even with the credentials of retention",
    "create_only": "no object is ever overwritten, not even by concurrent writers",
    "checksums": "the store verifies the bytes of an object before it acknowledges it",
    "identities": "each host has no more rights than it needs",
    "writer_writes": "hosts can store and read backups",
    "writer_cannot_overwrite": "an intruder on a host cannot replace backups",
    "writer_cannot_delete": "an intruder on a host cannot delete backups",
    "directory": "hosts can store and read backups",
    "apart": "the loss of the server's disk does not take the backups with it",
}


@dataclass(frozen=True)
class Feature:
    """A feature's ``state`` and why: ``holds``, ``weaker``, ``planned`` (check mode), ``unknown`` (not tried)."""

    name: str
    state: str
    detail: str = ""

    @property
    def promise(self) -> str:
        """The promise that depends on the feature."""
        return PROMISES[self.name]

    @property
    def warning(self) -> Optional[str]:
        """The warning, if the promise is weakened."""
        return f"{self.name}: {self.detail}. Weaker: {self.promise}." if self.state == WEAKER else None

    def as_dict(self) -> Dict[str, Any]:
        return {**asdict(self), "promise": self.promise}


@dataclass(frozen=True)
class Prepared:
    """The features, the changes made (or planned), and the settings before and after."""

    features: Tuple[Feature, ...]
    changes: Tuple[str, ...]
    before: Dict[str, Any]
    after: Dict[str, Any]

    @property
    def warnings(self) -> List[str]:
        """A sentence for each weakened promise."""
        return [f.warning for f in self.features if f.warning]


def lacking(exc: StoreError) -> str:
    """Why a store lacks a feature, from its refusal; reraises other errors (no response, no bucket)."""
    if isinstance(exc, BucketMissing) or (isinstance(exc, StoreUnavailable) and exc.details.get("http_status") != 501):
        raise exc
    answer = " ".join(str(exc.details[name]) for name in ("http_status", "code") if exc.details.get(name))
    operation = exc.details.get("operation", "the request")
    return f"the store answered {operation} with {answer or 'something that is not S3'}"
