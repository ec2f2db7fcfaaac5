# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role standby asks a server, in every version of PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import List

import pytest
import yaml
from support.choice import every_postgres
from support.installations import Installation
from support.postgres import Cluster, Sites
from support.processes import run_program
from support.standby import fed_by_segments

pytestmark = pytest.mark.integration

ROLE = Path(__file__).parents[2] / "roles" / "standby"
QUESTION: str = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__standby_question"]


def psql(installation: Installation, cluster: Cluster, *words: str) -> List[str]:
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    where = [f"--host={cluster.socket_dir}", f"--port={cluster.port}", "--username=postgres", "--dbname=postgres"]
    return run_program(installation.program("psql"), *options, *where, *words).splitlines()


@every_postgres
def test_a_server_tells_whether_it_is_a_standby(sites: Sites, postgres: Installation) -> None:
    _ledger, standby = fed_by_segments(sites(postgres, track_commit_timestamp="on"))
    databases = ["postgres", "template1"]
    for in_recovery in (True, False):
        (told,) = psql(postgres, standby.cluster, f"--command={QUESTION}")
        assert json.loads(told) == {"in_recovery": in_recovery, "databases": databases}
        if in_recovery:
            standby.promote()
