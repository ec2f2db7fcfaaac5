# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The drill's engine on real servers: a ledger, a disaster, two restores, and detection of tampering."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest
from lifeboat.base.errors import ConfigError, DataDirectoryRefused
from lifeboat.drill.ledger import Pace, payload, read, write
from lifeboat.drill.strike import MARK, strike
from support.installations import Installation
from support.postgres import Cluster, Site, Sites, Templates, open_sites
from support.processes import until
from support.walagent import spool_of
from support.walstream import StreamProcess, pieces, streaming

pytestmark = pytest.mark.integration
SECOND = 'O\'Brien "sales" 2026'
CLOCK = """SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


@dataclass
class Drill:
    """A site below a marked directory, its evidence, and the clusters restored from it."""

    site: Site
    restored: List[Cluster] = field(default_factory=list)

    @property
    def evidence(self) -> Path:
        return self.site.root / "evidence"

    @property
    def space(self) -> Path:
        return self.site.root / "table space"

    def note(self, name: str, data: Dict[str, Any]) -> None:
        (self.evidence / name).write_text(json.dumps(data))

    def run(self, command: str, *arguments: str) -> Any:
        return self.site.lifeboat(command, "--evidence", str(self.evidence), *arguments).data

    def lines(self) -> int:
        path = self.evidence / "ledger.jsonl"
        return path.read_text().count("\n") if path.exists() else 0

    def wait_for_commits(self, more: int) -> None:
        wanted = self.lines() + more
        until(lambda: self.lines() >= wanted, f"{more} more commits in the ledger")

    def failed(self, number: int) -> Set[str]:
        """The failed checks of a restore."""
        judged = self.run("drill-judge", "--restore", str(number))
        failed = {check["id"] for check in judged["checks"] if not check["ok"]}
        assert judged["passed"] == (not failed)
        return failed

    def restore(self, title: str, target: Dict[str, Any], dropped: str, *arguments: str) -> None:
        number = len(self.restored) + 1
        cluster = self.site.clone(f"restore-{number}")
        self.restored.append(cluster)
        place = self.site.root / f"space {number}"
        settings = [f"--set={name}={value}" for name, value in cluster.network.items()]
        ran = self.site.lifeboat(
            "restore",
            *arguments,
            "--data-dir",
            str(cluster.data_dir),
            "--tablespace",
            f"{self.space}={place}",
            *settings,
        )
        told = {
            "title": title,
            "target": target,
            "dropped": dropped,
            "clock": "disaster" if number == 1 else "order",
            "ordered_at": json.loads((self.evidence / "disaster.json").read_text())["at"],
            "opened_at": cluster.value(CLOCK),
            "connection": {"host": str(cluster.socket_dir), "port": cluster.port},
            "tablespaces": {str(self.space): str(place)},
            "result": ran.data["restore"],
        }
        self.note(f"restore-{number}.json", told)


def prepare(site: Site) -> Drill:
    """Content, a backup, and the survey of it."""
    drill = Drill(site)
    drill.evidence.mkdir()
    drill.space.mkdir()
    (site.root / MARK).touch()
    site.cluster.execute(f"CREATE TABLESPACE history LOCATION '{drill.space}'", f"CREATE DATABASE {quoted(SECOND)}")
    site.cluster.execute(
        "CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS item FROM generate_series(1, 500) AS i",
        "CREATE TABLE kept (id int PRIMARY KEY, v float) TABLESPACE history",
        "INSERT INTO kept SELECT i, sin(i) FROM generate_series(1, 500) AS i",
    )
    site.cluster.execute('CREATE TABLE "it\'s" AS SELECT 1 AS one', dbname=SECOND)
    drill.note("drill.json", {"started_at": "2026-01-01T00:00:00Z", "host": "<b>host</b>", "planned_restores": 3})
    drill.note("backup.json", site.backup())
    drill.run("drill-survey")
    return drill


def rehearse(site: Site) -> Drill:
    """The whole story."""
    streaming(site)
    drill = prepare(site)
    stream = StreamProcess(site)
    writer = subprocess.Popen(
        [site.command, "--config", site.config_file, "drill-ledger", "--evidence", drill.evidence, "--rate", "0"]
    )
    try:
        drill.wait_for_commits(150)
        moment = site.cluster.value(CLOCK)
        site.cluster.execute("SELECT pg_sleep(0.05)", "DROP TABLE orders")
        drill.note(
            "marks.json", {"drop": {"at": moment, "database": "postgres", "table": "public.orders", "text": "x"}}
        )
        drill.wait_for_commits(150)
        if site.cluster.value("SELECT current_setting('server_version_num')::int") >= 170000:
            drill.note("incremental.json", site.backup("--type", "incremental"))
        site.cluster.switch_wal()
        drill.wait_for_commits(20)
        begun = site.cluster.value("SELECT pg_walfile_name(pg_current_wal_flush_lsn())")
        until(lambda: begun in pieces(site), f"pieces of {begun}")
        drill.run("drill-strike", "--root", str(site.root))
        assert writer.wait(30) == 0
    finally:
        writer.kill()
        writer.wait()
        stream.close()
    time = {"kind": "time", "value": moment, "inclusive": True}
    drill.restore("to before the accident", time, "present", "--time", moment)
    drill.restore("to the latest moment", {"kind": "latest"}, "absent", "--latest")
    plain = {"kind": "latest", "pieces": False}
    drill.restore("to it without the stream", plain, "absent", "--latest", "--without-pieces")
    return drill


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture(scope="module")
def drill(
    newest_postgres: Installation, templates: Templates, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drill]:
    with open_sites(templates, tmp_path_factory.mktemp("drill")) as sites:
        modern = {"summarize_wal": "on"} if newest_postgres.major >= 17 else {}
        yield rehearse(sites(newest_postgres, segment_mb=1, fsync="on", **modern))


def verdict(drill: Drill, number: int) -> Dict[str, Any]:
    return dict(json.loads((drill.evidence / f"judge-{number}.json").read_text())["verdict"])


def test_every_restore_passes_every_check(drill: Drill) -> None:
    assert [drill.failed(number) for number in (1, 2, 3)] == [set(), set(), set()]
    ledger = read(str(drill.evidence / "ledger.jsonl"))
    assert ledger.ended == "server vanished"
    streamed, plain = verdict(drill, 2), verdict(drill, 3)
    # Commits went on after the last segment switch: without the pieces they are gone, and the archived ones are not.
    assert 0 < plain["rpo_transactions"] < len(ledger.commits) - 300
    assert plain["required"] >= 300
    assert streamed["rpo_transactions"] < plain["rpo_transactions"]
    # A piece that was stored promises its commits.
    assert streamed["required"] > plain["required"]


def test_the_disaster_leaves_nothing_and_tells_what_was_safe(drill: Drill) -> None:
    assert not drill.site.cluster.data_dir.exists()
    assert not drill.space.exists()
    assert str(spool_of(drill.site)) in json.loads((drill.evidence / "disaster.json").read_text())["removed"]
    disaster = json.loads((drill.evidence / "disaster.json").read_text())
    assert len(disaster["killed"]) > 4
    stored = {Path(key).name for store in disaster["inventory"].values() for key in store["objects"]}
    assert f"{disaster['archived_wal']}.zst" in stored
    assert any("wal-stream" in words for words in disaster["killed"])
    assert any("pg_receivewal" in words for words in disaster["killed"])


def test_the_report_is_whole_and_needs_nothing_else(drill: Drill, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        drill.failed(number)
    answer = drill.run("drill-report", "--output", str(tmp_path))
    assert answer["result"] == "passed"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["checks"]["all"] == report["checks"]["passed"] > 25
    for restore in report["restores"]:
        assert sum(p["seconds"] for p in restore["phases"]) == pytest.approx(restore["rto_seconds"], abs=0.5)
    stream = report["rpo"]["stream"]
    assert stream["with"]["transactions"] == verdict(drill, 2)["rpo_transactions"] == report["rpo"]["transactions"]
    assert stream["without"]["transactions"] == verdict(drill, 3)["rpo_transactions"]
    assert stream["without"]["seconds"] > stream["with"]["seconds"]
    assert stream["saved_transactions"] == stream["without"]["transactions"] - stream["with"]["transactions"] > 0
    page, words = (tmp_path / "report.html").read_text(), (tmp_path / "report.txt").read_text()
    assert "What streaming saved" in page
    assert "without the stream" in words
    links = report["restores"][1]["result"]["chain"]
    assert " + ".join(links) in page
    if report["incremental"]:
        assert len(links) == 2
        assert links[1] == report["incremental"]["label"]
    else:
        assert len(links) == 1
        assert "No incremental backup: PostgreSQL 1" in words
    assert "<b>host</b>" not in page
    assert "&lt;b&gt;host&lt;/b&gt;" in page
    assert not {word for word in ("<script", "<link", "src=", "href=", "@import", "url(") if word in page}


def test_tampering_is_found(drill: Drill, tmp_path: Path) -> None:
    before, latest, _plain = drill.restored
    lost = json.loads((drill.evidence / "judge-1.json").read_text())["verdict"]["lost"][-1]["id"]
    before.execute(
        "DELETE FROM lifeboat_ledger WHERE id = 7",
        "UPDATE lifeboat_ledger SET payload = 'other' WHERE id = 8",
        f"INSERT INTO lifeboat_ledger (id, writer, payload) VALUES ({lost}, 1, '{payload(1, lost)}')",
        "UPDATE kept SET v = 0 WHERE id = 5",
        "DELETE FROM orders WHERE id = 1",
        "CREATE DATABASE extra",
        "ALTER SYSTEM SET archive_mode = 'on'",
        "ALTER SYSTEM SET archive_command = '/bin/false'",
    )
    before.stop()
    before.start()
    latest.execute("CREATE TABLE orders (id int)")
    (drill.site.repository_dir / "wal" / "intruder").write_bytes(b"x")
    try:
        wrong = {"complete", "payloads", "nothing_more", "tables", "dropped", "databases", "archive_mode", "untouched"}
        assert drill.failed(1) == wrong
        assert drill.failed(2) == {"dropped", "untouched"}
        by_pieces = {commit["id"] for commit in verdict(drill, 3)["lost"]}
        first = min(by_pieces - {commit["id"] for commit in verdict(drill, 2)["lost"]})
        latest.execute(f"DELETE FROM lifeboat_ledger WHERE id = {first}")
        assert drill.failed(2) == {"complete", "dropped", "untouched"}
        drill.site.lifeboat("drill-report", "--evidence", str(drill.evidence), "--output", str(tmp_path))
        assert json.loads((tmp_path / "report.json").read_text())["result"] == "failed"
        assert "7" in next(c["found"] for c in judged(drill, 1) if c["id"] == "complete")
    finally:
        (drill.site.repository_dir / "wal" / "intruder").unlink()


def judged(drill: Drill, number: int) -> List[Dict[str, Any]]:
    return list(json.loads((drill.evidence / f"judge-{number}.json").read_text())["checks"])


def test_the_ledger_is_what_the_server_has(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> None:
    site = sites(newest_postgres)
    connection, path = site.config.connection, str(tmp_path / "ledger")
    done = write(connection, path, Pace(rate=0, duration=0.5))
    ledger = read(path)
    assert done["commits"] == len(ledger.commits) > 0
    assert ledger.ended == "duration over"
    rows = site.cluster.rows("SELECT id, payload, written_at FROM lifeboat_ledger ORDER BY id")
    assert [row[0] for row in rows] == [c.id for c in ledger.commits]
    for (number, content, written), commit in zip(rows, ledger.commits):
        assert content == payload(1, number)
        assert commit.acked_at is not None and commit.lsn_after is not None
        assert commit.started_at <= written <= commit.acked_at
        assert commit.lsn_before < commit.lsn_after
    with pytest.raises(ConfigError, match="ledger"):
        write(connection, path, Pace(duration=0))
    (tmp_path / "stop").touch()
    write(connection, str(tmp_path / "second"), Pace(stop_file=str(tmp_path / "stop")))
    assert read(str(tmp_path / "second")).ended == "asked to stop"


def test_a_disaster_strikes_only_the_drill_s_own(sites: Sites, newest_postgres: Installation, tmp_path: Path) -> None:
    site = sites(newest_postgres)
    data_dir, bin_dir = site.data_dir, newest_postgres.bin_dir
    with pytest.raises(DataDirectoryRefused, match="no file"):
        strike(str(site.root), data_dir, bin_dir)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / MARK).touch()
    with pytest.raises(DataDirectoryRefused, match="is not below"):
        strike(str(tmp_path / "elsewhere"), data_dir, bin_dir)
    (site.root / MARK).touch()
    outside = tmp_path / "outside"
    outside.mkdir()
    site.cluster.execute(f"CREATE TABLESPACE outside LOCATION '{outside}'")
    with pytest.raises(DataDirectoryRefused, match="outside"):
        strike(str(site.root), data_dir, bin_dir)
    assert site.cluster.value("SELECT 1") == 1
    site.cluster.execute("DROP TABLESPACE outside")
    site.cluster.stop()
    with pytest.raises(DataDirectoryRefused, match="No server runs"):
        strike(str(site.root), data_dir, bin_dir)
    assert Path(data_dir, "PG_VERSION").exists()
    shutil.rmtree(outside)
