# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role standby asks a server, and its promotion in one session, in every version of PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest
import yaml
from support.choice import every_postgres
from support.installations import Installation
from support.postgres import Cluster, Sites
from support.processes import run_program
from support.standby import fed_by_segments, fork_of

pytestmark = pytest.mark.integration

ROLE = Path(__file__).parents[2] / "roles" / "standby"
QUESTION: str = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__standby_question"]


def commands() -> List[str]:
    """The commands of the task that promotes, with its templates filled in."""
    tasks: List[Any] = yaml.safe_load((ROLE / "tasks" / "promote_standby.yml").read_text(encoding="utf-8"))
    task = next(t for t in tasks if t["name"] == "Promote the server")
    promotion = task["vars"]["__standby_promotion"].replace("{{ standby_promote_timeout }}", "60")
    words = task["ansible.builtin.command"]["argv"].split("__standby_psql + [", 1)[1].rsplit("]", 1)[0].split(", ")
    known = {"__standby_promotion": promotion, "'--command=' ~ __standby_question": f"--command={QUESTION}"}
    return [known.get(word) or word.strip("'") for word in words]


def psql(installation: Installation, cluster: Cluster, *words: str) -> List[str]:
    options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
    where = [f"--host={cluster.socket_dir}", f"--port={cluster.port}", "--username=postgres", "--dbname=postgres"]
    return run_program(installation.program("psql"), *options, *where, *words).splitlines()


@every_postgres
def test_a_standby_is_promoted_and_tells_its_fork_in_one_session(sites: Sites, postgres: Installation) -> None:
    _ledger, standby = fed_by_segments(sites(postgres, track_commit_timestamp="on"))
    (before,) = psql(postgres, standby.cluster, f"--command={QUESTION}")
    databases = ["postgres", "template1"]
    assert json.loads(before) == {"in_recovery": True, "databases": databases, "timeline": 1, "history": None}
    words = commands()
    assert len(words) == 2
    promoted, after = psql(postgres, standby.cluster, *words)
    told = json.loads(after)
    assert promoted == "t" and (told["in_recovery"], told["timeline"]) == (False, 2)
    assert told["history"].split("\t")[1] == fork_of(standby.cluster.data_dir, 2)
