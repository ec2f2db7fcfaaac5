# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The deliveries so far, and the health of each channel: one small file, replaced atomically."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Dict, Iterator, Mapping, Optional

from ..base.errors import ObjectCorrupt, UntrustedPath
from ..base.files import make_directory, open_to_read, open_to_write, replace_file
from ..config.load import Config
from ..records.fields import MOST_SMALL, Fields
from ..records.model import format_time, open_fields, seal_record
from .route import Told

_FILE, _LOCK = "state.json", "state.lock"
# Longer than any interval of repetition: a problem without news for so long is over.
_FORGET = timedelta(days=90)


@dataclass(frozen=True)
class Delivery:
    """The health of a channel: when it last delivered and failed (aware), how often, and the last error code."""

    last_success: Optional[datetime] = None
    last_failure: Optional[datetime] = None
    delivered: int = 0
    failures: int = 0
    error_code: Optional[str] = None

    def after(self, at: datetime, error_code: Optional[str]) -> Delivery:
        """The health after a delivery, or a failure with this code."""
        if error_code is None:
            return replace(self, last_success=at, delivered=self.delivered + 1, error_code=None)
        return replace(self, last_failure=at, failures=self.failures + 1, error_code=error_code)

    def as_dict(self) -> Dict[str, Any]:
        """JSON-serializable data."""
        times = {"last_success": self.last_success, "last_failure": self.last_failure}
        return {**asdict(self), **{name: at and format_time(at) for name, at in times.items()}}


@dataclass(frozen=True)
class State:
    """``told`` by key and channel; ``deliveries`` by channel."""

    told: Mapping[str, Mapping[str, Told]] = field(default_factory=dict)
    deliveries: Mapping[str, Delivery] = field(default_factory=dict)

    def record(self) -> bytes:
        """The bytes of the file."""
        told = {
            key: {name: {"news": was.news, "at": format_time(was.at)} for name, was in of.items()}
            for key, of in self.told.items()
        }
        deliveries = {name: delivery.as_dict() for name, delivery in self.deliveries.items()}
        return seal_record({"format": 1, "told": told, "deliveries": deliveries})

    def knowing(self, key: str, told: Mapping[str, Told], now: datetime) -> State:
        """The state with these deliveries about a key; keys without news for 90 days are left out."""
        kept = {k: v for k, v in self.told.items() if max(was.at for was in v.values()) > now - _FORGET}
        others = {k: v for k, v in kept.items() if k != key}
        return replace(self, told={**others, key: dict(told)} if told else others)


def read_deliveries(state_dir: str) -> Mapping[str, Delivery]:
    """The health of each channel, by name; empty without an intact state. OSError, UntrustedPath."""
    return read_state(state_dir).deliveries


def known_deliveries(config: Config) -> Mapping[str, Delivery]:
    """The health of each channel in a configuration; empty if this user may not read it."""
    with suppress(OSError, UntrustedPath):
        return read_deliveries(config.notifications.directory(config.cluster))
    return {}


def read_state(state_dir: str) -> State:
    """The state; empty if it is missing or damaged, so that doubtful notices are sent again."""
    path = os.path.join(state_dir, _FILE)
    try:
        with open_to_read(path) as stream:
            raw = stream.read(MOST_SMALL + 1)
        return _load(open_fields(raw, path, MOST_SMALL))
    except (FileNotFoundError, ObjectCorrupt):
        return State()


@contextmanager
def held(state_dir: str) -> Iterator[None]:
    """Lock the state for this process, to read and write it. OSError, UntrustedPath."""
    # Readable by the collector of metrics; it contains no secrets.
    make_directory(state_dir, 0o755)
    # Not readable by others, because any reader of a file can lock it.
    with os.fdopen(open_to_write(os.path.join(state_dir, _LOCK), 0o600), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_state(state_dir: str, state: State) -> None:
    """Replace the state atomically; call it within :func:`held`. OSError, UntrustedPath."""
    replace_file(os.path.join(state_dir, _FILE), state.record(), 0o644, sync=True)


def _load(fields: Fields) -> State:
    told: Dict[str, Dict[str, Told]] = {}
    of_keys = fields.entries("told", default={})
    for key in of_keys.data:
        of = of_keys.inner(key)
        told[key] = {name: Told(of.inner(name).text("news"), of.inner(name).moment("at")) for name in of.data}
    of_channels = fields.entries("deliveries", default={})
    deliveries = {name: _delivery(of_channels.inner(name)) for name in of_channels.data}
    return State({key: of for key, of in told.items() if of}, deliveries)


def _delivery(fields: Fields) -> Delivery:
    def moment(name: str) -> Optional[datetime]:
        return fields.moment(name) if fields.has(name) else None

    return Delivery(
        moment("last_success"),
        moment("last_failure"),
        fields.integer("delivered", default=0),
        fields.integer("failures", default=0),
        fields.maybe_text("error_code"),
    )
