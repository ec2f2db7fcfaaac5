# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster is backed up to and restored from other kinds of stores, and one that lacks most features."""

from __future__ import annotations

from typing import Any

import pytest
from lifeboat.config.load import StoreOptions
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Sites, restore_arguments

pytestmark = pytest.mark.integration


@pytest.fixture(params=["azure", "gcs", "lesser"])
def options(request: pytest.FixtureRequest) -> StoreOptions:
    found: StoreOptions = request.getfixturevalue(f"{request.param}_options")
    return found


def test_backup_archive_and_restore(options: StoreOptions, sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, options, segment_mb=1, track_commit_timestamp="on")
    ledger = Ledger(site.cluster)
    before = ledger.write(3)
    label = site.backup()["label"]
    after = ledger.write(3)
    site.cluster.switch_wal()
    listed: dict[str, Any] = dict(site.lifeboat("list").data)
    assert label in str(listed)
    assert options.location in site.lifeboat("show", label).stdout
    site.lifeboat("verify")
    site.lifeboat("prune", "--plan")
    site.cluster.stop()
    clone = site.clone("back")
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected([*before, *after])
