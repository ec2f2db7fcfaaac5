# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the WAL ends if a host is lost in a burst, and if somebody deletes archived WAL."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, Dict, Iterator, List, Tuple

import pytest
from lifeboat.base import clock
from lifeboat.base.wal_names import Segment, parse_lsn
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.repository.repository import Repository
from lifeboat.wal.inventory import archived
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.postgres import Ran, Site, Sites, restore_arguments
from support.processes import until
from support.walagent import AgentProcess, acknowledged, archive_by, ready, spool_of

pytestmark = pytest.mark.integration
NEXT = "PERFORM pg_logical_emit_message(false, 'lifeboat', ''); PERFORM pg_switch_wal();"


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy) -> Site:
    """A server with segments of 1 MiB that archives with an agent, through a proxy in front of its store."""
    store = replace(s3_options, endpoint_url=fault_proxy.endpoint_url, connect_timeout=1, read_timeout=60)
    site = sites(newest_postgres, store, segment_mb=1, start=False, archive_timeout=0)
    site.options.update(spool_dir=str(spool_of(site)), wal={"parallel": 3})
    site.write()
    site.cluster.start()
    return site


@pytest.fixture
def agent(site: Site) -> Iterator[AgentProcess]:
    """Its agent, without which the server archives nothing. A backup exists."""
    running = AgentProcess(site)
    archive_by(site, ["false"])
    site.cluster.execute("CREATE TABLE t (segment int)")
    site.backup()
    yield running
    running.close()


def write(site: Site, count: int) -> List[str]:
    """Commit a row in each of this many new segments; their names."""
    names = []
    for _ in range(count):
        names.append(current(site))
        site.cluster.execute("INSERT INTO t SELECT count(*) + 1 FROM t", "SELECT pg_switch_wal()")
    return names


def current(site: Site) -> str:
    return str(site.cluster.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))


def repository(site: Site, store: Any) -> Repository:
    return Repository.open(replace(site.config.repositories[0], store=store), "main")


def key(site: Site, opened: Repository, name: str) -> str:
    return opened.layout.wal(site.cluster.system_identifier, name)


def there(site: Site, store: Any, names: List[str]) -> List[bool]:
    opened = repository(site, store)
    return [opened.store.head(key(site, opened, name)) is not None for name in names]


def restored(site: Site, *words: str, status: int = 0) -> Tuple[Ran, List[int]]:
    """Restore into a clone; the messages, and the rows of ``t``."""
    clone = site.clone(f"clone{len(site.clones)}")
    ran = site.lifeboat(*restore_arguments(clone, *words), status=status)
    rows = clone.rows("SELECT segment FROM t ORDER BY 1") if status == 0 else []
    clone.stop("immediate")
    return ran, [row[0] for row in rows]


def offered(error: Dict[str, Any]) -> List[str]:
    """The target in a hint, as printed."""
    match = re.search(r"--lsn [0-9A-F]+/[0-9A-F]+", error["hint"])
    assert match, error["hint"]
    return shlex.split(match.group())


def test_wal_stored_ahead_of_a_hole_ends_no_restore(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agent: AgentProcess
) -> None:
    """The host is lost during an upload, with later segments stored: none of them was acknowledged."""
    write(site, 2)
    until(lambda: not ready(site), "the first to be archived")
    hole = current(site)
    fault_proxy.inject(Fault(faultproxy.HANG, times=10**6, method="PUT", target=hole))
    assert write(site, 1) == [hole]
    later = write(site, 4)
    until(lambda: any(there(site, s3_options, later)), "a later segment to be stored")
    assert there(site, s3_options, [hole]) == [False]
    assert not set(acknowledged(site)) & {hole, *later}
    agent.kill9()
    site.cluster.kill9()
    fault_proxy.clear()

    told = site.lifeboat("list").data
    assert told["gaps"] == []
    ran, rows = restored(site)
    assert rows == [1, 2]
    warned = " ".join(ran.data["restore"]["warnings"])
    assert f"{hole} was never archived" in warned
    assert site.lifeboat("verify").status == 0


def test_a_segment_that_was_archived_is_missed_and_the_hint_works(
    site: Site, s3_options: S3Options, agent: AgentProcess
) -> None:
    names = write(site, 5)
    until(lambda: not ready(site), "all to be archived")
    opened = repository(site, s3_options)
    opened.store.delete([key(site, opened, names[2])])
    site.cluster.stop()
    latest, _none = restored(site, status=1)
    in_time, _none = restored(site, "--time", latest.error["details"]["latest"], status=1)
    for ran in (latest, in_time):
        assert (ran.error["error_code"], ran.error["details"]["missing"]) == ("wal_gap", [names[2]])
        assert restored(site, *offered(ran.error))[1] == [1, 2]


@pytest.mark.parametrize("by_agent", [True, False], ids=["agent", "push"])
def test_the_newest_segments_were_deleted(
    sites: Sites, newest_postgres: Installation, tmp_path: Path, by_agent: bool
) -> None:
    store = DirectoryOptions(str(tmp_path / "repository"))
    (tmp_path / "repository").mkdir()
    site = sites(newest_postgres, store, segment_mb=1, start=False, archive_timeout=0)
    site.options.update(spool_dir=str(spool_of(site)))
    site.write()
    site.cluster.start()
    agent = AgentProcess(site) if by_agent else None
    if agent:
        archive_by(site, ["false"])
    site.cluster.execute("CREATE TABLE t (segment int)")
    site.backup()
    names = write(site, 6)
    until(lambda: not ready(site), "all to be archived")
    if agent:
        assert agent.stop() == 0
    site.cluster.stop("immediate")
    opened = repository(site, store)
    assert not site.lifeboat("verify").data["findings"]
    opened.store.delete([key(site, opened, name) for name in names[-2:]])

    verified = site.lifeboat("verify", status=1)
    assert [name in verified.stdout + verified.stderr for name in names] == [False] * 4 + [True] * 2
    assert site.lifeboat("list").data["windows"][0]["lost"] == names[-2:]
    checks = site.lifeboat("check", status=None).data["checks"]
    assert [c["status"] for c in checks if c["name"].endswith(": lost WAL")] == ["critical"]
    ran, rows = restored(site)
    assert rows == [1, 2, 3, 4]
    assert "2 WAL segments" in " ".join(ran.data["restore"]["warnings"])
    assert names[-2] in " ".join(ran.data["plan"]["warnings"])
    # What somebody else put there makes no restore impossible.
    opened.store.put(opened.layout.wal_acknowledged(site.cluster.system_identifier, "000000010000002A00000001"), b"!")
    ran, rows = restored(site)
    assert (rows, "000000010000002A00000001" in " ".join(ran.data["restore"]["warnings"])) == ([1, 2, 3, 4], True)


def archived_to(site: Site) -> int:
    """The LSN up to which WAL was acknowledged to PostgreSQL, read from the files after a power failure."""
    status = site.cluster.data_dir / "pg_wal" / "archive_status"
    done = [p.stem for p in status.glob("*.done") if len(p.stem) == 24]
    return max((Segment.parse(name, 2**20).end for name in done), default=0)


def test_a_host_lost_in_a_burst_leaves_all_that_was_acknowledged(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agent: AgentProcess
) -> None:
    """LIFEBOAT_TEST_LOSSES of them, at random moments, with a store that responds late."""
    chance, holes, refused = Random(42), 0, []
    for _ in range(int(os.environ.get("LIFEBOAT_TEST_LOSSES", "3"))):
        # What is on its way when the host is lost never arrives: the proxy would still bring what is only slow.
        for digit in "0123456789ABCDEF":
            kind, end = chance.choice([faultproxy.HANG, faultproxy.SLOW, faultproxy.SLOW]), f"{digit}.zst"
            fault_proxy.inject(Fault(kind, times=10**6, method="PUT", target=end, seconds=chance.uniform(0, 0.4)))
        site.cluster.execute(f"DO $$ BEGIN FOR i IN 1..16 LOOP {NEXT} END LOOP; END $$")
        clock.sleep(chance.uniform(0.3, 3.0))
        agent.kill9()
        site.cluster.kill9()
        fault_proxy.clear()
        planned = site.lifeboat(*restore_arguments(site.clone(f"plan{len(site.clones)}")), "--plan", status=None)
        opened = repository(site, s3_options)
        stored = {segment.name for segment in archived(opened, site.cluster.system_identifier, [1], 0, 2**20)}
        holes += any(name < max(stored) for name in ready(site) if name not in stored)
        if planned.status:
            refused.append(planned.error)
        else:
            assert parse_lsn(planned.data["window"]["end_lsn"]) >= archived_to(site)
        print(f"{holes} losses left a hole, {len(refused)} could not be restored to the latest moment", flush=True)
        # The agent first: a server that was refused three times waits for a minute.
        agent = AgentProcess(site)
        site.cluster.start()
        until(lambda: not ready(site), "the rest to be archived")
    agent.close()
    assert not refused
