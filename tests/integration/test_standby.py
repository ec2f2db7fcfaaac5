# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat restore --action standby``: a standby fed only by the repository."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List, Tuple

import pytest
from lifeboat.base.wal_names import parse_lsn
from lifeboat.codec import zstd
from lifeboat.config.load import S3Options
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.lost import Lost
from support.postgres import Site, Sites, restore_arguments
from support.processes import run_program, until
from support.standby import Standby, fed_by_segments
from support.walstream import StreamProcess, Streams, reach, stored_up_to, streamed_site

pytestmark = pytest.mark.integration


def test_a_commit_arrives_by_a_piece_before_its_segment_is_complete(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(3)
    site.cluster.switch_wal()
    standby = Standby(site)
    result = standby.restore().data["restore"]
    assert (result["state"], result["timeline"]) == ("following the repository", 1)
    assert parse_lsn(result["standby"]["replayed_lsn"]) >= parse_lsn(result["reached_lsn"])
    assert rows(standby.cluster) == expected(ledger.entries)
    for _ in range(3):
        segment = str(site.cluster.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
        ledger.write(2)
        standby.has(ledger.entries)
        assert str(site.cluster.value("SELECT last_archived_wal FROM pg_stat_archiver")) < segment, "not complete"
    # The segment is completed by the archive, and the next one begins with pieces.
    site.cluster.switch_wal()
    ledger.write(2)
    standby.has(ledger.entries)
    assert standby.recovering
    assert "archive_status" in {p.name for p in (standby.cluster.data_dir / "pg_wal").iterdir()}
    assert not list((standby.cluster.data_dir / "pg_wal" / "archive_status").glob("*.ready"))
    stream.close()


def directory_of(site: Site) -> Path:
    return site.repository_dir / "wal"


def current_segment(site: Site) -> str:
    return str(site.cluster.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))


def fed(site: Site, streams: Streams) -> Tuple[Ledger, StreamProcess, Standby]:
    """A standby that has two rows by a piece of an unfinished segment."""
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(2)
    stored_up_to(site)
    standby = Standby(site)
    standby.restore()
    standby.has(ledger.entries)
    return ledger, stream, standby


def test_a_restarted_standby_continues_and_a_second_run_changes_nothing(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger, _stream, standby = fed(site, streams)
    before = standby.cluster.value("SELECT pg_postmaster_start_time()")
    again = standby.restore().data
    assert (again["changed"], again["plan"]["satisfied"]) == (False, True)
    assert standby.cluster.value("SELECT pg_postmaster_start_time()") == before
    status = standby.settled()
    assert (status["timeline"], status["paused"], status["obstacles"]) == (1, False, [])
    assert parse_lsn(status["pieces_end_lsn"]) > parse_lsn(status["archive_end_lsn"])
    assert status["replayed_commit_at"] is not None

    # A restart within a segment that is not complete; then the archive goes ahead while the standby is down.
    standby.cluster.stop()
    standby.cluster.start()
    standby.has(ledger.entries)
    standby.cluster.kill9()
    ledger.write(2)
    for _ in range(3):
        site.cluster.switch_wal()
    ledger.write(2)
    stored_up_to(site)
    standby.cluster.start()
    standby.has(ledger.entries)
    assert standby.recovering

    standby.cluster.execute("SELECT pg_wal_replay_pause()")
    ledger.write(2)
    stored_up_to(site)
    until(lambda: standby.status()["paused"] and standby.status()["lag_bytes"], "the status to tell the lag")
    status = standby.status()
    assert status["lag_seconds"] > 0
    assert not status["promotable_without_gap"]
    assert any("paused" in words for words in status["obstacles"])
    standby.cluster.execute("SELECT pg_wal_replay_resume()")
    standby.has(ledger.entries)
    # A standby archives nothing: the check says nothing of archiving, and finds nothing wrong.
    told = site.lifeboat("check", status=None, config_file=standby.config_file).data["checks"]
    assert not [c for c in told if c["check"] in ("archiving", "wal_stream")], told
    assert {c["status"] for c in told if c["check"] in ("server", "gap", "lost_wal", "wal", "standby")} == {"ok"}, told


def test_a_standby_that_is_promoted_by_hand_has_every_row_on_a_new_timeline(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(2)
    site.cluster.switch_wal()
    standby = Standby(site)
    standby.restore()
    ledger.write(4)
    stored_up_to(site)
    site.cluster.kill9()
    stream.close()
    assert standby.settled()["promotable_without_gap"]
    standby.cluster.pg_ctl("promote", "-w")
    assert not standby.recovering
    assert rows(standby.cluster) == expected(ledger.entries)
    standby.cluster.execute("INSERT INTO ledger VALUES (1000, 'after')", "CHECKPOINT")
    assert standby.cluster.value("SELECT timeline_id FROM pg_control_checkpoint()") == 2
    assert not (standby.cluster.data_dir / "standby.signal").exists()
    error = site.lifeboat("standby", "status", status=1, config_file=standby.config_file).error
    assert error["error_code"] == "standby_refused"
    # The same request is no longer satisfied: this is a primary now, and in the way.
    assert standby.restore(status=1).error["error_code"] == "data_directory_refused"


def test_a_copy_of_a_standby_that_is_promoted_archives_nothing(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres, segment_mb=1, archive_timeout=0, track_commit_timestamp="on")
    _ledger, standby = fed_by_segments(site, 1)
    standby.cluster.stop()
    copy = site.clone("copy")
    run_program("cp", "-a", str(standby.cluster.data_dir), str(copy.data_dir))
    copy.configure(copy.network)
    with open(copy.data_dir / "postgresql.auto.conf", "a", encoding="utf-8") as stream:
        stream.write("".join(f"{name} = '{value}'\n" for name, value in copy.network.items()))
    copy.start()
    copy.pg_ctl("promote", "-w")
    copy.execute("INSERT INTO ledger VALUES (1000, 'of the copy')", "SELECT pg_switch_wal()")
    until(lambda: "[clone_refused]" in copy.log.read_text(), "the copy to be refused", copy.log.read_text)
    assert not list(directory_of(site).rglob("00000002*"))
    # The standby itself may.
    standby.cluster.start()
    standby.promote()
    standby.cluster.execute("CREATE TABLE elsewhere ()")
    assert standby.cluster.switch_wal().startswith("00000002")
    assert list(directory_of(site).rglob("00000002.history"))


def test_a_standby_follows_its_primary_to_a_new_timeline(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger, stream, standby = fed(site, streams)
    site.cluster.stop()
    stream.close()
    # Recovery from its own WAL alone ends on a timeline of its own, as a promotion does.
    (site.cluster.data_dir / "recovery.signal").touch()
    site.cluster.configure({"restore_command": "false"})
    site.cluster.start()
    until(lambda: not site.cluster.value("SELECT pg_is_in_recovery()"), "the primary to leave recovery")
    streams(site)
    ledger.write(2)
    standby.has(ledger.entries)
    assert current_segment(site).startswith("00000002")
    assert standby.settled()["timeline"] == 2
    assert standby.restore().data["changed"] is False


def test_a_store_that_is_unreachable_does_not_end_a_standby(
    sites: Sites, newest_postgres: Installation, streams: Streams, tmp_path: Path
) -> None:
    site = streamed_site(sites, newest_postgres)
    ledger = Ledger(site.cluster)
    ledger.write(2)
    site.cluster.switch_wal()
    standby = Standby(site)
    standby.restore()
    repository = Path(site.repositories[0]["path"])
    repository.rename(tmp_path / "away")
    until(
        lambda: "cannot be fetched now" in standby.log(), "the standby to tell that its repository is away", standby.log
    )
    assert standby.recovering
    assert rows(standby.cluster) == expected(ledger.entries)
    (tmp_path / "away").rename(repository)
    ledger.write(2)
    site.cluster.switch_wal()
    standby.has(ledger.entries)


def test_a_damaged_piece_is_reported_and_the_complete_segment_replaces_it(
    sites: Sites, postgres: Installation, streams: Streams
) -> None:
    site = streamed_site(sites, postgres)
    ledger, stream, standby = fed(site, streams)
    whole = list(ledger.entries)
    standby.cluster.stop()
    known = set(directory_of(site).rglob("*.partial.zst"))
    ledger.write(2)
    stored_up_to(site)
    stream.close()
    for path in set(directory_of(site).rglob("*.partial.zst")) - known:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 0xFF
        path.chmod(0o600)
        path.write_bytes(content)
    standby.cluster.start()
    until(lambda: "ends early in repository" in standby.log(), "the warning in the server's log", standby.log)
    assert rows(standby.cluster) == expected(whole)
    site.cluster.switch_wal()
    standby.has(ledger.entries)


def test_a_forged_piece_stops_the_standby_when_the_segment_arrives(
    sites: Sites, newest_postgres: Installation, streams: Streams
) -> None:
    site = streamed_site(sites, newest_postgres)
    ledger, stream, standby = fed(site, streams)
    stream.close()
    segment, end = current_segment(site), reach(site) % 2**20
    forge_piece(site, segment, end)
    state = standby.cluster.data_dir / "pg_wal" / "lifeboat_standby.json"
    until(lambda: f'"end": {end + 100}' in state.read_text(), "the standby to read the piece", standby.log)
    ledger.write(1)
    site.cluster.switch_wal()
    until(lambda: not standby.cluster.running, "the standby to stop", standby.log)
    assert "WAL that its primary never wrote" in standby.log()


def forge_piece(site: Site, segment: str, end: int) -> None:
    """A piece of 100 bytes that the primary never wrote, behind what was stored."""
    newest = max(directory_of(site).rglob(f"{segment}.*.partial.zst"))
    path = newest.with_name(f"{segment}.{end:08X}-{end + 100:08X}.partial.zst")
    path.write_bytes(zstd.compress(b"\xee" * 100))


def test_a_gap_is_named(sites: Sites, newest_postgres: Installation) -> None:
    site = streamed_site(sites, newest_postgres)
    ledger = Ledger(site.cluster)
    standby = Standby(site)
    standby.restore()
    standby.cluster.stop()
    missing = site.cluster.switch_wal()
    ledger.write(1)
    site.cluster.switch_wal()
    (lost,) = directory_of(site).rglob(f"{missing}.zst")
    os.unlink(lost)
    standby.cluster.start()
    status = standby.status()
    assert status["missing"] == [missing]
    assert any(missing in words for words in status["obstacles"])
    error = Standby(site, "another").restore(status=1).error
    assert (error["error_code"], error["details"]["missing"]) == ("wal_gap", [missing])


def test_a_standby_that_would_archive_what_it_restores_is_refused(
    sites: Sites, newest_postgres: Installation, tmp_path: Path
) -> None:
    site = streamed_site(sites, newest_postgres, archive_mode="always")
    standby = Standby(site)
    error = standby.restore("--set", "archive_mode=always", status=1).error
    assert (error["error_code"], error["details"]["value"]) == ("standby_refused", "always")
    assert "archive_mode to on" in error["hint"]
    assert not standby.cluster.data_dir.exists()
    # By the configuration that is part of the backup: found before the server starts.
    assert standby.restore("--archiving", "on", status=1).error["error_code"] == "standby_refused"
    assert not standby.cluster.running
    # A file outside of the data directory is read before anything is touched.
    outside = tmp_path / "postgresql.conf"
    outside.write_text("archive_mode = always\n")
    site.options["config_file"] = str(outside)
    refused = Standby(site, "outside")
    error = refused.restore("--archiving", "on", status=1).error
    assert error["error_code"] == "standby_refused"
    assert not refused.cluster.data_dir.exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--immediate",), ("--time", "2026-11-22 14:02:00+00"), ("--lsn", "0/3000028"), ("--timeline", "1"),
        ("--leave", "stopped"), ("--exclusive",),
    ],
)  # fmt: skip
def test_options_that_make_no_sense_for_a_standby_are_refused(lost: Lost, words: List[str]) -> None:
    clone = lost.site.clone("never")
    ran = lost.site.lifeboat(*restore_arguments(clone, "--action", "standby", *words), status=1)
    assert ran.error["error_code"] == "config_invalid"
    assert not clone.data_dir.exists()
