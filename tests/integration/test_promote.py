# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby promote``: at the hand-over LSN and nowhere else, after a claim, once."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from lifeboat.base.wal_names import parse_lsn
from lifeboat.codec import zstd
from lifeboat.repository.layout import Layout
from support.choice import every_postgres
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites
from support.standby import Standby, fed_by_segments, fork_of

pytestmark = pytest.mark.integration

TOKEN = ("--token", "a-switchover")


def pair(sites: Sites, installation: Installation, **options: Any) -> Tuple[Site, Ledger, Standby]:
    site = sites(installation, segment_mb=1, archive_timeout=0, track_commit_timestamp="on", options=options)
    ledger, standby = fed_by_segments(site)
    return site, ledger, standby


def handed_over(site: Site) -> str:
    site.cluster.stop()
    return str(site.lifeboat("standby", "handover").data["handover_lsn"])


def promote(standby: Standby, *words: str) -> Dict[str, Any]:
    return dict(standby.lifeboat("standby", "promote", *words).data)


def refused(standby: Standby, *words: str) -> str:
    error = standby.lifeboat("standby", "promote", *words, status=1).error
    assert error["error_code"] == "promotion_refused" and error["hint"], error
    assert standby.cluster.value("SELECT pg_is_in_recovery()")
    return str(error["message"])


@every_postgres
def test_a_standby_is_promoted_where_the_old_primary_stopped(sites: Sites, postgres: Installation) -> None:
    site, ledger, standby = pair(sites, postgres)
    ledger.write(2)
    stop = handed_over(site)
    assert promote(standby, "--handover-lsn", stop, "--plan")["changed"]
    assert standby.cluster.value("SELECT pg_is_in_recovery()")
    told = promote(standby, "--handover-lsn", stop)
    assert told == {"changed": True, "replayed_lsn": stop, "fork_lsn": stop, "timeline": 2, "epoch": None}
    assert fork_of(standby.cluster.data_dir, 2) == stop and rows(standby.cluster) == expected(ledger.entries)
    for words in ((), ("--plan",)):
        assert promote(standby, *words) == {**told, "changed": False, "replayed_lsn": None}
    events = [e for e in site.lifeboat("audit", "list").data["events"] if e["what"] == "promote"]
    assert [e["details"]["fork_lsn"] for e in events] == [stop]


def test_it_is_promoted_at_no_other_place(sites: Sites, newest_postgres: Installation) -> None:
    site, ledger, standby = pair(sites, newest_postgres)
    behind = str(site.cluster.value("SELECT pg_current_wal_lsn()"))
    ledger.write(2)
    stop = handed_over(site)
    assert "was written after that" in refused(standby, "--handover-lsn", behind, "--catch-up", "30")
    assert "not to F/0, where the old primary stopped" in refused(standby, "--handover-lsn", "F/0", "--catch-up", "1")
    assert promote(standby, "--handover-lsn", stop)["fork_lsn"] == stop


def test_without_a_handover_the_loss_is_judged(sites: Sites, newest_postgres: Installation) -> None:
    """All that is stored is replayed first; what may be lost beyond that, somebody has to accept."""
    site, ledger, standby = pair(sites, newest_postgres)
    standby.cluster.execute("SELECT pg_wal_replay_pause()")
    ledger.write(2)
    site.cluster.switch_wal()
    site.cluster.kill9()
    assert "replay is paused" in refused(standby, "--catch-up", "1")
    standby.cluster.execute("SELECT pg_wal_replay_resume()")
    assert "how much WAL the primary wrote is not known" in refused(standby)
    assert "commits of the last" in refused(standby, "--max-loss", "0s")
    told = promote(standby, "--max-loss", "1h")
    assert told["timeline"] == 2 and rows(standby.cluster) == expected(ledger.entries)


@pytest.mark.parametrize("end", ["incomplete", "damaged"])
def test_an_incomplete_record_at_the_end_does_not_stop_it(sites: Sites, postgres: Installation, end: str) -> None:
    """A primary that was killed while it wrote much leaves one in the last piece; a damaged one hides commits."""
    site, ledger, standby = pair(sites, postgres)
    ledger.write(1)
    start, name = site.cluster.rows("SELECT pg_current_wal_lsn(), pg_walfile_name(pg_current_wal_lsn())")[0]
    message = "SELECT pg_logical_emit_message(false, 'x', repeat('y', 30000))"
    site.cluster.execute(message, "INSERT INTO ledger VALUES (3001, 'lost')")
    system = str(site.cluster.value("SELECT system_identifier FROM pg_control_system()"))
    site.cluster.kill9()
    size = 2**20
    begin = parse_lsn(str(start)) % size
    stop = begin + (12000 if end == "incomplete" else 40000)
    content = bytearray((site.cluster.data_dir / "pg_wal" / str(name)).read_bytes()[:stop])
    content[begin + 5000] ^= 1 if end == "damaged" else 0
    piece = site.repository_dir.parent / Layout("main").wal_piece(system, str(name), 0, stop)
    piece.parent.mkdir(parents=True, exist_ok=True)
    piece.write_bytes(zstd.compress(bytes(content), 3))
    if end == "damaged":
        assert "are not replayed yet" in refused(standby, "--max-loss", "1h", "--catch-up", "12")
        return
    told = promote(standby, "--max-loss", "1h", "--catch-up", "120")
    assert parse_lsn(told["replayed_lsn"]) < parse_lsn(str(start)) // size * size + stop
    assert rows(standby.cluster) == expected(ledger.entries)


def test_a_hole_in_the_wal_has_to_be_accepted(sites: Sites, newest_postgres: Installation) -> None:
    site, ledger, standby = pair(sites, newest_postgres)
    standby.settled()
    standby.cluster.stop()
    names = []
    for _ in range(3):
        ledger.write(1)
        names.append(site.cluster.switch_wal())
    site.cluster.kill9()
    (lost,) = site.repository_dir.rglob(f"{names[1]}.zst")
    lost.rename(lost.with_suffix(".away"))
    standby.cluster.start()
    message = refused(standby, "--max-loss", "1h")
    assert names[1] in message and "later WAL is there" in message
    lsn = standby.settled()["replayed_lsn"]
    assert promote(standby, "--accept-loss", lsn)["fork_lsn"] == lsn


def test_the_leadership_is_claimed_in_between(sites: Sites, newest_postgres: Installation) -> None:
    site, ledger, standby = pair(sites, newest_postgres, site="east")
    standby.write(site="west")
    site.lifeboat("leader", "claim", "--kind", "first")
    ledger.write(1)
    stop = handed_over(site)
    words = ("--handover-lsn", stop, "--claim", "switchover")
    # Another attempt was killed after its claim.
    standby.lifeboat("leader", "claim", "--kind", "switchover", "--handover-lsn", stop, *TOKEN)
    error = standby.lifeboat("standby", "promote", *words, "--token", "another-one", status=1).error
    assert error["error_code"] == "leadership_taken" and standby.cluster.value("SELECT pg_is_in_recovery()")
    told = promote(standby, *words, *TOKEN)
    assert (told["epoch"]["site"], told["epoch"]["handover_lsn"], told["fork_lsn"]) == ("west", stop, stop)
    assert not promote(standby, *words, *TOKEN)["changed"]
    # The interrupted attempt hands over once more, although the site is deposed by now.
    again = site.lifeboat("standby", "handover").data
    assert (again["changed"], again["handover_lsn"]) == (False, stop)
    # A primary cannot depose the one that leads: only its own claim is finished.
    site.cluster.start()
    error = site.lifeboat("standby", "promote", "--claim", "failover", *TOKEN, status=1).error
    assert error["error_code"] == "promotion_refused" and "a primary already" in error["message"]
    assert standby.lifeboat("leader", "show").data["leader"] == "west"
