# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby diverged``: what an old primary wrote behind the fork is stored, and its commits are named."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base.wal_names import parse_lsn
from lifeboat.codec import zstd
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.ledger import Ledger
from support.postgres import Site, Sites
from support.processes import until
from support.standby import Standby, fed_by_segments

pytestmark = pytest.mark.integration
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def split(sites: Sites, installation: Installation, *stores: DirectoryOptions) -> tuple[Site, Standby, Ledger]:
    """A primary that keeps running after its standby was promoted, which archives a segment of timeline 2."""
    site = sites(
        installation, *stores, segment_mb=1, archive_timeout=0, track_commit_timestamp="on",
        max_prepared_transactions=4,
    )  # fmt: skip
    ledger, standby = fed_by_segments(site)
    standby.promote()
    standby.cluster.execute("CREATE TABLE elsewhere ()")
    standby.cluster.switch_wal()
    return site, standby, ledger


def diverged(site: Site, *words: str, status: int = 0) -> Dict[str, Any]:
    return dict(site.lifeboat("standby", "diverged", *words, status=status).data)


def stored(site: Site, label: str = "*") -> List[Path]:
    return sorted(site.repository_dir.glob(f"diverged/*/{label}/*"))


def test_each_commit_behind_the_fork_is_named_and_kept(sites: Sites, postgres: Installation) -> None:
    site, standby, ledger = split(sites, postgres)
    fork = (standby.cluster.data_dir / "pg_wal" / "00000002.history").read_text().split("\t")[1]
    before = len(ledger.entries)
    ledger.write(3)
    # One that is aborted is none; of a prepared one the commit counts, with its own id.
    site.cluster.execute("CREATE TABLE prepared (id int)")
    created = int(site.cluster.value("SELECT max(xmin::text::int) FROM pg_class WHERE relname = 'prepared'"))
    xid = int(
        site.cluster.rows(
            "BEGIN; INSERT INTO prepared VALUES (1); PREPARE TRANSACTION 'p'; SELECT transaction::text"
            " FROM pg_prepared_xacts"
        )[0][0]
    )
    site.cluster.rows("BEGIN; INSERT INTO prepared VALUES (2); ROLLBACK")
    site.cluster.execute("COMMIT PREPARED 'p'")
    site.cluster.wait_archived(str(site.cluster.value("SELECT pg_walfile_name(pg_switch_wal())")))
    ledger.write(2)
    site.cluster.kill9()

    ours = [e.xid for e in ledger.entries[before:]]
    planned = diverged(site, "--plan")
    assert planned["xids"] == [*ours[:3], created, xid, *ours[3:]] and planned["xids_complete"]
    assert (planned["fork_lsn"], planned["new_timeline"], planned["timeline"]) == (fork, 2, 1)
    assert planned["first_commit_at"] and not stored(site)
    told = diverged(site)
    assert told["changed"] and told["commits"] == len(planned["xids"])
    assert parse_lsn(told["end_lsn"]) > parse_lsn(ledger.entries[-1].lsn)
    files = {p.name: p for p in stored(site, told["label"])}
    assert set(files) == {"diverged.json", "commits.tsv.zst", *(f"{name}.zst" for name in told["segments"])}
    listed = zstd.decompress(files["commits.tsv.zst"].read_bytes(), "list", 2**20).decode().splitlines()
    assert [int(line.split("\t")[1]) for line in listed] == told["xids"]
    local = (site.cluster.data_dir / "pg_wal" / told["segments"][-1]).read_bytes()
    assert zstd.decompress(files[f"{told['segments'][-1]}.zst"].read_bytes(), "segment", 2**20) == local
    assert diverged(site) == {**told, "changed": False, "repositories": []}

    # WAL that is gone from pg_wal is taken from the repository; what is nowhere is named.
    first = told["segments"][0]
    gone = site.cluster.data_dir / "pg_wal" / first
    content = gone.read_bytes()
    gone.unlink()
    archived = list(site.repository_dir.glob(f"wal/*/*/*/{first}.zst"))
    assert archived and diverged(site)["xids"] == told["xids"]
    kept = archived[0].read_bytes()
    archived[0].unlink()
    error = site.lifeboat("standby", "diverged", status=1).error
    assert (error["error_code"], error["details"]["missing"]) == ("wal_gap", [first])
    gone.write_bytes(content)
    archived[0].write_bytes(kept)

    # It may go on for a while: that is another end, and both are kept.
    site.cluster.start()
    ledger.write(1)
    assert site.lifeboat("standby", "diverged", status=1).error["error_code"] == "data_directory_refused"
    site.cluster.stop()
    again = diverged(site)
    assert again["changed"] and again["label"] != told["label"]
    assert again["xids"] == [*told["xids"], ledger.entries[-1].xid]
    events = site.lifeboat("audit", "list").data["events"]
    counts = [e["details"]["commits"] for e in events if e["what"] == "diverged" and e["result"] == "ok"]
    assert counts == [told["commits"], again["commits"]]


def test_it_is_sealed_carried_along_and_verified_before_it_counts(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    places = [DirectoryOptions(str(tmp_path / name)) for name in ("near", "far")]
    for place in places:
        Path(place.path).mkdir()
    site, _standby, ledger = split(sites, newest_postgres, *places)
    ledger.write(2)
    site.cluster.kill9()
    site.repositories[1]["required"] = False
    site.write()
    told = diverged(site)
    assert told["repositories"] == ["repo0"] and not list(Path(places[1].path).rglob("diverged.json"))
    site.lifeboat("sync", "--to", "repo1")
    near, far = ({p.name: p.read_bytes() for p in Path(x.path).glob("main/diverged/*/*/*")} for x in places)
    assert near == far and len(near) == len(told["segments"]) + 2
    site.repositories[1]["required"] = True
    site.write()
    assert not diverged(site)["changed"]
    # A copy that lost a file is none: it is stored again, and the other repository has it still.
    (lost,) = Path(places[1].path).glob("main/diverged/*/*/commits.tsv.zst")
    lost.unlink()
    again = diverged(site)
    assert (again["repositories"], again["label"]) == (["repo1"], told["label"])
    assert lost.exists()

    # Whoever may store may claim that it is there: what is stored is compared with what is here.
    for path in Path(places[0].path).glob(f"main/diverged/*/*/{told['segments'][0]}.zst"):
        path.chmod(0o600)
        path.write_bytes(zstd.compress(os.urandom(2**20)))
    for path in Path(places[1].path).glob("main/diverged/*/*/diverged.json"):
        path.unlink()
    forged = diverged(site)
    assert forged["repositories"] == ["repo0", "repo1"] and forged["label"] != told["label"]

    site.write(seal={"recipients": [RECIPIENT]})
    for path in Path(tmp_path).glob("*/main/diverged/*/*/diverged.json"):
        path.unlink()
    sealed = diverged(site)
    names = {p.name for p in stored(site, sealed["label"])}
    assert names == {"diverged.json", "commits.tsv.zst.age", *(f"{name}.zst.age" for name in sealed["segments"])}
    assert not diverged(site)["changed"]
    assert site.lifeboat("verify", status=None).status in (0, 1)


def test_a_deposed_site_may_still_store_it(sites: Sites, newest_postgres: Installation) -> None:
    site, standby, ledger = split(sites, newest_postgres)
    standby.write(site="west")
    standby.lifeboat("leader", "claim", "--kind", "first")
    site.write(site="east")
    ledger.write(1)
    site.cluster.stop()
    until(lambda: site.lifeboat("leader", "check", status=2).data["deposed"], "the site to be deposed")
    assert diverged(site)["xids"] == [ledger.entries[-1].xid]
