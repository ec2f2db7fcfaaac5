# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evidence of drills in real repositories: stored, copied, read back, missed if removed, and without secrets."""

from __future__ import annotations

import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.repository.repository import Repositories
from support.drills import write_report
from support.installations import Installation
from support.lost import flip
from support.postgres import Site, Sites, entry

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """A cluster with a full backup in a bucket, and with a directory beside it that is not required."""
    (tmp_path / "far").mkdir()
    made = sites(newest_postgres, s3_options, segment_mb=1)
    made.repositories = [
        made.repositories[0],
        {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False},
    ]
    made.write()
    made.backup()
    return made


def findings(site: Site) -> Dict[str, Any]:
    return dict(site.lifeboat("verify", "--all", status=None).data)


def test_it_is_kept_copied_verified_and_missed(site: Site, tmp_path: Path) -> None:
    report = write_report(tmp_path / "report")
    (tmp_path / "answers.yml").write_text("participants: [Ann, Bob]\nteam_trained: true\n")
    words = ("drill", "keep", "--report", str(report), "--scenario", "server")
    kept = site.lifeboat(*words, "--checklist", str(tmp_path / "answers.yml")).data
    label = kept["drill"]["label"]
    # The directory was never this cluster's: it is told, and sync brings the drill with all else.
    assert kept["lacking"] == ["repo1"]
    assert "drill" in {
        owner.split()[0] for owner in site.lifeboat("sync", "--plan").data["repositories"][0]["lacking_of"]
    }
    site.lifeboat("sync")
    far = tmp_path / "far" / "main" / "drills" / label
    assert subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=far, check=False).returncode == 0
    listed = site.lifeboat("drill", "list").data
    assert [drill["label"] for drill in listed["drills"]] == [label] and not listed["set_apart"]
    answers = {i["id"]: i["answer"] for i in json.loads((far / "checklist.json").read_text())["items"]}
    assert answers["participants"] == ["Ann", "Bob"] and answers["team_trained"] is True and answers["problems"] is None

    assert findings(site)["intact"]
    flip(far / "report.html")
    told = findings(site)
    assert [f["key"] for f in told["findings"]] == [f"main/drills/{label}/report.html"]
    assert site.lifeboat("verify", "--repair").data["intact"]
    # The newest drill of a scenario outlives every retention.
    site.write(retention={"drill_days": 0, "keep_last": 1, "settle_hours": 0})
    site.lifeboat("prune", status=None)
    assert (far / "manifest.json").exists()
    near = Repositories.open(site.config).items[0].store
    near.delete([info.key for info in list(near.list(f"main/drills/{label}/"))])
    (gone,) = findings(site)["findings"]
    assert gone["repository"] == "repo0" and label in gone["message"]
    site.lifeboat("sync", "--from", "repo1", "--to", "repo0")
    assert findings(site)["intact"]


def test_what_is_kept_of_a_real_drill_holds_no_secret(site: Site, s3_options: S3Options, tmp_path: Path) -> None:
    evidence, report, out = (tmp_path / name for name in ("evidence", "report", "out"))
    for directory in (evidence, report, out):
        directory.mkdir()
    (evidence / "drill.json").write_text(json.dumps({"started_at": "2026-01-01T00:00:00Z", "host": "h"}))
    site.lifeboat("drill-survey", "--evidence", str(evidence))
    site.lifeboat("drill-report", "--evidence", str(evidence), "--output", str(report))
    with tarfile.open(report / "evidence.tar.gz", "w:gz") as packed:
        packed.add(evidence, "evidence")
    kept = site.lifeboat("drill", "keep", "--report", str(report), "--scenario", "server").data["drill"]
    assert kept["passed"] is False
    shown = site.lifeboat("drill", "show", kept["label"], "--output", str(out))
    text = json.dumps(shown.data)
    for path in out.iterdir():
        text += path.read_bytes().decode("latin-1")
    with tarfile.open(out / "evidence.tar.gz") as packed:
        for member in packed.getmembers():
            found = packed.extractfile(member)
            text += found.read().decode("latin-1") if found else ""
    assert "survey" in text and s3_options.bucket in text
    secrets = (s3_options.secret_access_key, s3_options.access_key_id)
    assert not [secret for secret in secrets if secret and secret in text]
    trend = tmp_path / "trend.html"
    site.lifeboat("drill", "trend", "--output", str(trend))
    assert "Never measured." in trend.read_text()
    repositories = Repositories.open(site.config)
    try:
        assert repositories.items[0].store.head(f"main/drills/{kept['label']}/evidence.tar.gz") is not None
    finally:
        repositories.close()
