# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Examine one restored server: survey it, try operations that must fail, and compare it with the evidence."""

from __future__ import annotations

import json
import os
import shlex
from typing import Any, Dict, List, Mapping, Tuple

from ..base.process import run
from ..base.wal_names import parse_lsn
from ..config.load import Config
from ..config.sections import ConnectionConfig
from ..postgres.connection import libpq_environment, local
from ..postgres.controldata import program
from ..records.model import parse_time, read_moment
from . import evidence as files
from .checks import Observed, checks
from .evidence import Evidence
from .judge import JudgedTarget, TimeTarget, Verdict, WalTarget, judge
from .ledger import PAYLOAD_SQL, TABLE, read
from .stored import stored_end
from .survey import current_segment, inventory, present_ids, survey


def prove(config: Config, evidence: Evidence, number: int) -> Dict[str, Any]:
    """Examine the N-th restored server, at the address in ``restore-N.json``; writes ``judge-N.json``.

    :return: ``passed``, ``checks``, ``verdict``
    """
    restore, disaster = evidence.read(files.restore_name(number)), evidence.read(files.DISASTER)
    where = restore["connection"]
    connection = local(config.connection, where["host"], int(where["port"]))
    verdict, wrong = _ledger(connection, evidence, restore, disaster)
    seen = Observed(
        restore=restore,
        marks=evidence.get(files.MARKS),
        disaster=disaster,
        source=evidence.read(files.SURVEY)["server"],
        clone=survey(connection),
        verdict=verdict,
        wrong_payloads=wrong,
        amcheck=_amcheck(config, connection),
        push=_push(config, connection, restore["result"]["data_dir"]),
        before=_objects(disaster["inventory"]),
        after=_objects(inventory(config)),
    )
    found = checks(seen)
    judged = {
        "passed": all(check.ok for check in found),
        "checks": [check.as_dict() for check in found],
        "verdict": verdict.as_dict(),
    }
    evidence.write(files.judge_name(number), judged)
    return judged


def target_of(restore: Mapping[str, Any], disaster: Mapping[str, Any]) -> JudgedTarget:
    """The rule for judging the ledger. Only ``latest`` has to replay all stored WAL."""
    target, reached = restore["target"], parse_lsn(restore["result"]["reached_lsn"])
    if target["kind"] == "time":
        return TimeTarget(read_moment(target["value"]), bool(target.get("inclusive", True)))
    stored = disaster.get("stored") if target["kind"] == "latest" else None
    return WalTarget(reached, stored_end(target, stored) if stored else None)


def _ledger(
    connection: ConnectionConfig, evidence: Evidence, restore: Mapping[str, Any], disaster: Mapping[str, Any]
) -> Tuple[Verdict, List[int]]:
    ledger = read(evidence.path(files.LEDGER))
    present, wrong = present_ids(connection, TABLE, PAYLOAD_SQL)
    return judge(ledger.records, frozenset(present), target_of(restore, disaster), parse_time(disaster["at"])), wrong


def _amcheck(config: Config, connection: ConnectionConfig) -> Dict[str, Any]:
    argv = [program(config.bin_dir, "pg_amcheck"), "--all", "--install-missing", "--heapallindexed", "--jobs=2"]
    argv += ["--host", str(connection.host), "--port", str(connection.port)]
    if connection.user:
        argv += ["--username", connection.user]
    done = run(argv, check=False, env=libpq_environment(connection))
    return {"command": _show(argv), "status": done.status, "output": (done.stdout + done.stderr).strip()[-2000:]}


def _push(config: Config, connection: ConnectionConfig, data_dir: str) -> Dict[str, Any]:
    """Try to archive the server's current WAL file, exactly as its archive_command would."""
    segment = current_segment(connection)
    argv = [config.command, "--config", str(config.source), "--json", "wal-push", os.path.join("pg_wal", segment)]
    done = run(argv, check=False, cwd=data_dir)
    return {
        "command": f"cd {shlex.quote(data_dir)} && {_show(argv)}",
        "status": done.status,
        "output": (done.stdout + done.stderr).strip()[-2000:],
        "error_code": _error_code(done.stdout) or _error_code(done.stderr),
    }


def _error_code(text: str) -> str:
    try:
        data = json.loads(text)
    except ValueError:
        return ""
    return str(data["error"]["error_code"]) if isinstance(data, dict) and "error" in data else ""


def _objects(stores: Mapping[str, Any]) -> Dict[str, int]:
    return {f"{name}: {key}": int(size) for name, store in stores.items() for key, size in store["objects"].items()}


def _show(argv: List[str]) -> str:
    return " ".join(shlex.quote(part) for part in argv)
