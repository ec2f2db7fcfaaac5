# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restore that fails in a restore test: the backup is judged only by what the backup is at fault for."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.base.errors import BackupCorrupt, DiskFull, LifeboatError, RecoveryFailed, StoreUnavailable
from lifeboat.base.progress import Silent
from lifeboat.restore_test import run


def failing(monkeypatch: pytest.MonkeyPatch, error: LifeboatError) -> Any:
    def apply(*_arguments: object) -> object:
        raise error

    monkeypatch.setattr(run, "scratch_config", lambda config, _planned: config)
    monkeypatch.setattr(run.restore, "apply", apply)
    return run._tried(None, None, Silent())  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [StoreUnavailable, DiskFull])
def test_a_store_that_is_away_or_a_full_disk_proves_nothing(
    monkeypatch: pytest.MonkeyPatch, error: type[LifeboatError]
) -> None:
    with pytest.raises(error):
        failing(monkeypatch, error("It failed.", "Mend it."))


@pytest.mark.parametrize("error", [BackupCorrupt, RecoveryFailed])
def test_a_backup_that_cannot_be_restored_is_not_proven(
    monkeypatch: pytest.MonkeyPatch, error: type[LifeboatError]
) -> None:
    result, (finding,) = failing(monkeypatch, error("It is broken.", "Make another."))
    assert (result, finding.name, finding.state) == (None, "restore", "broken")
