# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The WAL agent and ``lifeboat-wal-push``: real servers, real stores, and an agent killed in every state.

Where ``archive_command`` has ``false`` for its fallback, only the agent can have archived.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import until
from support.walagent import (
    NOTHING,
    AgentProcess,
    Agents,
    acknowledged,
    all_archived,
    archive_by,
    ask,
    content,
    on_disk,
    proxied,
    quiet_site,
    spool_of,
    stored,
    write_segments,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy) -> Site:
    """A server that archives nothing yet, with a store behind the proxy."""
    return quiet_site(sites, newest_postgres, proxied(s3_options, fault_proxy))


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


@pytest.mark.parametrize("restarted", [False, True], ids=["the same agent", "an agent begun meanwhile"])
def test_an_empty_mount_point_is_no_new_repository(
    sites: Sites, newest_postgres: Installation, tmp_path: Path, agents: Agents, restarted: bool
) -> None:
    """Nothing is acknowledged onto the disk below it, and once it is mounted all goes on by itself."""
    root, disk = tmp_path / "repository", tmp_path / "disk"
    root.mkdir()
    directory = DirectoryOptions(str(root))
    site = quiet_site(sites, newest_postgres, directory)
    names, agent = write_segments(site, 1), agents(site)
    archive_by(site, NOTHING)
    all_archived(site)
    if restarted:
        assert agent.stop() == 0
    root.rename(disk)
    root.mkdir()
    late = write_segments(site, 1)[0]
    if restarted:
        agent = agents(site)
    until(lambda: "has stored in it since" in (ask(site, late, NOTHING).stderr), "the refusal")
    for refused in (ask(site, late), site.lifeboat("backup", status=1)):
        assert "has stored in it since" in str(refused) and "store_unavailable" in str(refused)
    assert acknowledged(site) == [] and not list(root.rglob("*.zst"))
    shutil.rmtree(root)
    disk.rename(root)
    until(lambda: ask(site, late, NOTHING).returncode == 0, "the acknowledgement", agent.words)
    # A finished segment wakes the archiver of PostgreSQL, which pauses for a minute after three failures.
    names += [late, *write_segments(site, 1)]
    all_archived(site)
    assert stored(site, directory) == names
    # Who emptied it on purpose says so.
    root.rename(disk)
    root.mkdir()
    site.lifeboat("backup", "--accept-new-system")


def test_credentials_that_are_replaced_are_read_anew(
    sites: Sites,
    newest_postgres: Installation,
    s3_options: S3Options,
    tmp_path: Path,
    agents: Agents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If refused, it leaves the file to the caller; with the new keys it continues by itself."""
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
    until(lambda: "waiting for a valid configuration" in agent.words(), "the agent to wait")
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


def test_on_termination_it_finishes_transfers_in_progress(
    site: Site, s3_options: S3Options, fault_proxy: FaultProxy, agents: Agents
) -> None:
    names = write_segments(site, 2)
    fault_proxy.inject(Fault(faultproxy.SLOW, times=10**6, method="PUT", target="/wal/", seconds=2))
    agent = agents(site)
    until(lambda: fault_proxy.count("PUT", "/wal/") >= 2, "the uploads to begin")
    assert agent.stop() == 0
    assert (acknowledged(site), stored(site, s3_options)) == (names, names)


def test_on_termination_it_drops_transfers_that_do_not_finish(
    site: Site, fault_proxy: FaultProxy, agents: Agents
) -> None:
    site.repositories[0]["read_timeout"] = 120
    site.write()
    write_segments(site, 2)
    fault_proxy.inject(Fault(faultproxy.HANG, times=10**6, method="PUT"))
    agent = agents(site)
    until(lambda: fault_proxy.count("PUT"), "an upload to begin")
    assert agent.stop() == 0
    assert acknowledged(site) == []


def test_a_second_agent_is_refused_and_the_first_continues(site: Site, agents: Agents) -> None:
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
