# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that the steps of a drill write for each other, all in one directory, so that a reader can check them.

``drill.json``       the rehearsal: title, cluster, started_at; written by whoever runs the drill
``survey.json``      the server before the disaster: versions, settings, tables and their fingerprints
``backup.json``      the manifest of the full backup
``incremental.json`` the manifest of the incremental backup, if the server supports it
``marks.json``       times on the server's clock: the restore point, the accident
``ledger.jsonl``     every acknowledged commit
``disaster.json``    what was destroyed, when, and the WAL archived by then
``restore-N.json``   the N-th restore: target, times of the request and the opening, the engine's result
``judge-N.json``     the checks of the N-th restore and the ledger's verdict
``failure.json``     the step that failed, if the drill could not be finished
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping

from ..base.errors import ConfigError

DRILL = "drill.json"
SURVEY = "survey.json"
BACKUP = "backup.json"
INCREMENTAL = "incremental.json"
MARKS = "marks.json"
LEDGER = "ledger.jsonl"
DISASTER = "disaster.json"
FAILURE = "failure.json"


def restore_name(number: int) -> str:
    """The file of the N-th restore."""
    return f"restore-{number}.json"


def judge_name(number: int) -> str:
    """The file of the verdict on the N-th restore."""
    return f"judge-{number}.json"


@dataclass(frozen=True)
class Evidence:
    """A directory with these files."""

    directory: str

    def path(self, name: str) -> str:
        """The path of a file, whether it exists or not."""
        return os.path.join(self.directory, name)

    def has(self, name: str) -> bool:
        """Whether the file exists, so the step that writes it was reached."""
        return os.path.exists(self.path(name))

    def read(self, name: str) -> Dict[str, Any]:
        """Read a JSON object; ConfigError if the file is missing or invalid."""
        path = self.path(name)
        try:
            with open(path, encoding="utf-8") as stream:
                data = json.load(stream)
        except OSError as exc:
            raise ConfigError(
                f"Cannot read {path}: {exc.strerror}.", "Run the step that writes it first.", path=path
            ) from exc
        except ValueError as exc:
            raise ConfigError(f"{path} is not valid JSON: {exc}.", "Repeat the drill.", path=path) from exc
        if not isinstance(data, dict):
            raise ConfigError(f"{path} is not a JSON object.", "Repeat the drill.", path=path)
        return data

    def get(self, name: str) -> Dict[str, Any]:
        """Read a JSON object; empty if the drill did not reach that step."""
        return self.read(name) if self.has(name) else {}

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Write a JSON object."""
        path = self.path(name)
        try:
            with open(path, "w", encoding="utf-8") as stream:
                json.dump(data, stream, indent=2)
                stream.write("\n")
        except OSError as exc:
            raise ConfigError(
                f"Cannot write {path}: {exc.strerror}.",
                "Create the directory; check its owner and the disk.",
                path=path,
            ) from exc

    def restores(self) -> List[int]:
        """The numbers of the restores that have a file."""
        numbers: List[int] = []
        while self.has(restore_name(len(numbers) + 1)):
            numbers.append(len(numbers) + 1)
        return numbers

    def digests(self) -> Dict[str, str]:
        """SHA-256 of every file, by name."""
        found = {}
        for name in sorted(os.listdir(self.directory)):
            if os.path.isfile(self.path(name)):
                with open(self.path(name), "rb") as stream:
                    found[name] = hashlib.sha256(stream.read()).hexdigest()
        return found
