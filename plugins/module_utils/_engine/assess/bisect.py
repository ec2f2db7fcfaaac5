# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the newest backup that is still sound, with as few restore tests as possible. Each test is recorded."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from ..base.errors import BackupMissing
from ..base.progress import Progress
from ..config.load import Config
from ..listing import describe
from ..restore_test import TestRequest
from ..restore_test import apply as restore_for_a_test

#: What was tested, in order: the label of a backup, and whether it is sound.
Tested = Sequence[Tuple[str, bool]]


def next_to_prove(known: Sequence[Optional[bool]]) -> Optional[int]:
    """The position of the backup to be tested next; None once it is known which is the newest sound one, if any. Pure.

    ``known``, oldest first: proven, failed, or never tested (None). What is newer than a failed one counts as failed,
    but the newest is always tested: the damage that an old test found may have been mended since.
    """
    if known and known[-1] is None:
        return len(known) - 1
    sound = max((n for n, proven in enumerate(known) if proven), default=-1)
    failed = next((n for n in range(sound + 1, len(known)) if known[n] is False), len(known))
    if failed - sound <= 1:
        return None
    return (sound + failed) // 2


def tested_lines(tested: Tested) -> List[str]:
    """What was tested, a line for each backup. Pure."""
    return [f"restore test of {name}: {'sound' if held else 'DAMAGED'}" for name, held in tested]


def find_sound(config: Config, progress: Optional[Progress] = None) -> Tuple[Optional[str], List[Tuple[str, bool]]]:
    """The label of the newest sound backup (None: none is), and what was tested now, in order.

    Each test restores into a scratch cluster to the end of the archived WAL, and drops it. An interruption loses only
    the test at work, because each result is a record in the repositories. BackupMissing where there is no backup.
    """
    told = describe(config)
    backups = [item for item in told["backups"] if item["restorable"]]
    if not backups:
        raise BackupMissing(
            f"Repository {told['repository']} has no backup that can be restored.", "lifeboat list shows what it has."
        )
    known = [item["tested"]["proven"] if item["tested"] else None for item in backups]
    tested: List[Tuple[str, bool]] = []
    position = next_to_prove(known)
    while position is not None:
        label = str(backups[position]["label"])
        if progress is not None:
            progress.note(f"restore test of {label}")
        known[position] = restore_for_a_test(config, TestRequest(label), progress).proven
        tested.append((label, bool(known[position])))
        position = next_to_prove(known)
    sound = [str(item["label"]) for item, proven in zip(backups, known) if proven]
    return (sound[-1] if sound else None), tested
