# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys that sign records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Dict, Mapping

from lifeboat.records.model import FORMAT, seal_record
from lifeboat.repository.repository import Repository

from .processes import run_program


@dataclass(frozen=True)
class KeyPair:
    """A pair of ``ssh-keygen``."""

    name: str
    key_file: Path

    @property
    def public(self) -> str:
        return Path(f"{self.key_file}.pub").read_text(encoding="utf-8").strip()

    def signer(self, **more: Any) -> Dict[str, Any]:
        """Its entry of ``signing.signers``."""
        return {"name": self.name, "key": self.public, **more}


def key_pair(directory: Path, name: str, passphrase: str = "") -> KeyPair:
    path = directory / name
    run_program("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", f"{name}@test", "-f", str(path))
    return KeyPair(name, path)


NOW = datetime.now(timezone.utc)
RECORD = {
    "format": FORMAT,
    "label": "20261122T020000Z-full",
    "n": 1.5,
    "text": "späť",
    "list": [1, {"b": None, "a": True}],
}
Opened = Callable[..., Repository]


def path_of(repository: Repository, key: str) -> Path:
    return Path(repository.store.location) / key


def forge(repository: Repository, key: str, record: Mapping[str, Any]) -> None:
    """Store a record as somebody with only the store's keys can: with a correct checksum."""
    path = path_of(repository, key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(seal_record(record))
