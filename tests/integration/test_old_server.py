# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server older than the supported versions is refused, and nothing is stored. Only in make test-matrix."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.installations import too_old
from support.postgres import Sites

pytestmark = pytest.mark.integration


def test_a_server_that_is_too_old_is_refused(sites: Sites, tmp_path: Path) -> None:
    found = too_old()
    if not found:
        pytest.skip("no PostgreSQL before 15 is here")
    site = sites(found[-1], segment_mb=1)
    for words in (["backup"], ["backup", "--plan"]):
        error = site.lifeboat(*words, status=1).error
        assert error["error_code"] == "server_not_ready", error
        assert f"PostgreSQL {found[-1].version} is too old" in error["message"] and "pg_upgrade" in error["hint"]
    assert not (site.repository_dir / "backups").exists()
    check = site.lifeboat("check", status=None)
    assert "is too old" in check.stdout + check.stderr and check.status != 0
