# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster is lost and restored from S3: every kind of target, every action, clones, a second timeline."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

import pytest
from lifeboat import restore
from lifeboat.base.errors import CloneRefused, TargetUnreachable
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.records.model import Target
from lifeboat.restore.recover import sync_settings
from lifeboat.wal.push import push
from seaweedfs import SeaweedFS
from support.choice import every_postgres
from support.installations import Installation
from support.ledger import Entry, Ledger, expected, rows
from support.postgres import Cluster, Site, Sites, restore_arguments
from support.processes import until
from support.stores import s3_options_for

pytestmark = pytest.mark.integration

DATABASE = 'the "odd" one\'s'
KOLKATA = timezone(timedelta(hours=5, minutes=30))


@dataclass
class Story:
    """A site whose ledger was dropped by accident; its server is down.

    Everything is in S3 and, for the many quick restores (``near``), in a directory too.
    """

    site: Site
    label: str
    entries: List[Entry]
    space: Path
    near: Path

    def clone(self, name: str) -> Cluster:
        return self.site.clone(name)

    def arguments(self, clone: Cluster, *target: str) -> List[str]:
        return restore_arguments(clone, *target, tablespaces=[(str(self.space), f"{clone.data_dir} table space")])

    def restore(self, clone: Cluster, *target: str, config_file: Optional[Path] = None) -> Dict[str, Any]:
        return dict(self.site.lifeboat(*self.arguments(clone, *target), config_file=config_file).data)


def s3_options(seaweedfs: SeaweedFS, bucket: str) -> S3Options:
    return s3_options_for(seaweedfs, bucket, f"story {secrets.token_hex(4)}")


@pytest.fixture(scope="module")
def story(
    postgres: Installation,
    module_sites: Sites,
    seaweedfs: SeaweedFS,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Story:
    directory = tmp_path_factory.mktemp("near")
    site = module_sites(
        postgres, s3_options(seaweedfs, bucket), DirectoryOptions(str(directory)), name=f"story {postgres.major}",
        track_commit_timestamp="on", TimeZone="Asia/Kolkata",
    )  # fmt: skip
    near = site.write(site.root / "near.yml", repositories=site.repositories[1:])
    cluster = site.cluster
    space = site.root / "table space"
    space.mkdir()
    quoted = DATABASE.replace('"', '""')
    cluster.execute(f"CREATE TABLESPACE spacious LOCATION '{space}'", f'CREATE DATABASE "{quoted}"')
    ledger = Ledger(cluster)
    other = Ledger(cluster, "other", tablespace="spacious")
    other.write(3)
    before = ledger.write(2)
    label = site.backup()["label"]
    cluster.execute("CREATE TABLE here AS SELECT 'here'::text AS word", dbname=DATABASE)
    middle = ledger.write(3)
    cluster.switch_wal()
    cluster.execute("SELECT pg_create_restore_point('before the drop')")
    after = ledger.write(3)
    cluster.execute("DROP TABLE ledger")
    cluster.switch_wal()
    cluster.stop()
    return Story(site, label, [*before, *middle, *after], space, near)


def state_of(cluster: Cluster) -> Dict[str, str]:
    names = (
        "archive_mode",
        "restore_command",
        "recovery_target_time",
        "recovery_target_lsn",
        "recovery_target_timeline",
    )
    return dict(cluster.rows("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", list(names)))


@every_postgres
def test_a_dropped_table_comes_back_by_a_time_without_zone(story: Story) -> None:
    last = story.entries[-1]
    clone = story.clone("time")
    local = last.committed.astimezone(KOLKATA).replace(tzinfo=None).isoformat(sep=" ")
    done = story.restore(clone, "--time", local, "--request-id", "INC-1")

    assert rows(clone) == expected(story.entries)
    assert rows(clone, "other") == [(i, f"entry {i}") for i in (1, 2, 3)]
    assert clone.value("SELECT word FROM here", dbname=DATABASE) == "here"
    assert clone.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'spacious'") == (
        f"{clone.data_dir} table space"
    )
    assert any("Asia/Kolkata" in note for note in done["plan"]["notes"])
    result = done["restore"]
    assert (result["label"], result["timeline"], result["parent_timeline"], result["state"]) == (
        story.label,
        2,
        1,
        "running",
    )
    assert result["reached_time"] == last.committed.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    assert int(result["reached_lsn"].split("/")[1], 16) > int(last.lsn.split("/")[1], 16)
    assert not clone.value("SELECT pg_is_in_recovery()")
    # Nothing of the recovery stays behind, and the clone is no second writer into the repository.
    left = state_of(clone)
    assert left.pop("archive_mode") == "off"
    assert left == {
        "restore_command": "",
        "recovery_target_time": "",
        "recovery_target_lsn": "",
        "recovery_target_timeline": "latest",
    }
    assert not (clone.data_dir / "recovery.signal").exists()
    segment = str(clone.value("SELECT pg_walfile_name(pg_current_wal_lsn())"))
    with pytest.raises(CloneRefused) as refused:
        push(story.site.config, f"pg_wal/{segment}", str(clone.data_dir))
    assert str(clone.data_dir) in refused.value.message
    assert story.site.data_dir in refused.value.message

    # The same again is no change, whether the server is up or down; another target needs leave to move this aside.
    again = story.restore(clone, "--time", local, "--request-id", "INC-1")
    assert not again["changed"]
    assert again["plan"]["satisfied"]
    assert again["restore"] == result
    clone.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    clone.stop()
    refused_again = story.site.lifeboat(*story.arguments(clone, "--latest"), status=1)
    assert refused_again.error["error_code"] == "data_directory_refused"
    assert str(clone.data_dir) in refused_again.error["message"]
    newer = story.restore(clone, "--latest", "--existing", "move_aside", config_file=story.near)
    assert clone.value("SELECT to_regclass('ledger') IS NULL AND to_regclass('kept') IS NULL")
    assert rows(clone, "other") == [(i, f"entry {i}") for i in (1, 2, 3)]
    moved = [Path(p) for p in newer["restore"]["moved_aside"]]
    assert [p.name.split(".before-")[0] for p in moved] == [clone.data_dir.name, f"{clone.data_dir.name} table space"]
    assert (moved[0] / "PG_VERSION").read_text().strip() == str(story.site.cluster.installation.major)
    assert any(moved[1].iterdir())
    clone.stop()


def inclusive_time(e: Entry) -> List[str]:
    return ["--time", e.committed.isoformat()]


def lsn(e: Entry) -> List[str]:
    return ["--lsn", e.lsn]


def xid(e: Entry) -> List[str]:
    return ["--xid", str(e.xid)]


@pytest.mark.parametrize(
    ("target", "exclusive", "action"),
    [
        pytest.param(inclusive_time, True, "pause", id="time-exclusive"),
        pytest.param(lsn, False, "pause", id="lsn"),
        pytest.param(lsn, True, "promote", id="lsn-exclusive"),
        pytest.param(xid, False, "shutdown", id="xid"),
        pytest.param(xid, True, "pause", id="xid-exclusive"),
    ],
)
def test_a_target_ends_recovery_at_exactly_that_commit(
    story: Story, request: pytest.FixtureRequest, target: Callable[[Entry], List[str]], exclusive: bool, action: str
) -> None:
    position = 6  # in the second segment behind the backup
    entry = story.entries[position]
    clone = story.clone(request.node.callspec.id)
    words = [*target(entry), "--action", action, *(["--exclusive"] if exclusive else [])]
    result = story.restore(clone, *words, config_file=story.near)["restore"]

    want = expected(story.entries[: position + (0 if exclusive else 1)])
    if action == "shutdown":
        assert result["state"] == "shut down in recovery"
        assert not clone.running
        with open(clone.data_dir / "postgresql.auto.conf", "a", encoding="utf-8") as stream:
            stream.write("recovery_target_action = 'pause'\n")
        clone.start()
        until(lambda: clone.value("SELECT pg_get_wal_replay_pause_state()") == "paused", "the pause at the target")
    elif action == "pause":
        assert result["state"] == "paused"
        assert clone.value("SELECT pg_is_in_recovery() AND pg_is_wal_replay_paused()")
        assert result["reached_lsn"] == clone.value("SELECT pg_last_wal_replay_lsn()::text")
        synced = sync_settings(os.uname()).get("recovery_init_sync_method", "fsync")
        assert clone.value("SHOW recovery_init_sync_method") == synced
    else:
        assert (result["state"], result["timeline"]) == ("running", 2)
    assert rows(clone) == want
    assert clone.value("SHOW archive_mode") == "off"
    clone.stop()


def test_a_restore_point_and_the_end_of_the_backup_are_targets(story: Story) -> None:
    named = story.clone("named")
    words = ["--name", "before the drop", "--action", "pause", "--set", "recovery_init_sync_method=fsync"]
    result = story.restore(named, *words, config_file=story.near)["restore"]
    assert named.value("SHOW recovery_init_sync_method") == "fsync"
    assert rows(named) == expected(story.entries[:5])
    assert result["segments"] >= 2
    named.execute("SELECT pg_wal_replay_resume()")
    named.stop()

    at_once = story.clone("immediate")
    story.restore(at_once, "--immediate", config_file=story.near)
    assert rows(at_once) == expected(story.entries[:2])
    at_once.stop()


def segment_of(position: str, timeline: int) -> str:
    """The name of the 16 MiB segment that holds an LSN."""
    high, low = (int(part, 16) for part in position.split("/"))
    return f"{timeline:08X}{high:08X}{low >> 24:08X}"


def test_the_same_again_in_place_is_no_change_once_the_repository_knows_its_timeline(
    newest_postgres: Installation, sites: Sites
) -> None:
    site = sites(newest_postgres, track_commit_timestamp="on")
    cluster, ledger = site.cluster, Ledger(site.cluster)
    site.backup()
    kept = ledger.write(2)
    cluster.switch_wal()
    ledger.write(2)
    cluster.switch_wal()
    cluster.kill9()
    shutil.rmtree(cluster.data_dir)
    words = ("restore", "--time", kept[-1].committed.isoformat(), "--request-id", "INC-1")
    done = site.lifeboat(*words).data
    # Of the new timeline the archive has nothing behind its beginning, which lies before that time is over.
    until(lambda: any(site.repository_dir.glob("wal/*/00000002.history")), "the server archives it")
    again = site.lifeboat(*words).data
    assert not again["changed"] and again["plan"]["satisfied"] and again["restore"] == done["restore"]
    assert rows(cluster) == expected(kept)
    refused = site.lifeboat(*words[:-2], "--timeline", "2", "--existing", "move_aside", "--plan", status=1)
    assert refused.error["error_code"] == "target_unreachable"


def a_gap_on_the_new_timeline_is_told(site: Site, label: str) -> None:
    """It has no backup yet."""
    site.cluster.switch_wal()
    segment = min(site.repository_dir.glob("wal/*/00000002/*/*.zst"))
    away = segment.rename(segment.with_suffix(".away"))
    gaps = [c for c in site.lifeboat("check", status=None).data["checks"] if c["name"].endswith(": gap")]
    assert [(c["status"], segment.stem in c["message"]) for c in gaps] == [("critical", True)], gaps
    assert {gap["label"]: gap["missing"] for gap in site.lifeboat("list").data["gaps"]} == {label: [segment.stem]}
    assert "wal_gap" in json.dumps(site.lifeboat("verify", status=None).data)
    away.rename(segment)


def test_in_place_on_a_new_timeline_and_on_from_there(postgres: Installation, sites: Sites) -> None:
    site = sites(postgres, track_commit_timestamp="on")
    cluster = site.cluster
    ledger = Ledger(cluster)
    first = site.backup()["label"]
    kept = ledger.write(2)
    lost = ledger.write(2)
    cluster.switch_wal()
    cluster.kill9()
    shutil.rmtree(cluster.data_dir)

    # In place: the protected data directory archives again, on a timeline of its own.
    done = site.lifeboat("restore", "--xid", str(kept[-1].xid)).data
    assert (done["restore"]["timeline"], done["plan"]["archiving"]) == (2, True)
    assert rows(cluster) == expected(kept)
    ledger.entries = [*kept]
    fork = done["restore"]["reached_lsn"]
    second_life = ledger.write(2)
    assert cluster.switch_wal()[:8] == "00000002"
    # Before there is any backup on it.
    assert {w["timeline"]: w["label"] for w in site.lifeboat("list").data["windows"]} == {1: first, 2: first}
    a_gap_on_the_new_timeline_is_told(site, first)
    second = site.backup()
    assert second["timeline"] == 2
    third_act = ledger.write(1)
    cluster.switch_wal()
    assert cluster.value("SELECT failed_count FROM pg_stat_archiver") == 0
    cluster.stop()
    windows = {w["timeline"]: w for w in site.lifeboat("list").data["windows"]}
    assert set(windows) == {1, 2}

    # From the backup of timeline 1 across the switch to the end of timeline 2. A server that fails over inside a
    # segment never archives the old timeline's copy of it: the new one's begins with the same records.
    across = site.clone("across")
    (forked,) = site.repository_dir.glob(f"wal/*/00000001/00000000/{segment_of(fork, timeline=1)}.zst")
    forked.rename(forked.with_suffix(".away"))
    done = site.lifeboat(*restore_arguments(across, "--label", first)).data
    result = done["restore"]
    # The plan saw all of it too: as far as the backup that lies behind the switch can go.
    assert done["plan"]["window"]["end_lsn"] == windows[2]["end_lsn"]
    forked.with_suffix(".away").rename(forked)
    assert rows(across) == expected([*kept, *second_life, *third_act])
    assert (result["parent_timeline"], result["timeline"]) == (2, 3)
    history = (across.data_dir / "pg_wal" / "00000003.history").read_text().split()
    assert history[0] == "1"
    assert history[1] == fork
    across.stop()

    # From the backup of timeline 2, which holds the traces of the restore before it.
    newest = site.clone("newest")
    result = site.lifeboat(*restore_arguments(newest)).data["restore"]
    assert rows(newest) == expected([*kept, *second_life, *third_act])
    assert result["label"] == second["label"]
    newest.stop()

    # Timeline 1 to its end is still there, as it was lost.
    old = site.clone("old")
    result = site.lifeboat(*restore_arguments(old, "--timeline", "1")).data["restore"]
    assert rows(old) == expected([*kept, *lost])
    assert (result["label"], result["parent_timeline"], result["timeline"]) == (first, 1, 3)
    old.stop()
    request = restore.RestoreRequest(
        Target(timeline="current"), label=first, data_dir=str(site.root / "current"), leave="stopped"
    )
    assert restore.plan(site.config, request).path.timeline == 1

    # The backup that was made after the fork does not lead there.
    request = restore.RestoreRequest(Target(timeline="1"), label=second["label"], data_dir=str(site.root / "never"))
    with pytest.raises(TargetUnreachable) as unreachable:
        restore.plan(site.config, request)
    assert second["label"] in unreachable.value.message
    assert "imeline 1" in unreachable.value.message
