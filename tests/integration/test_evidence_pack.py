# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence pack of a real cluster: whole, with checksums, without secrets, and honest about what is missing."""

from __future__ import annotations

import json
import re
import secrets
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from support.drills import write_report
from support.installations import Installation
from support.lost import flip
from support.postgres import Site, Sites, entry

pytestmark = pytest.mark.integration


def unpacked(archive: Path, into: Path) -> Path:
    """The only directory in it."""
    into.mkdir()
    with tarfile.open(archive) as packed:
        packed.extractall(into, filter="data")
    (root,) = into.iterdir()
    return root


def lines(path: Path) -> List[Dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """A cluster in a bucket and a directory, with a history, and a secret of every kind in its configuration."""
    (tmp_path / "far").mkdir()
    made = sites(newest_postgres, s3_options, segment_mb=1)
    made.repositories = [*made.repositories, entry(1, DirectoryOptions(str(tmp_path / "far")))]
    words = [secrets.token_hex(12) for _ in range(3)]
    made.options.update(
        connection={
            "host": str(made.cluster.socket_dir), "port": made.cluster.port, "user": "postgres", "password": words[0],
        },
        notifications={
            "state_dir": str(tmp_path / "told"),
            "channels": [
                {
                    "name": "hook", "type": "webhook",
                    "webhook_url": f"https://127.0.0.1:9/{words[1]}", "secret": words[2],
                },
            ],
        },
        objectives={"max_backup_age": 90000},
    )  # fmt: skip
    made.write()
    (tmp_path / "words.json").write_text(json.dumps([*words, s3_options.secret_access_key]))
    made.lifeboat("backup")
    made.lifeboat("backup", "--type", "full")
    made.lifeboat("verify")
    made.lifeboat("verify", "--restore")
    report = write_report(tmp_path / "report")
    made.lifeboat("drill", "keep", "--report", str(report), "--scenario", "server")
    made.lifeboat("incident", "open", "the database is wrong")
    made.lifeboat("incident", "close", "restored")
    made.write(retention={"keep_last": 1, "full_days": 0, "wal_days": 0, "settle_hours": 0, "max_share": 100})
    made.lifeboat("prune", status=None)
    return made


def test_the_pack_is_whole_and_holds_no_secret(site: Site, tmp_path: Path) -> None:
    archive = tmp_path / "evidence.tar.gz"
    done = site.lifeboat("evidence", "--since", "2026-01-01", "--output", str(archive)).data
    assert done["unread"] == {} and archive.stat().st_mode & 0o777 == 0o600
    root = unpacked(archive, tmp_path / "out")
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=root, check=False).returncode == 0
    names = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert names == {file["name"] for file in done["files"]}
    (told,) = (json.loads((root / name).read_text()) for name in names if re.match(r"incidents/.*\.json", name))
    assert told["title"] == "the database is wrong" and [e["what"] for e in told["incident"]["events"]] == [
        "opened",
        "closed",
    ]
    assert "restored" in (root / f"incidents/{told['incident']['incident']}.md").read_text()
    assert {f"repositories/repo{n}/{name}" for n in (0, 1) for name in (
        "backups.json", "verifications.jsonl", "restore_tests.jsonl")} <= names  # fmt: skip
    (drill,) = (root / "drills").iterdir()
    assert {path.name for path in drill.iterdir()} == {
        "report.json", "report.html", "evidence.tar.gz", "checklist.json", "SHA256SUMS", "manifest.json",
    }  # fmt: skip
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=drill, check=False).returncode == 0

    events = lines(root / "audit/events.jsonl")
    assert {"backup", "verify", "restore test", "drill", "prune"} <= {event["what"] for event in events}
    assert json.loads((root / "audit/verification.json").read_text())["intact"]
    kept = json.loads((root / "schedule.json").read_text())
    assert kept["operations"]["backup"]["succeeded"] == 2 and kept["backups"]["repo0"]["objective_kept"]
    assert [event["what"] for event in json.loads((root / "deletions.json").read_text())] == ["prune"]
    assert len(lines(root / "repositories/repo1/restore_tests.jsonl")) == 1
    index = json.loads((root / "index.json").read_text())
    assert all(f["compliance"] for f in index["files"]) and not index["set_apart"]
    assert "## What is what" in (root / "index.md").read_text()

    given = json.loads((root / "configuration.json").read_text())
    assert (
        given["repositories"][0]["store"]["secret_access_key"] == "(set)" and given["connection"]["password"] == "(set)"
    )
    for path in root.rglob("*"):
        if path.is_file():
            found = [w for w in json.loads((tmp_path / "words.json").read_text()) if w.encode() in path.read_bytes()]
            assert not found, path
    # Of a time in which nothing happened there is nothing but what is in force.
    late = tmp_path / "late.tar.gz"
    site.lifeboat("evidence", "--since", "2099-01-01", "--output", str(late))
    empty = unpacked(late, tmp_path / "empty")
    assert lines(empty / "audit/events.jsonl") == [] and not (empty / "drills").exists()


def test_what_is_missing_or_damaged_is_named(site: Site, tmp_path: Path) -> None:
    (drill,) = (tmp_path / "far/main/drills").iterdir()
    alone = site.write(site.root / "alone.yml", repositories=[site.repositories[1]])
    flip(drill / "report.html")
    archive = tmp_path / "evidence.tar.gz"
    words = ("evidence", "--since", "2026-01-01", "--output", str(archive))
    done = site.lifeboat(*words, status=1, config_file=alone).data
    assert list(done["unread"]) == [f"drills/{drill.name}/report.html"]
    root = unpacked(archive, tmp_path / "out")
    assert not (root / "drills" / drill.name / "report.html").exists()
    assert "report.html" in (root / "index.md").read_text().split("## What is what")[0]
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=root, check=False).returncode == 0
    # A repository that is away is named, and the other one is in the pack.
    (tmp_path / "far").rename(tmp_path / "away")
    done = site.lifeboat(*words, status=1).data
    assert {name.split()[-1] for name in done["unread"]} == {"repo1"}
    assert any(file["name"] == "repositories/repo0/backups.json" for file in done["files"])
