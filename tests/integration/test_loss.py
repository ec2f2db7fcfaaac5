# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby loss``: what a promotion would lose is shown in transactions before anybody confirms it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.base.wal_names import format_lsn, parse_lsn
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Sites
from support.processes import run_program, until
from support.standby import Standby
from support.walstream import Streams, stored_up_to, streamed_site

pytestmark = pytest.mark.integration


def loss(standby: Standby, *words: str, status: int = 0) -> Dict[str, Any]:
    return dict(standby.lifeboat("standby", "loss", *words, status=status).data)


def test_what_the_repository_adds_is_counted_and_a_stale_number_is_refused(
    sites: Sites, postgres: Installation, streams: Streams
) -> None:
    site = streamed_site(sites, postgres)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(2)
    site.cluster.switch_wal()
    standby = Standby(site)
    standby.restore()
    standby.has(ledger.entries)
    standby.cluster.execute("SELECT pg_wal_replay_pause()")
    until(lambda: standby.status()["paused"], "the pause")
    # Over a whole segment, and into one of which there are only pieces.
    before = len(ledger.entries)
    ledger.write(3)
    site.cluster.execute("SELECT pg_switch_wal()")
    ledger.write(4)
    end = stored_up_to(site)
    site.cluster.kill9()
    stream.close()

    told = loss(standby, status=2)
    assert told["verdict"] == "needs_acceptance" and "not known" in told["reasons"][0]
    assert told["to_replay"]["commits"] == len(ledger.entries) - before
    assert told["to_replay"]["last_commit_at"] and told["primary_lsn"] is None and told["lost_bytes"] is None
    assert parse_lsn(told["lsn"]) >= end > parse_lsn(told["replayed_lsn"])
    assert told["repositories"][0]["pieces_end_lsn"] == told["lsn"]
    assert loss(standby, "--max-loss", "1h")["verdict"] == "ok"
    assert loss(standby, "--max-loss", "0s", status=2)["verdict"] == "needs_acceptance"
    assert loss(standby, "--accept-loss", told["lsn"])["verdict"] == "ok"
    stale = loss(standby, "--accept-loss", told["replayed_lsn"], status=2)
    assert stale["verdict"] == "refused" and told["replayed_lsn"] in stale["reasons"][0]

    standby.cluster.execute("SELECT pg_wal_replay_resume()")
    until(lambda: loss(standby, "--max-loss", "1h")["to_replay"]["bytes"] == 0, "the rest to be replayed")
    assert loss(standby, "--max-loss", "1h")["to_replay"]["commits"] == 0
    standby.promote()
    assert rows(standby.cluster) == expected(ledger.entries)
    assert standby.lifeboat("standby", "loss", status=1).error["error_code"] == "standby_refused"


def test_what_was_heard_of_the_primary_is_kept(sites: Sites, postgres: Installation) -> None:
    site = sites(postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")
    site.backup()
    ledger = Ledger(site.cluster)
    standby = Standby(site, own=True)
    run_program(
        postgres.program("pg_basebackup"), "-D", str(standby.cluster.data_dir), "-R", "-c", "fast",
        "-h", str(site.cluster.socket_dir), "-p", str(site.cluster.port), "-U", "postgres",
    )  # fmt: skip
    standby.cluster.configure(standby.cluster.network)
    standby.cluster.start()
    ledger.write(3)
    standby.has(ledger.entries)
    end = parse_lsn(site.cluster.value("SELECT pg_current_wal_flush_lsn()"))
    # As the metrics do every minute.
    standby.lifeboat("check", status=None)
    site.cluster.kill9()
    until(lambda: not standby.cluster.value("SELECT count(*) FROM pg_stat_wal_receiver"), "the receiver to end")
    told = loss(standby)
    assert told["verdict"] == "ok" and told["lost_bytes"] == 0
    assert parse_lsn(told["primary_lsn"]) >= end and told["primary_heard_at"]
    kept = standby.cluster.data_dir / "pg_wal" / "lifeboat_primary.json"
    found = json.loads(kept.read_text())

    kept.write_text(json.dumps({**found, "lsn": format_lsn(parse_lsn(told["lsn"]) + 1000)}))
    told = loss(standby, status=2)
    assert (told["verdict"], told["lost_bytes"]) == ("needs_acceptance", 1000)
    assert loss(standby, "--max-loss", "1kB")["verdict"] == "ok"
    # Of a damaged file nothing is known, and that is said.
    kept.write_text("{")
    assert loss(standby, status=2)["primary_lsn"] is None
    assert loss(standby, "--max-loss", "1h")["verdict"] == "ok"
    os.unlink(kept)


def test_a_gap_is_named_and_repositories_fill_each_other_up(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    places = [DirectoryOptions(str(tmp_path / name)) for name in ("near", "far")]
    for place in places:
        Path(place.path).mkdir()
    site = sites(newest_postgres, *places, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")
    site.backup()
    ledger = Ledger(site.cluster)
    standby = Standby(site)
    standby.restore()
    standby.cluster.execute("SELECT pg_wal_replay_pause()")
    names = []
    for _ in range(3):
        ledger.write(1)
        names.append(site.cluster.switch_wal())
    site.cluster.stop("immediate")
    copies = {(i, n): next(Path(p.path).rglob(f"{n}.zst")) for i, p in enumerate(places) for n in names}
    copies[0, names[0]].unlink()
    copies[1, names[1]].unlink()
    told = loss(standby, "--max-loss", "1h")
    assert [r["missing"] for r in told["repositories"]] == [names[:1], names[1:2]]
    assert told["missing"] == [] and told["to_replay"]["commits"] >= 3

    copies[0, names[1]].unlink()
    told = loss(standby, "--max-loss", "1h", status=2)
    assert told["verdict"] == "refused" and told["missing"] == names[1:2] and names[1] in told["reasons"][0]
    assert loss(standby, "--accept-loss", told["lsn"])["verdict"] == "ok"
    # A repository that is away is named, and the other one counts.
    Path(places[0].path).rename(tmp_path / "away")
    told = loss(standby, "--max-loss", "1h", status=2)
    assert list(told["unread"]) == ["repo0"] and told["missing"] == names[1:2]


def test_words_that_are_none_are_refused(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, start=False)
    for words in (("--max-loss", "60"), ("--accept-loss", "now")):
        assert site.lifeboat("standby", "loss", *words, status=1).error["error_code"] == "config_invalid"
    assert site.lifeboat("standby", "lose", status=3).status == 3
