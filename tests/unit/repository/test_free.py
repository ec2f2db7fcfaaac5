# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No label is used twice in the same second, for any kind, in any repository."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import List

import pytest
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.repository import free
from lifeboat.repository.free import free_second
from lifeboat.repository.labels import make_label
from lifeboat.repository.layout import Layout
from lifeboat.repository.repository import Repository
from support.records import SYSTEM, moment, put


@pytest.mark.parametrize("kind", ["files", "changes"])
def test_a_second_that_is_taken_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    both = []
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
        made = Repository.open(RepositoryConfig(name, DirectoryOptions(str(tmp_path / name))), "main")
        made.adopt(SYSTEM)
        both.append(made)
    taken = make_label(moment(5), kind)
    put(both[1], Layout("main").file_set("web", taken, "data.tar.zst"), b"of a copy that is not finished")
    put(both[1], Layout("main").file_set("other", make_label(moment(6), kind), "data.tar.zst"), b"of another set")
    waited: List[float] = []
    monkeypatch.setattr(free.clock, "sleep", waited.append)

    def now() -> datetime:
        return moment(5) + timedelta(seconds=sum(waited))

    found = free_second(both, now, lambda layout: layout.file_set_prefix("web"))
    assert found >= moment(6) and make_label(found, kind) != taken and len(waited) == 5
