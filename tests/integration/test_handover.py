# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby handover``: a planned change of the primary loses nothing, and needs no rewind."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from lifeboat.base.wal_names import parse_lsn
from lifeboat.codec import zstd
from lifeboat.config.load import S3Options
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites
from support.processes import until
from support.standby import Standby, fed_by_segments, follow, fork_of
from support.walstream import Streams, streamed_site

pytestmark = pytest.mark.integration


def handover(site: Site, config_file: Any = None) -> Dict[str, Any]:
    return dict(site.lifeboat("standby", "handover", config_file=config_file).data)


def test_the_primary_changes_there_and_back_without_loss_or_rewind(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(2)
    site.cluster.switch_wal()
    standby = Standby(site, own=True)
    standby.restore()
    ledger.write(3)
    site.cluster.stop()
    stream.close()
    told = handover(site)
    assert told["changed"] and told["timeline"] == 1 and told["pieces"]
    assert handover(site) == {**told, "changed": False, "pieces": []}
    standby.settled(told["handover_lsn"])
    standby.promote()
    assert fork_of(standby.cluster.data_dir, 2) == told["handover_lsn"]
    assert rows(standby.cluster) == expected(ledger.entries)

    # The old primary follows from the archive, as it is.
    standby.cluster.execute("INSERT INTO ledger VALUES (1001, 'there')")
    until(lambda: standby.cluster.switch_wal(), "a segment of the new timeline in the archive")
    assert not site.lifeboat("standby", "diverged").data["diverged"]
    follow(site, site.cluster, site.config_file)
    wanted = [*expected(ledger.entries), (1001, "there")]
    until(lambda: rows(site.cluster) == wanted, "the old primary to follow", site.cluster.log.read_text)
    assert site.cluster.value("SELECT pg_is_in_recovery()")

    # And back. This time nothing streams, and only complete segments feed the standby.
    standby.cluster.execute("INSERT INTO ledger VALUES (1002, 'back')")
    standby.cluster.stop()
    told = handover(site, standby.config_file)
    assert told["timeline"] == 2
    wanted.append((1002, "back"))
    until(lambda: site.cluster.value("SELECT pg_last_wal_replay_lsn()::text") == told["handover_lsn"], "the hand-over")
    site.cluster.pg_ctl("promote", "-w")
    assert rows(site.cluster) == wanted
    assert fork_of(site.cluster.data_dir, 3) == told["handover_lsn"]


def test_three_rounds_there_and_back_lose_nothing(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")
    ledger, standby = fed_by_segments(site)
    wanted = expected(ledger.entries)
    (old, its), (new, other) = (site.cluster, site.config_file), (standby.cluster, standby.config_file)
    for number in range(6):
        wanted.append((2000 + number, "round"))
        old.execute(f"INSERT INTO ledger VALUES ({2000 + number}, 'round')")
        old.stop()
        stop = handover(site, its)["handover_lsn"]
        until(lambda: new.value("SELECT pg_last_wal_replay_lsn()::text") == stop, "the hand-over", standby.log)  # noqa: B023
        new.pg_ctl("promote", "-w")
        assert fork_of(new.data_dir, number + 2) == stop and rows(new) == wanted
        until(lambda: new.switch_wal(), "a segment of the new timeline in the archive")  # noqa: B023
        assert not site.lifeboat("standby", "diverged", config_file=its).data["diverged"]
        follow(site, old, its)
        (old, its), (new, other) = (new, other), (old, its)
    until(lambda: rows(new) == wanted, "the last one to follow", standby.log)


def test_what_was_not_archived_is_handed_over_too(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")
    site.backup()
    ledger = Ledger(site.cluster)
    standby = Standby(site, own=True)
    standby.restore()
    site.cluster.execute("ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()")
    names = []
    for _ in range(3):
        ledger.write(1)
        names.append(str(site.cluster.value("SELECT pg_walfile_name(pg_switch_wal())")))
    site.cluster.stop()
    told = handover(site)
    assert [p["name"] for p in told["pushed"]][:3] == names and not any(p["already_in"] for p in told["pushed"])
    again = handover(site)
    assert not again["changed"] and all(p["already_in"] == ["repo0"] for p in again["pushed"])
    assert again["handover_lsn"] == told["handover_lsn"]
    standby.settled(told["handover_lsn"])
    assert rows(standby.cluster) == expected(ledger.entries)
    events = site.lifeboat("audit", "list").data["events"]
    assert [e["details"]["pieces"] for e in events if e["what"] == "handover"] == [1]


def test_only_a_primary_that_was_stopped_in_order_hands_over(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0)
    site.backup()

    def refused() -> str:
        error = site.lifeboat("standby", "handover", status=1).error
        assert error["error_code"] == "handover_refused" and error["hint"]
        return str(error["message"])

    assert "a server runs there" in refused()
    site.cluster.kill9()
    assert "in production" in refused()
    site.cluster.start()
    site.cluster.stop("immediate")
    assert "in production" in refused()
    assert not list(site.repository_dir.rglob("*.partial.zst"))
    site.cluster.start()
    site.cluster.stop()
    follow(site, site.cluster, site.config_file)
    site.cluster.stop()
    assert "as a standby" in refused()


def test_a_deposed_site_hands_nothing_over(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0, options={"site": "east"})
    site.backup()
    site.cluster.stop()
    before = sorted(site.repository_dir.rglob("wal/**/*.zst"))
    west = site.write(site.root / "west.yml", site="west")
    site.lifeboat("leader", "claim", "--kind", "first", config_file=west)
    error = site.lifeboat("standby", "handover", status=1).error
    assert (error["error_code"], error["details"]["leader"]) == ("deposed", "west")
    assert sorted(site.repository_dir.rglob("wal/**/*.zst")) == before


def test_a_piece_that_this_primary_never_wrote_is_found(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0)
    site.backup()
    site.cluster.stop()
    told = handover(site)
    (path,) = site.repository_dir.rglob("*.partial.zst")
    assert told["pieces"] == [{"repository": "repo0", "key": str(path.relative_to(site.repository_dir.parent))}]
    good = path.read_bytes()
    content = zstd.decompress(good, "piece", 2**20)
    assert parse_lsn(told["handover_lsn"]) % 2**20 == len(content)
    for forged in (content[:-1] + b"\x01", content + b"\x01" * 8):
        path.unlink()
        start, stop = 0, len(forged)
        other = path.with_name(f"{path.name[:24]}.{start:08X}-{stop:08X}.partial.zst")
        other.write_bytes(zstd.compress(forged))
        error = site.lifeboat("standby", "handover", status=1).error
        assert (error["error_code"], error["details"]["repository"]) == ("wal_conflict", "repo0")
        assert zstd.decompress(other.read_bytes(), "piece", 2**20) == forged, "nothing is overwritten"
        other.unlink()
        path.write_bytes(good)


def test_a_sealed_cluster_is_told_why_not(sites: Sites, newest_postgres: Installation) -> None:
    recipient = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0, options={"seal": {"recipients": [recipient]}})
    site.cluster.stop()
    error = site.lifeboat("standby", "handover", status=1).error
    assert error["error_code"] == "config_invalid" and "sealed" in error["message"]
