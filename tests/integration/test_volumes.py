# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups whose archives have several volumes: restored side by side and by hand, damaged, and carried along."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Cluster, Site, Sites, entry, restore_arguments

pytestmark = pytest.mark.integration
BACKUP = {"wal_timeout": 120, "method": "parallel", "parallel": 2, "volume_size": 2**22}
ROWS = "SELECT (SELECT sum(n) FROM plain), (SELECT sum(n) FROM spread)"


@pytest.fixture(scope="module")
def made(postgres: Installation, module_sites: Sites) -> Tuple[Site, str, Path]:
    """A site with a tablespace, its backup, and where the tablespace is."""
    site = module_sites(postgres, name="volumes", options={"backup": BACKUP})
    space = site.root / "the space"
    space.mkdir()
    site.cluster.execute(
        f"CREATE TABLESPACE spacious LOCATION '{space}'",
        "CREATE TABLE plain AS SELECT n, repeat('x', 100) FROM generate_series(1, 60000) n",
        "CREATE TABLE spread TABLESPACE spacious AS SELECT n, repeat('y', 100) FROM generate_series(1, 60000) n",
        "CREATE TABLE spread_too TABLESPACE spacious AS SELECT * FROM spread",
        "CHECKPOINT",
    )
    label = site.backup()["label"]
    site.cluster.switch_wal()
    return site, label, space


def archives(site: Site, label: str) -> List[str]:
    return sorted(p.name for p in (site.repository_dir / "backups" / label).glob("*.tar.zst"))


def check(site: Site, clone: Cluster) -> None:
    assert clone.rows(ROWS) == site.cluster.rows(ROWS)


def test_volumes_are_restored_side_by_side(made: Tuple[Site, str, Path], tmp_path: Path) -> None:
    site, label, space = made
    record = json.loads((site.repository_dir / "backups" / label / "manifest.json").read_text())
    names = [file["name"] for file in record["files"] if file["name"] != "backup_manifest"]
    assert record["format"] == 2 and sorted(names) == archives(site, label)
    assert len([n for n in names if n.startswith("base.0000")]) >= 4
    assert len([n for n in names if not n.startswith("base.")]) >= 2
    for parallel in (1, 3):
        clone = site.clone(f"by {parallel}")
        config = site.write(tmp_path / f"{parallel}.yml", restore={"parallel": parallel})
        words = ["--tablespace", f"{space}={tmp_path / str(parallel)}"]
        site.lifeboat(*restore_arguments(clone, *words), config_file=config)
        check(site, clone)
        clone.stop()


def test_the_printed_script_has_a_loop(made: Tuple[Site, str, Path], tmp_path: Path) -> None:
    site, label, _space = made
    script = site.lifeboat("show", label).data["by_hand"]
    count = len([name for name in archives(site, label) if name.startswith("base.")])
    assert f"for volume in $(seq -f %05.0f {count}); do" in script
    oid = next(n for n in archives(site, label) if not n.startswith("base.")).split(".")[0]
    # Only what unpacks: the rest is the same for every backup.
    unpacks = script[: script.index("cat > ")]
    done = subprocess.run(
        ["sh"], input=unpacks, text=True, capture_output=True, check=False,
        env={
            "PATH": f"{site.cluster.installation.bin_dir}:{os.environ['PATH']}", "PGDATA": str(tmp_path / "by hand"),
            f"TABLESPACE_{oid}": str(tmp_path / "another space"),
        },
    )  # fmt: skip
    assert done.returncode == 0 and "backup successfully verified" in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize("how", ["changed", "gone"])
def test_a_damaged_volume_is_named_and_nothing_is_left(
    made: Tuple[Site, str, Path], tmp_path: Path, how: str
) -> None:
    site, label, space = made
    copy = tmp_path / "repository"
    shutil.copytree(site.repository_dir.parent, copy)
    name = archives(site, label)[2]
    victim = copy / site.repository_dir.name / "backups" / label / name
    if how == "gone":
        victim.unlink()
    else:
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
    config = site.write(tmp_path / "copy.yml", repositories=[entry(0, DirectoryOptions(str(copy)))])
    clone = site.clone(f"of {how}")
    words = restore_arguments(clone, "--tablespace", f"{space}={tmp_path / 'space'}")
    found = site.lifeboat(*words, config_file=config, status=1)
    assert name in found.stderr
    left = {p.name for p in clone.data_dir.iterdir()} if clone.data_dir.exists() else set()
    assert left <= {"lifeboat_restore.json"}
    verified = site.lifeboat("verify", config_file=config, status=1)
    assert name in json.dumps(verified.data)


def test_another_repository_gets_all_of_them(made: Tuple[Site, str, Path], tmp_path: Path) -> None:
    site, _label, space = made
    first, second_place = site.repository_dir.parent, tmp_path / "second"
    second_place.mkdir()
    entries = [entry(i, DirectoryOptions(str(place))) for i, place in enumerate((first, second_place))]
    both = site.write(tmp_path / "both.yml", repositories=entries)
    site.lifeboat("sync", config_file=both)
    second = site.write(tmp_path / "second.yml", repositories=entries[1:])
    clone = site.clone("from the second")
    site.lifeboat(*restore_arguments(clone, "--tablespace", f"{space}={tmp_path / 'space'}"), config_file=second)
    check(site, clone)
    clone.stop()

