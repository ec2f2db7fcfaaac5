# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-stream``: commits after the last complete segment are restored."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import threading
import time
from pathlib import Path
from typing import List, Tuple

import psycopg2
import pytest
from lifeboat.base.wal_names import parse_lsn
from lifeboat.config.load import DirectoryOptions, S3Options
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Cluster, Site, Sites, restore_arguments
from support.processes import until
from support.walagent import AgentProcess, archive_by, spool_of
from support.walstream import SEGMENT, StreamProcess, Streams, pieces, reach, streamed_site, streaming

pytestmark = pytest.mark.integration


def stored_up_to(site: Site, lsn: str, number: int = 0) -> None:
    until(lambda: reach(site, number) >= parse_lsn(lsn), f"pieces up to {lsn}", lambda: str(pieces(site, number)))


def flushed(site: Site) -> str:
    return str(site.cluster.value("SELECT pg_current_wal_flush_lsn()"))


def begun(
    sites: Sites, installation: Installation, options: S3Options, streams: Streams, commits: int = 5
) -> Tuple[Site, Ledger, StreamProcess]:
    """A streamed site, the ledger of its first commits, and the stream that has stored them."""
    site = streamed_site(sites, installation, options)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(commits)
    stored_up_to(site, flushed(site))
    return site, ledger, stream


def lost_and_restored(site: Site, stream: StreamProcess) -> Cluster:
    site.cluster.kill9()
    stream.close()
    return restored(site)


def checked(site: Site) -> Tuple[str, str]:
    """The result of ``lifeboat check`` for the stream: the status, and the first words."""
    told = {c["name"]: c for c in site.lifeboat("check", status=None).data["checks"]}["WAL stream"]
    return told["status"], re.split("[,;]| lifeboat_main", told["message"])[0]


def restored(site: Site, name: str = "clone", prefetch: int = 16) -> Cluster:
    clone = site.clone(name)
    site.write(restore={"prefetch": prefetch})
    site.lifeboat(*restore_arguments(clone, "--leave", "running"))
    return clone


def test_commits_of_the_unfinished_segment_come_back(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger = Ledger(site.cluster)
    assert checked(site) == ("warning", "There is no replication slot")
    stream = streams(site)
    complete = ledger.write(5)
    site.cluster.switch_wal()
    ledger.write(10)
    stored_up_to(site, flushed(site))
    ledger.write(10)
    stored_up_to(site, flushed(site))
    newest = pieces(site)[max(pieces(site))]
    assert len(newest) > 1, "only what is new is stored"
    assert checked(site) == ("ok", "follows the server")
    site.cluster.kill9()
    stream.close()
    assert len(ledger.entries) > len(complete)
    assert rows(restored(site)) == expected(ledger.entries)
    # Without a prefetcher, too.
    assert rows(restored(site, "slower", prefetch=0)) == expected(ledger.entries)
    (window,) = site.lifeboat("list").data["windows"]
    assert parse_lsn(window["pieces_end_lsn"]) == reach(site) > parse_lsn(window["end_lsn"])
    # A time after the last complete segment is told, not reached.
    words = restore_arguments(site.clone("later"), "--time", ledger.entries[-1].committed.isoformat())
    assert site.lifeboat(*words, status=1).error["error_code"] == "target_unreachable"


def test_all_that_was_stored_survives_the_death_of_the_whole_host(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams, tmp_path: Path
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    agent, stream = AgentProcess(site), streams(site)
    archive_by(site)
    site.cluster.execute("CREATE TABLE load (id int PRIMARY KEY, filler text)")
    acknowledged = tmp_path / "acknowledged"
    slowly = threading.Event()
    writer = threading.Thread(target=write_until_it_dies, args=(site.cluster, acknowledged, slowly))
    writer.start()
    try:
        # Over several segments: archive_command and the stream work side by side.
        until(lambda: acknowledged.exists() and len(noted(acknowledged)) > 800, "the load")
        # Then slowly, so that the end lies inside of a segment.
        slowly.set()
        until(lambda: SEGMENT // 8 < reach(site) % SEGMENT < SEGMENT // 2, "pieces of a segment that has just begun")
    finally:
        site.cluster.kill9()
        stream.kill_all()
        agent.kill9()
        writer.join()
    agent.close()
    end = reach(site)
    commits = noted(acknowledged)
    clone = restored(site)
    found = [int(i) for (i,) in clone.rows("SELECT id FROM load ORDER BY id")]
    assert found == list(range(1, len(found) + 1))
    # The LSN was read before the commit: so the commit record of the next one lies behind it.
    safe = [number for number, lsn in commits if lsn <= end]
    assert found[-1] >= safe[-1] - 1
    complete = [number for number, lsn in commits if lsn < end // SEGMENT * SEGMENT]
    assert found[-1] > complete[-1], "more than the complete segments hold"


def write_until_it_dies(cluster: Cluster, path: Path, slowly: threading.Event) -> None:
    """Commit row by row; each line of the file is an acknowledged commit: number and the LSN after it."""
    with contextlib.suppress(psycopg2.Error), contextlib.closing(cluster.connect()) as connection:
        with open(path, "w", encoding="ascii", buffering=1) as out, connection.cursor() as cursor:
            for number in range(1, 100000):
                cursor.execute("INSERT INTO load VALUES (%s, repeat(md5(%s::text), 60))", (number, number))
                cursor.execute("SELECT pg_current_wal_insert_lsn()")
                out.write(f"{number} {parse_lsn(cursor.fetchone()[0])}\n")
                time.sleep(0.02 if slowly.is_set() else 0)


def noted(path: Path) -> List[Tuple[int, int]]:
    words = (line.split() for line in path.read_text().splitlines() if line.count(" ") == 1)
    return [(int(number), int(lsn)) for number, lsn in words]


def test_a_killed_stream_continues_where_it_ended(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site, ledger, first = begun(sites, newest_postgres, s3_options, streams)
    first.kill_all()
    until(lambda: checked(site) == ("warning", "The stream is not running"), "the check to miss the stream")
    had = pieces(site)
    ledger.write(5)
    second = streams(site)
    stored_up_to(site, flushed(site))
    now = pieces(site)
    name = max(now)
    assert set(had[name]) < set(now[name])
    assert all(after[0] == before[1] for before, after in itertools.pairwise(sorted(now[name]))), "nothing twice"
    assert "gap" not in second.words()
    assert rows(lost_and_restored(site, second)) == expected(ledger.entries)


def test_a_lost_spool_costs_no_byte(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site, ledger, first = begun(sites, newest_postgres, s3_options, streams)
    first.kill_all()
    shutil.rmtree(spool_of(site))
    ledger.write(5)
    second = streams(site)
    stored_up_to(site, flushed(site))
    assert rows(lost_and_restored(site, second)) == expected(ledger.entries)


def test_a_reverted_server_does_not_continue_what_it_stored_before(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, streams: Streams, tmp_path: Path
) -> None:
    """Its machine came back from a snapshot: the WAL since then is another one."""
    site, ledger, first = begun(sites, newest_postgres, s3_options, streams)
    assert first.stop() == 0
    site.cluster.stop()
    snapshot = tmp_path / "snapshot"
    for at, kept in ((site.cluster.data_dir, "data"), (spool_of(site), "spool")):
        shutil.copytree(at, snapshot / kept, symlinks=True)
    site.cluster.start()
    second = streams(site)
    ledger.write(5)
    before = flushed(site)
    stored_up_to(site, before)
    assert second.stop() == 0
    site.cluster.kill9()
    for at, kept in ((site.cluster.data_dir, "data"), (spool_of(site), "spool")):
        shutil.rmtree(at)
        shutil.copytree(snapshot / kept, at, symlinks=True)
    site.cluster.start()
    reverted, stored = streams(site), pieces(site)
    while parse_lsn(flushed(site)) < parse_lsn(before) + SEGMENT // 8:
        site.cluster.execute("SELECT pg_logical_emit_message(true, 'lifeboat', repeat('other', 1000))")
    until(lambda: "wal_conflict" in reverted.words(), "the conflict", reverted.words)
    assert pieces(site) == stored


def test_wal_not_reported_by_pg_receivewal_is_not_stored(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site, ledger, first = begun(sites, newest_postgres, s3_options, streams)
    assert first.stop() == 0
    site.lifeboat("wal-stream", "--drop-slot")
    shutil.rmtree(spool_of(site))
    ledger.write(5)
    # The new slot is ahead of the pieces, and the file is full of zeros for a while.
    name = site.cluster.value("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
    site.options["bin_dir"] = str(slow_receiver(site, f"{name}.partial"))
    site.write()
    second = streams(site)
    stored_up_to(site, flushed(site))
    assert rows(lost_and_restored(site, second)) == expected(ledger.entries)


def slow_receiver(site: Site, file: str) -> Path:
    """A directory of PostgreSQL's programs where pg_receivewal first has an empty segment for two seconds."""
    real = Path(site.cluster.installation.bin_dir)
    programs = site.root / "bin"
    programs.mkdir()
    for program in real.iterdir():
        (programs / program.name).symlink_to(program)
    slow = programs / "pg_receivewal"
    slow.unlink()
    file = str(spool_of(site) / "stream" / file)
    slow.write_text(f'#!/bin/sh\ntruncate -s {SEGMENT} "{file}"\nsleep 2\nexec "{real}/pg_receivewal" "$@"\n')
    slow.chmod(0o755)
    return programs


def test_a_gap_is_reported_and_the_stream_begins_at_the_current_segment(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site, ledger, first = begun(sites, newest_postgres, s3_options, streams, commits=3)
    assert first.stop() == 0
    assert site.lifeboat("wal-stream", "--drop-slot").data == {"slot": "lifeboat_main", "dropped": True}
    for _ in range(3):
        site.cluster.switch_wal()
    ledger.write(3)
    current = site.cluster.value("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
    second = streams(site)
    stored_up_to(site, flushed(site))
    assert f"there was no replication slot: it starts again at {current}" in second.words()
    assert rows(lost_and_restored(site, second)) == expected(ledger.entries)


def test_without_pieces_a_restore_ends_with_the_last_complete_segment(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options
) -> None:
    site = streamed_site(sites, newest_postgres, s3_options)
    ledger = Ledger(site.cluster)
    complete = ledger.write(3)
    site.cluster.switch_wal()
    ledger.write(3)
    site.cluster.kill9()
    assert rows(restored(site)) == expected(complete)


def test_a_damaged_piece_ends_the_wal_before_it(
    sites: Sites, newest_postgres: Installation, tmp_path: Path, streams: Streams
) -> None:
    stores = [DirectoryOptions(str(tmp_path / name)) for name in ("one", "two")]
    for store in stores:
        os.mkdir(store.path)
    site = streamed_site(sites, newest_postgres, *stores)
    ledger = Ledger(site.cluster)
    site.cluster.switch_wal()
    stream = streams(site)
    whole = ledger.write(3)
    ends = [flushed(site)]
    for number in (0, 1):
        stored_up_to(site, ends[0], number)
    ledger.write(3)
    for number in (0, 1):
        stored_up_to(site, flushed(site), number)
    site.cluster.kill9()
    stream.close()
    damaged = damage(Path(stores[0].path), parse_lsn(ends[0]) % SEGMENT)
    # The other repository has it whole.
    assert rows(restored(site)) == expected(ledger.entries)
    damage(Path(stores[1].path), parse_lsn(ends[0]) % SEGMENT)
    clone = site.clone("shorter")
    planned = site.lifeboat(*restore_arguments(clone, "--plan")).data
    assert any(damaged.name in note and "damaged" in note for note in planned["notes"]), planned["notes"]
    assert rows(restored(site, "shorter")) == expected(whole)


def damage(store: Path, beyond: int) -> Path:
    """Flip a byte in the first piece that extends beyond this offset; return its path."""
    found = sorted(store.rglob("*-*.partial.zst"))
    newest = max(path.name[:24] for path in found)
    path = next(p for p in found if p.name.startswith(newest) and int(p.name[34:42], 16) > beyond)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(content)
    return path


def test_missing_requirements_of_the_server_are_reported(
    sites: Sites, newest_postgres: Installation, tmp_path: Path, streams: Streams
) -> None:
    site = sites(newest_postgres, segment_mb=1, start=False, max_replication_slots=0)
    streaming(site)
    site.cluster.start()
    error = site.lifeboat("wal-stream", status=1).error
    assert (error["error_code"], error["details"]["setting"]) == ("server_not_ready", "max_replication_slots")
    site.cluster.stop()
    site.cluster.configure({"max_replication_slots": 1, "max_wal_senders": 1})
    site.cluster.start()
    site.cluster.execute("SELECT pg_create_physical_replication_slot('other')")
    error = site.lifeboat("wal-stream", status=1).error
    assert (error["error_code"], error["details"]["setting"]) == ("server_not_ready", "max_replication_slots")
    site.cluster.execute("SELECT pg_drop_replication_slot('other')")
    stream = streams(site)
    assert "max_slot_wal_keep_size is unlimited" in stream.words()
    error = site.lifeboat("wal-stream", status=1).error
    assert error["error_code"] == "agent_running"
    site.cluster.stop()
    assert stream.wait() == 1
