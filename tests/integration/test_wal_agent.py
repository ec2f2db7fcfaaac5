# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL agent and ``lifeboat-wal-push``: real servers, real stores, and the agent's death in every state.

Where ``archive_command`` has ``false`` for its fallback, only the agent can have archived.
"""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Callable, Iterator, List, Set

import pytest
import zstandard
from lifeboat.config.load import DirectoryOptions, S3Options, StoreOptions
from lifeboat.repository.repository import Repository
from lifeboat.wal.inventory import archived
from support import faultproxy
from support.choice import represented
from support.faultproxy import Fault, FaultProxy
from support.postgres import Installation, Site, Sites, until
from support.walagent import AgentProcess, acknowledged, archive_by, ask, push_argv, ready, spool_of

pytestmark = pytest.mark.integration
MIB = 2**20
NOTHING = ["false"]
Agents = Callable[[Site], AgentProcess]


@pytest.fixture
def agents() -> Iterator[Agents]:
    """Starts agents, and ends those that still live."""
    made: List[AgentProcess] = []

    def start(site: Site) -> AgentProcess:
        made.append(AgentProcess(site))
        return made[-1]

    yield start
    for agent in made:
        agent.close()


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy) -> Site:
    """A server that archives nothing yet, with a store behind the proxy."""
    return quiet_site(sites, newest_postgres, proxied(s3_options, fault_proxy))


def quiet_site(sites: Sites, installation: Installation, *stores: StoreOptions) -> Site:
    site = sites(installation, *stores, segment_mb=1, start=False, archive_command="", archive_timeout=0)
    site.options.update(spool_dir=str(spool_of(site)), wal={"parallel": 3})
    site.write()
    site.cluster.start()
    return site


def proxied(options: S3Options, proxy: FaultProxy) -> S3Options:
    return replace(options, endpoint_url=proxy.endpoint_url, connect_timeout=1, read_timeout=3, max_attempts=1)


def write_segments(site: Site, count: int) -> List[str]:
    """Fill so many segments, or a few more; their names."""
    before = finished(site)
    for _ in range(count):
        site.cluster.execute("SELECT pg_logical_emit_message(true, 'lifeboat', '')", "SELECT pg_switch_wal()")
    return sorted(finished(site) - before)


def finished(site: Site) -> Set[str]:
    """The segments that PostgreSQL has marked to be archived, or as archived."""
    status = site.cluster.data_dir / "pg_wal" / "archive_status"
    return {path.stem for path in status.iterdir() if len(path.stem) == 24}


def stored(site: Site, options: StoreOptions, timeline: int = 1) -> List[str]:
    """The segments in a store."""
    repository = Repository.open(replace(site.config.repositories[0], store=options), "main")
    try:
        return sorted(s.name for s in archived(repository, site.cluster.system_identifier, [timeline], 0, MIB))
    finally:
        repository.store.close()


def content(site: Site, options: StoreOptions, name: str) -> bytes:
    repository = Repository.open(replace(site.config.repositories[0], store=options), "main")
    raw = repository.store.get(repository.layout.wal(site.cluster.system_identifier, name))
    return raw if name.endswith(".history") else zstandard.ZstdDecompressor().decompress(raw)


def on_disk(site: Site, name: str) -> Path:
    return site.cluster.data_dir / "pg_wal" / name


def all_archived(site: Site) -> None:
    until(lambda: not ready(site), "everything to be archived", lambda: site.cluster.log.read_text()[-3000:])


# --- all is well ------------------------------------------------------------------------------------------------


def test_many_segments_reach_every_required_repository_in_order(
    sites: Sites, a_postgres: Installation, s3_options: S3Options, tmp_path: Path, agents: Agents
) -> None:
    directory = DirectoryOptions(str(tmp_path / "repository"))
    os.mkdir(directory.path)
    site = quiet_site(sites, a_postgres, s3_options, directory)
    names = write_segments(site, 40)
    kept = {name: on_disk(site, name).read_bytes() for name in names}
    agent = agents(site)
    archive_by(site, NOTHING)
    all_archived(site)
    for options in (s3_options, directory):
        assert stored(site, options) == names
        assert {name: content(site, options, name) for name in names[::13]} == {n: kept[n] for n in names[::13]}
    assert site.cluster.value("SELECT failed_count FROM pg_stat_archiver") == 0
    # One that comes alone is archived as well, and what was said of the others is gone.
    last = write_segments(site, 1)
    all_archived(site)
    assert stored(site, directory) == names + last
    until(lambda: not acknowledged(site), "the acknowledgements to be removed")
    assert agent.stop() == 0
    # Nobody lives: archive_command pushes by itself.
    archive_by(site)
    last += write_segments(site, 1)
    all_archived(site)
    assert stored(site, s3_options) == names + last


def test_acknowledgements_wait_for_the_first_one(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    names = write_segments(site, 4)
    fault_proxy.inject(Fault(faultproxy.SLOW, method="PUT", target=names[0], seconds=3))
    agents(site)
    until(lambda: set(names[1:]) <= set(stored(site, s3_options)), "the later ones to be stored")
    if names[0] not in stored(site, s3_options):
        assert not acknowledged(site)
    until(lambda: acknowledged(site) == names, "the acknowledgements")


def test_a_missing_required_repository_keeps_everything_unacknowledged(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, tmp_path: Path, agents: Agents
) -> None:
    unmounted = DirectoryOptions(str(tmp_path / "unmounted"))
    site = quiet_site(sites, newest_postgres, s3_options, unmounted)
    name = write_segments(site, 1)[0]
    agents(site)
    until(lambda: (spool_of(site) / "push" / f"{name}.error").exists(), "the failure")
    refused = ask(site, name, NOTHING)
    assert (refused.returncode, acknowledged(site)) == (1, [])
    assert unmounted.path in refused.stderr
    assert "[bucket_missing]" in refused.stderr


def test_credentials_that_are_replaced_are_read_anew(
    sites: Sites,
    newest_postgres: Installation,
    s3_options: S3Options,
    tmp_path: Path,
    agents: Agents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused, it leaves the file to whoever asks; with the new keys it goes on by itself."""
    keys = tmp_path / "credentials"

    def write(access_key_id: str, secret_access_key: str) -> None:
        keys.write_text(f"[rotating]\naws_access_key_id={access_key_id}\naws_secret_access_key={secret_access_key}\n")

    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(keys))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    write("retired", "x" * 40)
    site = quiet_site(
        sites, newest_postgres, replace(s3_options, access_key_id=None, secret_access_key=None, profile="rotating")
    )
    name = write_segments(site, 1)[0]
    agents(site)
    until(lambda: (spool_of(site) / "push" / f"{name}.error").exists(), "the failure")
    assert "[store_access_denied]" in (spool_of(site) / "push" / f"{name}.error").read_text()
    assert ask(site, name, ["true"]).returncode == 0
    write(str(s3_options.access_key_id), str(s3_options.secret_access_key))
    until(lambda: acknowledged(site) == [name], "the acknowledgement")
    assert sorted(p.name for p in (spool_of(site) / "push").glob(f"{name}.*")) == [f"{name}.ok"]
    assert ask(site, name, NOTHING).returncode == 0


def test_a_clone_is_not_answered_by_the_agent_of_its_original(site: Site, tmp_path: Path, agents: Agents) -> None:
    name = write_segments(site, 1)[0]
    agents(site)
    until(lambda: acknowledged(site) == [name], "the acknowledgement")
    clone = tmp_path / "clone"
    for part in ("pg_wal", "global"):
        (clone / part).mkdir(parents=True)
    (clone / "pg_wal" / name).write_bytes(on_disk(site, name).read_bytes())
    stamp = on_disk(site, name).stat().st_mtime_ns
    os.utime(clone / "pg_wal" / name, ns=(stamp, stamp))
    answer = ask(site, name, cwd=clone)
    assert (answer.returncode, "[clone_refused]" in answer.stderr) == (1, True), answer.stderr


def test_a_changed_configuration_is_read_and_its_new_repository_filled(
    site: Site, s3_options: S3Options, tmp_path: Path, agents: Agents
) -> None:
    names = write_segments(site, 3)
    agent = agents(site)
    until(lambda: acknowledged(site) == names, "the acknowledgements")
    directory = DirectoryOptions(str(tmp_path / "second"))
    os.mkdir(directory.path)
    site.repositories.append({"name": "second", "type": "directory", "path": directory.path})
    # Half written at first, as an editor may leave it for a moment.
    site.config_file.write_text('{"cluster": ')
    until(lambda: "waits for a configuration" in agent.words(), "the agent to wait")
    site.write()
    until(lambda: stored(site, directory) == names, "the second repository to be filled", agent.words)
    archive_by(site, NOTHING)
    all_archived(site)


def test_a_server_that_never_asked_is_left_alone(site: Site, s3_options: S3Options) -> None:
    names = write_segments(site, 3)
    agent = AgentProcess(site, asked=False)
    try:
        # Long enough for the others to be stored in every test above.
        time.sleep(3)
        assert (stored(site, s3_options), acknowledged(site)) == ([], [])
        assert ask(site, names[0], NOTHING).returncode == 0
        until(lambda: acknowledged(site) == names, "the others, ahead of the next question")
    finally:
        agent.close()


# --- death, restart, two agents ---------------------------------------------------------------------------------


def test_killed_before_anything_was_stored(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    names = write_segments(site, 6)
    fault_proxy.inject(Fault(faultproxy.HANG, times=10**6, method="PUT"))
    agent = agents(site)
    until(lambda: fault_proxy.count("PUT"), "an upload to begin")
    agent.kill9()
    assert (acknowledged(site), stored(site, s3_options)) == ([], [])
    fault_proxy.clear()
    archive_by(site)
    all_archived(site)
    assert stored(site, s3_options) == names


def test_killed_between_the_upload_and_the_acknowledgement(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    names = write_segments(site, 6)
    fault_proxy.inject(Fault(faultproxy.HANG, times=10**6, method="PUT", target=names[0]))
    agent = agents(site)
    until(lambda: set(names[1:3]) <= set(stored(site, s3_options)), "later segments to be stored", seconds=180)
    agent.kill9()
    assert (acknowledged(site), names[0] in stored(site, s3_options)) == ([], False)
    assert ask(site, names[1], NOTHING).returncode == 1
    fault_proxy.clear()
    agents(site)
    archive_by(site, NOTHING)
    all_archived(site)
    assert stored(site, s3_options) == names


def test_killed_after_the_acknowledgement(site: Site, s3_options: S3Options, agents: Agents) -> None:
    names = write_segments(site, 6)
    agent = agents(site)
    until(lambda: acknowledged(site) == names, "the acknowledgements")
    agent.kill9()
    assert stored(site, s3_options) == names
    # What was acknowledged is durable, whoever died since.
    archive_by(site, NOTHING)
    all_archived(site)
    # The next agent takes back what nobody needs any more.
    agents(site)
    assert acknowledged(site) == []


def test_told_to_end_it_finishes_what_is_on_its_way(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    names = write_segments(site, 2)
    fault_proxy.inject(Fault(faultproxy.SLOW, times=10**6, method="PUT", target="/wal/", seconds=2))
    agent = agents(site)
    until(lambda: fault_proxy.count("PUT", "/wal/") >= 2, "the uploads to begin")
    assert agent.stop() == 0
    assert (acknowledged(site), stored(site, s3_options)) == (names, names)


def test_told_to_end_it_drops_what_does_not_end(site: Site, fault_proxy: FaultProxy, agents: Agents) -> None:
    site.repositories[0]["read_timeout"] = 120
    site.write()
    write_segments(site, 2)
    fault_proxy.inject(Fault(faultproxy.HANG, times=10**6, method="PUT"))
    agent = agents(site)
    until(lambda: fault_proxy.count("PUT"), "an upload to begin")
    assert agent.stop() == 0
    assert acknowledged(site) == []


def test_a_second_agent_is_refused_and_the_first_goes_on(site: Site, agents: Agents) -> None:
    agents(site)
    error = site.lifeboat("wal-agent", status=1).error
    assert error["error_code"] == "agent_running"
    assert str(spool_of(site)) in error["message"]
    names = write_segments(site, 1)
    until(lambda: acknowledged(site) == names, "the first agent's acknowledgement")


def test_the_agent_needs_to_know_where(site: Site) -> None:
    for key in ("spool_dir", "data_dir"):
        site.write(**{key: None})
        error = site.lifeboat("wal-agent", status=1).error
        assert (error["error_code"], key in error["message"]) == ("config_invalid", True)


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
    """On a tmpfs with room for a few files, mounted in a name space of the agent's own."""
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
