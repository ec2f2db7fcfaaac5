# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a resident process reread its configuration."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from lifeboat.config.load import load
from lifeboat.wal.spool import configured_at


@pytest.mark.parametrize("written", ["lifeboat.yml", "key.json"])
def test_credentials_in_a_file_count_as_configuration(tmp_path: Path, written: str) -> None:
    key, source = tmp_path / "key.json", tmp_path / "lifeboat.yml"
    key.write_text("{}")
    store = {"name": "near", "type": "gcs", "bucket": "b", "credentials_file": str(key)}
    source.write_text(json.dumps({"cluster": "main", "repositories": [store]}))
    config = load(str(source))
    before = configured_at(config)
    assert configured_at(config) == before
    os.utime(tmp_path / written, (0, 0))
    assert configured_at(config) != before
    key.unlink()
    assert configured_at(config)[-1] is None
