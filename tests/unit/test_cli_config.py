# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat config``: what it shows, and what it hides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lifeboat.cli.main import main

CONFIG = """
cluster: main
connection: {password: hunter2}
repositories:
  - {name: one, type: s3, bucket: backups, access_key_id: AKID, secret_access_key: topsecret, session_token: passing}
  - {type: directory, path: /mnt/backups, required: false}
file_sets:
  - {name: config, paths: [/etc/app], excludes: ["*.bak"]}
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "main.yml"
    path.write_text(CONFIG)
    return str(path)


def test_every_value_is_shown_and_no_secret(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", config, "config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "repositories[0].store.bucket: backups" in lines
    assert "repositories[0].store.secret_access_key: (set)" in lines
    assert "file_sets[0].excludes[0]: *.bak" in lines
    assert not any(secret in line for line in lines for secret in ("hunter2", "topsecret", "passing"))
    assert not any("profile" in line for line in lines)


def test_json_has_the_same(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", config, "--json", "config"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["connection"]["password"] == "(set)" and data["connection"]["passfile"] is None
    assert [r["required"] for r in data["repositories"]] == [True, False]


def test_a_mistake_is_an_error_that_names_it(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(config).write_text(CONFIG.replace("bucket", "buckett"))
    assert main(["--config", config, "config"]) == 1
    assert "repositories[0].buckett" in capsys.readouterr().err
