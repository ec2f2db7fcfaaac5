# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``check`` and the RPO: an idle server breaks no promise, one that cannot archive does."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import until

pytestmark = pytest.mark.integration

RPO = 4


def window(site: Site, config: Path, status: int) -> Dict[str, Any]:
    checks = site.lifeboat("check", config_file=config, status=status).data["checks"]
    (found,) = [c for c in checks if c["name"] == "repository repo0: window"]
    return dict(found)


def test_an_idle_server_keeps_its_rpo_and_one_that_cannot_archive_does_not(
    sites: Sites, a_postgres: Installation, tmp_path: Path
) -> None:
    store = DirectoryOptions(str(tmp_path / "store"))
    Path(store.path).mkdir()
    site = sites(a_postgres, store, fresh=True, archive_timeout="2")
    config = site.write(tmp_path / "rpo.yml", objectives={"rpo": RPO})
    site.lifeboat("backup")
    site.lifeboat("wal-prove")
    time.sleep(RPO + 2)
    assert window(site, config, 0)["status"] == "ok"

    site.cluster.execute("ALTER SYSTEM SET archive_command = '/bin/false'", "SELECT pg_reload_conf()")
    time.sleep(1)
    site.cluster.execute("CREATE TABLE unarchived AS SELECT 1", "SELECT pg_switch_wal()")
    until(lambda: "/bin/false" in site.cluster.log.read_text(), "the new command to be tried")
    time.sleep(RPO + 2)
    found = window(site, config, 2)
    assert found["status"] == "critical" and f"more than the RPO of {RPO} s" in found["message"]


def test_databases_with_another_version_of_their_collation_are_named(
    sites: Sites, oldest_postgres: Installation, tmp_path: Path
) -> None:
    """As after an upgrade of the operating system. The oldest PostgreSQL here is Debian's, which has ICU."""
    store = DirectoryOptions(str(tmp_path / "store"))
    Path(store.path).mkdir()
    site = sites(oldest_postgres, store, fresh=True)
    site.lifeboat("backup")
    create = "CREATE DATABASE words TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'de' LOCALE 'C'"
    for statement in (create, "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'words'"):
        site.cluster.execute(statement)
    told = {c["name"]: c for c in site.lifeboat("check", status=1).data["checks"]}["collations"]
    assert told["status"] == "warning" and "words (1, here " in told["message"]
    assert "REFRESH COLLATION VERSION" in told["hint"]
    site.cluster.execute("ALTER DATABASE words REFRESH COLLATION VERSION")
    assert "collations" not in {c["name"] for c in site.lifeboat("check").data["checks"]}
