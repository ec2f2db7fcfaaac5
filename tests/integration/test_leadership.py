# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Leadership: of sites that claim at once one wins, a deposed one archives nothing and loses nothing."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import pytest
from lifeboat.base.errors import Deposed, LeadershipTaken, LeadershipUnsure, StoreUnavailable
from lifeboat.config.load import Config, DirectoryOptions, S3Options, parse
from lifeboat.leadership import claim, watch
from lifeboat.leadership.decide import Request
from lifeboat.leadership.read import look
from lifeboat.leadership.watch import Watch
from lifeboat.records.model import seal_record
from lifeboat.repository.repository import Repositories
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import flip
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import until
from support.records import SYSTEM
from support.signing import key_pair
from support.walagent import AgentProcess, archive_by, spool_of
from support.walstream import StreamProcess, pieces, reach, streaming

pytestmark = pytest.mark.integration


@pytest.fixture
def near(tmp_path: Path) -> DirectoryOptions:
    (tmp_path / "near").mkdir()
    return DirectoryOptions(str(tmp_path / "near"))


def config_of(site: str, *entries: Dict[str, Any], **more: Any) -> Config:
    return parse({"cluster": "main", "repositories": list(entries), "site": site, **more})


def adopt(config: Config) -> None:
    repositories = Repositories.open(config)
    for repository in repositories.items:
        repository.adopt(SYSTEM)
    repositories.close()


def first(site: str = "east") -> Request:
    return Request(site, "first", 1)


def over(site: str, **more: Any) -> Request:
    return Request(site, "failover", 1, **more)


def leader(config: Config) -> Optional[str]:
    repositories = Repositories.open(config)
    try:
        seen = look(repositories.required, SYSTEM)
        assert not seen.unread
        return seen.now.leader.site if seen.now.leader else None
    finally:
        repositories.close()


# --- the claim --------------------------------------------------------------------------------------------------


def test_of_sites_that_claim_at_once_one_wins(near: DirectoryOptions, s3_options: S3Options) -> None:
    """Each names its own repository first."""
    stores = [entry(0, s3_options), entry(1, near)]
    sites = ("west", "north", "south")
    configs = {site: config_of(site, *stores[:: 1 if site == "west" else -1]) for site in sites}
    adopt(configs["west"])
    assert claim.apply(configs["west"], first("west")).repositories == ("repo0", "repo1")
    for number in range(1, 4):
        gate, ended = threading.Barrier(len(sites)), {}

        def attempt(site: str, after: int, gate: threading.Barrier, ended: Dict[str, Any]) -> None:
            gate.wait()
            try:
                token = f"{site}-attempt-{after}"
                ended[site] = claim.apply(configs[site], over(site, token=token, after=after)).epoch.site
            except LeadershipTaken as exc:
                ended[site] = exc

        claimants = [site for site in sites if site != leader(configs["west"])]
        gate = threading.Barrier(len(claimants))
        threads = [threading.Thread(target=attempt, args=(s, number, gate, ended)) for s in claimants]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        winners = [site for site, end in ended.items() if end == site]
        assert len(winners) == 1 and leader(configs["north"]) == winners[0]
        (loser,) = [end for end in ended.values() if isinstance(end, LeadershipTaken)]
        assert loser.details["site"] == winners[0] and loser.details["epoch"] == number + 1


def test_a_claim_that_reached_one_repository_is_finished_by_the_next(
    near: DirectoryOptions, s3_options: S3Options, fault_proxy: FaultProxy
) -> None:
    away = replace(s3_options, endpoint_url=fault_proxy.endpoint_url, connect_timeout=1, read_timeout=2, max_attempts=1)
    config, beside = (config_of("east", entry(0, near), entry(1, s)) for s in (away, s3_options))
    west = config_of("west", *(entry(n, s) for n, s in enumerate((near, s3_options))))
    adopt(beside)
    claim.apply(beside, first())
    fault_proxy.inject(Fault(faultproxy.STATUS, method="PUT", target="leadership"))
    away_west = replace(west, repositories=config.repositories)
    with pytest.raises(StoreUnavailable):
        claim.apply(away_west, over("west"))
    # It counts already: who sees one of the repositories knows, and nobody else gets its number.
    assert leader(beside) == "west"
    with pytest.raises(LeadershipTaken):
        claim.apply(beside, over("east", after=1))
    done = claim.apply(west, over("west"))
    assert done.repositories == ("repo1",) and done.epoch.number == 2
    assert claim.apply(west, over("west")).repositories == ()
    # Who comes after brings what a repository lacks, so that it can be read without the others.
    (Path(near.path) / f"main/leadership/{SYSTEM}/00000001.json").unlink()
    assert claim.apply(beside, over("east")).epoch.number == 3
    alone = config_of("east", entry(0, near))
    assert leader(alone) == "east"


def test_a_store_without_conditional_puts_is_refused(lesser_options: S3Options) -> None:
    config = config_of("east", entry(0, lesser_options))
    adopt(config)
    with pytest.raises(LeadershipUnsure, match="both would win"):
        claim.apply(config, first())
    assert leader(config) is None


# --- what does not count ----------------------------------------------------------------------------------------


def test_a_forged_or_damaged_epoch_deposes_nobody(near: DirectoryOptions, tmp_path: Path) -> None:
    ours = key_pair(tmp_path, "ours")
    signing = {"key_file": str(ours.key_file), "signers": [ours.signer()]}
    east, west = (config_of(site, entry(0, near), signing=signing) for site in ("east", "west"))
    adopt(east)
    claim.apply(east, first())
    directory = Path(near.path) / f"main/leadership/{SYSTEM}"
    genuine = json.loads((directory / "00000001.json").read_text())
    # Who holds the writer's keys has the record of the first epoch, and no signing key.
    for number, site in ((2, "west"), (3, "evil")):
        forged = {**genuine, "epoch": number, "site": site, "kind": "failover"}
        (directory / f"{number:08X}.json").write_bytes(seal_record(forged))
    (directory / "00000004.json").write_bytes(b"{")
    (directory / "00000009.json").write_bytes((directory / "00000001.json").read_bytes())
    (directory / "README").write_bytes(b"hello")
    assert leader(east) == "east"
    repositories = Repositories.open(east)
    Watch("east", repositories.required).require(SYSTEM)
    with pytest.raises(Deposed):
        Watch("west", repositories.required).require(SYSTEM)
    # The numbers are lost, and the leadership is not.
    assert claim.apply(west, over("west")).epoch.number == 5 and leader(east) == "west"
    # Nor does damage to an earlier epoch, or to its own, bring a deposed site back while somebody watches.
    keeper = Watch("east", repositories.required)
    with pytest.raises(Deposed):
        keeper.require(SYSTEM)
    flip(directory / "00000005.json")
    assert leader(east) == "east"
    keeper._due.clear()
    with pytest.raises(Deposed):
        keeper.require(SYSTEM)
    repositories.close()


def test_a_site_that_cannot_read_the_epochs_is_not_deposed(
    near: DirectoryOptions, s3_options: S3Options, fault_proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = replace(s3_options, endpoint_url=fault_proxy.endpoint_url, connect_timeout=1, read_timeout=2, max_attempts=1)
    config = config_of("east", entry(0, away))
    adopt(config)
    claim.apply(config, first())
    repositories = Repositories.open(config)
    blind, seeing = (Watch("east", repositories.required) for _ in range(2))
    claim.apply(config_of("west", entry(0, s3_options)), over("west"))
    with pytest.raises(Deposed):
        seeing.require(SYSTEM)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=100, method="GET", target="leadership"))
    blind.require(SYSTEM)
    # What it saw before still counts.
    monkeypatch.setattr(watch, "_DEPOSED", 0.0)
    seeing._due.clear()
    with pytest.raises(Deposed):
        seeing.require(SYSTEM)
    repositories.close()


# --- real servers -----------------------------------------------------------------------------------------------


@pytest.fixture
def site(a_postgres: Installation, sites: Sites, s3_options: S3Options, near: DirectoryOptions) -> Site:
    """A server with segments of 1 MiB that archives into both stores, at the site east, which leads."""
    made = sites(
        a_postgres, s3_options, near, segment_mb=1, archive_timeout=0, track_commit_timestamp="on",
        options={"site": "east"},
    )  # fmt: skip
    made.backup()
    made.lifeboat("leader", "claim", "--kind", "first")
    return made


def west(site: Site) -> Path:
    """The configuration of another site with the same repositories, in the other order."""
    return site.write(site.root / "west.yml", site="west", repositories=site.repositories[::-1])


def segments(site: Site) -> List[str]:
    return sorted(p.name[:24] for p in Path(site.repositories[1]["path"]).glob("main/wal/*/0000*/*/*.zst"))


def commit_and_switch(site: Site, ledger: Ledger) -> str:
    """Some commits, and the name of the segment that ends with them."""
    ledger.write(3)
    return str(site.cluster.value("SELECT pg_walfile_name(pg_switch_wal())"))


def refused(site: Site, name: str) -> bool:
    failed = f"SELECT count(*) FROM pg_stat_archiver WHERE last_failed_wal = '{name}'"
    return bool(site.cluster.value(failed)) and "[deposed]" in site.cluster.log.read_text()


def answer_of(site: Site) -> Dict[str, Any]:
    checks = site.lifeboat("check", status=None).data["checks"]
    return next(dict(c) for c in checks if c["check"] == "leadership")


@pytest.fixture(params=["agent", "alone"])
def agents(request: pytest.FixtureRequest, site: Site) -> Iterator[List[AgentProcess]]:
    """The running agent, without which nothing is archived; none where ``wal-push`` archives alone."""
    made: List[AgentProcess] = []
    if request.param == "agent":
        site.options.update(spool_dir=str(spool_of(site)))
        site.write()
        made.append(AgentProcess(site))
        archive_by(site, ["false"])
    yield made
    for agent in made:
        agent.close()


def test_a_deposed_primary_archives_nothing_and_loses_nothing(site: Site, agents: List[AgentProcess]) -> None:
    ledger = Ledger(site.cluster)
    name = commit_and_switch(site, ledger)
    until(lambda: name in segments(site), "the leader to archive")
    assert answer_of(site)["status"] == "ok" and site.lifeboat("leader", "check").data["leads"]
    there = west(site)
    assert site.lifeboat("leader", "claim", "--kind", "failover", config_file=there).data["epoch"]["epoch"] == 2
    assert site.lifeboat("leader", "check", status=2).data["deposed"]
    assert site.lifeboat("leader", "check", config_file=there).data["leads"]
    told = answer_of(site)
    assert told["status"] == "critical" and "Site west leads" in told["message"] and told["value"] == 2
    assert site.lifeboat("backup", status=1).error["error_code"] == "deposed"

    if agents:
        # It asks about once a minute, and at its start.
        agents[0].stop()
        agents.append(AgentProcess(site))
    before = segments(site)
    held = [commit_and_switch(site, ledger) for _ in range(3)]
    until(lambda: refused(site, held[0]), "the archiver to be refused", lambda: site.cluster.log.read_text()[-2000:])
    assert segments(site) == before
    wal = site.cluster.data_dir / "pg_wal"
    assert all((wal / name).exists() and (wal / "archive_status" / f"{name}.ready").exists() for name in held)

    # Its own site leads again: nothing was lost, and it archives on.
    again = site.lifeboat("leader", "claim", "--kind", "failover").data
    assert again["changed"] and again["epoch"]["epoch"] == 3
    # PostgreSQL's archiver sleeps for a minute after some failures, unless there is more to do.
    held.append(commit_and_switch(site, ledger))
    until(lambda: set(held) <= set(segments(site)), "the rest to be archived", site.cluster.log.read_text)
    assert answer_of(site)["status"] == "ok"
    shown = site.lifeboat("leader", "show").data
    assert [e["site"] for e in shown["epochs"]] == ["east", "west", "east"] and not shown["set_apart"]
    if not agents:
        clone = site.clone("clone")
        site.lifeboat(*restore_arguments(clone))
        assert rows(clone) == expected(ledger.entries)


def test_a_deposed_primary_streams_nothing(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(
        newest_postgres,
        segment_mb=1,
        start=False,
        archive_timeout=0,
        track_commit_timestamp="on",
        options={"site": "east"},
    )
    streaming(site)
    site.cluster.start()
    site.backup()
    ledger, stream = Ledger(site.cluster), StreamProcess(site)
    try:
        ledger.write(3)
        until(lambda: bool(pieces(site)), "the first piece")
        other = site.write(site.root / "west.yml", site="west")
        site.lifeboat("leader", "claim", "--kind", "first", config_file=other)
        stream.close()
        before = reach(site)
        stream = StreamProcess(site)
        ledger.write(3)
        until(lambda: "[deposed]" in stream.words(), "the stream to be refused")
        assert reach(site) == before
        site.lifeboat("leader", "claim", "--kind", "failover")
        until(lambda: reach(site) > before, "the stream to go on")
    finally:
        stream.close()


def test_without_a_site_no_leadership_is_kept(site: Site) -> None:
    site.lifeboat("leader", "claim", "--kind", "failover", config_file=west(site))
    site.options.pop("site")
    site.write()
    name = commit_and_switch(site, Ledger(site.cluster))
    until(lambda: name in segments(site), "the segment to be archived")
    assert site.lifeboat("leader", "check").data["site"] is None
    assert all(c["check"] != "leadership" for c in site.lifeboat("check", status=None).data["checks"])
    error = site.lifeboat("leader", "claim", "--kind", "failover", status=1).error
    assert error["error_code"] == "config_invalid" or "site" in error["message"]


def test_epochs_are_carried_along_kept_and_verified(site: Site, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    far = {**entry(2, DirectoryOptions(str(tmp_path / "far"))), "required": False}
    site.repositories = [*site.repositories, far]
    site.write()
    site.lifeboat("leader", "claim", "--kind", "switchover", "--handover-lsn", "0/3000028", config_file=west(site))
    site.lifeboat("sync", "--to", "repo2")
    copies = sorted(tmp_path.glob("*/main/leadership/*/*.json"))
    assert [p.name for p in copies] == ["00000001.json", "00000002.json"] * 2
    assert copies[0].read_bytes() == copies[2].read_bytes() and copies[1].read_bytes() == copies[3].read_bytes()
    second = json.loads(copies[1].read_text())
    assert second["handover_lsn"] == "0/3000028" and second["kind"] == "switchover"

    nothing = {"full_days": 0, "differential_days": 0, "incremental_days": 0, "wal_days": 0, "keep_last": 1,
               "audit_days": 0, "settle_hours": 0}  # fmt: skip
    site.write(retention=nothing)
    site.lifeboat("leader", "claim", "--kind", "failover")
    site.lifeboat("sync", "--to", "repo2")
    copies = sorted(tmp_path.glob("*/main/leadership/*/*.json"))
    site.backup()
    time.sleep(1.1)
    assert site.lifeboat("prune", "--allow", "share", "--allow", "age").data["changed"]
    assert sorted(tmp_path.glob("*/main/leadership/*/*.json")) == copies
    assert site.lifeboat("verify").data["intact"]

    # A flipped bit is found and healed, and changes nothing meanwhile; one that vanished is missed.
    last = copies[-1]
    good = last.read_bytes()
    flip(last)
    assert not site.lifeboat("verify", status=1).data["intact"]
    shown = site.lifeboat("leader", "show").data
    assert shown["leader"] == "east" and [a["repository"] for a in shown["set_apart"]] == ["repo1"]
    checks = site.lifeboat("check", status=None).data["checks"]
    assert [c["status"] for c in checks if c["check"] == "leadership"] == ["ok", "warning"]
    site.lifeboat("verify", "--repair")
    assert last.read_bytes() == good
    os.unlink(last)
    assert not site.lifeboat("verify", status=1).data["intact"]
    # And the trail says who claimed.
    events = [e for e in site.lifeboat("audit", "list").data["events"] if e["what"] == "leader-claim"]
    assert [e["details"]["site"] for e in events] == ["east", "west", "east"]
