# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL agent with a failing store, a failover, and an unusable spool."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from lifeboat.config.load import S3Options
from lifeboat.repository.repository import Repository
from support import faultproxy
from support.choice import represented
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import until
from support.walagent import (
    MIB,
    NOTHING,
    Agents,
    acknowledged,
    all_archived,
    archive_by,
    ask,
    content,
    on_disk,
    proxied,
    push_argv,
    quiet_site,
    ready,
    spool_of,
    stored,
    write_segments,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy) -> Site:
    """A server that archives nothing yet, with a store behind the proxy."""
    return quiet_site(sites, newest_postgres, proxied(s3_options, fault_proxy))


# --- the store --------------------------------------------------------------------------------------------------


def test_a_store_that_is_down_for_a_while(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    cluster = site.cluster
    agents(site)
    archive_by(site, NOTHING)
    names = write_segments(site, 2)[:2]
    all_archived(site)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6))
    names += write_segments(site, 12)
    until(lambda: cluster.value("SELECT failed_count FROM pg_stat_archiver") >= 1, "a failure to be counted")
    until(lambda: "[store_unavailable]" in cluster.log.read_text(), "the agent's words in the server's log")
    assert ready(site) == names[2:]
    told = {c["name"]: c for c in site.lifeboat("check", status=None).data["checks"]}
    count = len(names) - 2
    assert f"{count} files ({count * MIB / 1e6:.1f} MB)" in told["WAL backlog"]["message"]
    assert names[2] in told["WAL backlog"]["message"]
    assert told["WAL agent"]["status"] == "ok"
    fault_proxy.clear()
    # PostgreSQL tries again after a minute: what it has archived by then is acknowledged no more.
    until(lambda: not set(ready(site)) - set(acknowledged(site)), "the agent to catch up")
    names += write_segments(site, 1)
    all_archived(site)
    assert stored(site, s3_options) == names
    assert "0 files" in str(site.lifeboat("check", status=None).data)


def test_a_slow_store_loses_and_reorders_nothing(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    names = write_segments(site, 12)
    fault_proxy.inject(Fault(faultproxy.SLOW, times=10**6, method="PUT", target="/wal/", seconds=0.7))
    agents(site)
    archive_by(site, NOTHING)
    all_archived(site)
    assert stored(site, s3_options) == names
    assert site.cluster.value("SELECT failed_count FROM pg_stat_archiver") == 0


@pytest.mark.parametrize("kind", ["segment", "history"])
@represented(kind="segment")
def test_different_content_under_the_same_name_is_refused_loudly(
    site: Site, s3_options: S3Options, agents: Agents, kind: str
) -> None:
    name = write_segments(site, 1)[0]
    other, here = zstandard.ZstdCompressor().compress(bytes(MIB)), None
    if kind == "history":
        name, other, here = "00000002.history", b"1\t0/3000000\tother\n", b"1\t0/4000000\tours\n"
        on_disk(site, name).write_bytes(here)
        (site.cluster.data_dir / "pg_wal" / "archive_status" / f"{name}.ready").touch()
    repository = Repository.open(replace(site.config.repositories[0], store=s3_options), "main")
    key = repository.layout.wal(site.cluster.system_identifier, name)
    repository.store.put(key, other)
    agents(site)
    archive_by(site, NOTHING)
    until(lambda: "[wal_conflict]" in site.cluster.log.read_text(), "the refusal in the server's log")
    answer = ask(site, name)
    assert (answer.returncode, name in answer.stderr) == (1, True)
    assert repository.store.get(key) == other
    assert name in ready(site)


# --- timelines --------------------------------------------------------------------------------------------------


def test_a_failover_while_segments_are_queued(
    sites: Sites, a_postgres: Installation, s3_options: S3Options, agents: Agents
) -> None:
    site = quiet_site(sites, a_postgres, s3_options)
    cluster = site.cluster
    old = write_segments(site, 5)
    cluster.execute("CREATE TABLE unfinished AS SELECT 1 AS k")
    cluster.stop("immediate")
    (cluster.data_dir / "standby.signal").touch()
    cluster.start()
    cluster.execute("SELECT pg_promote()")
    new = write_segments(site, 3)
    waiting = ready(site)
    assert waiting[0] == "00000002.history"
    assert [name for name in waiting if name.endswith(".partial")]
    partial = next(name for name in waiting if name.endswith(".partial"))
    files = {name: on_disk(site, name).read_bytes() for name in waiting}
    agents(site)
    until(lambda: set(acknowledged(site)) == set(waiting), "the acknowledgements")
    archive_by(site, NOTHING)
    all_archived(site)
    assert stored(site, s3_options) == old
    assert stored(site, s3_options, timeline=2) == new
    for name in ("00000002.history", partial, new[0]):
        assert content(site, s3_options, name) == files[name], name


# --- the spool --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [-1, 1, -(10**18), 10**17], ids=["older", "newer", "long ago", "in the future"])
@represented(shift=1)
def test_an_acknowledgement_of_another_file_is_not_believed(site: Site, agents: Agents, shift: int) -> None:
    name = write_segments(site, 1)[0]
    agents(site).kill9()
    assert (spool_of(site) / "push" / "data").exists()
    stamp = on_disk(site, name).stat().st_mtime_ns
    acknowledgement = spool_of(site) / "push" / f"{name}.ok"
    acknowledgement.touch()
    os.utime(acknowledgement, ns=(stamp, stamp))
    assert ask(site, name, NOTHING).returncode == 0
    os.utime(acknowledgement, ns=(stamp + shift, stamp + shift))
    assert ask(site, name, NOTHING).returncode == 1


def test_a_file_that_is_another_one_by_now_is_acknowledged_anew(site: Site, agents: Agents) -> None:
    name = write_segments(site, 1)[0]
    agents(site)
    until(lambda: acknowledged(site) == [name], "the acknowledgement")
    # The clock was set back, and a cluster of that name was made again.
    os.utime(on_disk(site, name), ns=(10**18, 10**18))
    assert ask(site, name, NOTHING).returncode == 0
    good = on_disk(site, name).read_bytes()
    on_disk(site, name).write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    answer = ask(site, name, NOTHING)
    assert (answer.returncode, "[wal_conflict]" in answer.stderr) == (1, True), answer.stderr


def test_a_spool_that_cannot_be_written_is_no_obstacle(site: Site, s3_options: S3Options, agents: Agents) -> None:
    agent = agents(site)
    names = write_segments(site, 1)
    until(lambda: acknowledged(site) == names, "the acknowledgement")
    push = spool_of(site) / "push"
    push.chmod(0o500)
    try:
        names += write_segments(site, 3)
        assert agent.wait() == 1
        assert "[spool_unusable]" in agent.words()
        assert str(spool_of(site)) in agent.words()
        archive_by(site)
        all_archived(site)
        assert site.lifeboat("wal-agent", status=1).error["error_code"] == "spool_unusable"
    finally:
        push.chmod(0o700)
    assert stored(site, s3_options) == names


def test_there_is_no_spool_at_all(site: Site, s3_options: S3Options) -> None:
    names = write_segments(site, 2)
    archive_by(site)
    all_archived(site)
    assert stored(site, s3_options) == names


def test_a_full_spool_ends_the_agent(site: Site, tmp_path: Path) -> None:
    """On a tmpfs with space for a few files, mounted in the agent's own namespace."""
    names = write_segments(site, 12)
    spool = tmp_path / "small"
    spool.mkdir()
    config = site.write(tmp_path / "small.yml", spool_dir=str(spool))
    inside = (
        f'mount -t tmpfs -o nr_inodes=8,mode=0700 tmpfs "{spool}" || exit 77; mkdir "{spool}/push";'
        f' touch "{spool}/push/asked"; "{site.command}" --config "{config}" wal-agent'
    )
    ran = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", inside],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if ran.returncode == 77:
        pytest.skip("no tmpfs can be mounted in a user name space here")
    assert (ran.returncode, "[spool_unusable]" in ran.stderr, "No space left" in ran.stderr) == (1, True, True)
    assert ready(site) == names
    assert ask(site, names[0], push_argv(site, f"pg_wal/{names[0]}")).returncode == 0
