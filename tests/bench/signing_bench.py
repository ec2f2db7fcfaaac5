# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What signatures cost: the catalogue of so many backups in a directory, unsigned and signed, read twice by a process.

    PYTHONPATH=.build/lib:tests tools/unprivileged .venv/bin/python tests/bench/signing_bench.py 500
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Dict

from lifeboat.config.load import parse
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.labels import make_label
from lifeboat.repository.repository import Repository
from support.records import a_backup, moment
from support.signing import key_pair


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        ours = key_pair(root, "ours")
        signing = {"key_file": str(ours.key_file), "signers": [ours.signer()]}
        for word, section in (("unsigned", None), ("signed", signing)):
            (root / word).mkdir()
            entry = {"type": "directory", "path": str(root / word)}
            settings: Dict[str, Any] = {"cluster": "main", "repositories": [entry], "signing": section}
            repository = Repository.open(parse(settings).repositories[0], "main")
            timed(f"{word}: write {count}", lambda r=repository: write(r, count))
            for again in ("read", "read once more"):
                timed(f"{word}: {again}", lambda r=repository: len(load_catalog(r).backups))


def write(repository: Repository, count: int) -> int:
    for number in range(count):
        begun = moment(number * 60)
        backup = a_backup(label=make_label(begun, "full"), started_at=begun, finished_at=begun + timedelta(seconds=9))
        repository.put_record(repository.layout.manifest(backup.label), backup.as_dict())
    return count


def timed(words: str, work: Callable[[], int]) -> None:
    wall, before = time.monotonic(), os.times()
    done = work()
    after = os.times()
    cpu = sum(after[:4]) - sum(before[:4])
    print(f"{words:28} {done:6} records  {time.monotonic() - wall:7.2f} s  {cpu:7.2f} s of CPU", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
