# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is readable without Lifeboat: the printed script runs unmodified, with a minimal PATH."""

from __future__ import annotations

import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, Tuple

import pytest
from lifeboat.config.load import DirectoryOptions
from seaweedfs import SeaweedFS
from support.age import make_key, needs_age
from support.installations import Installation
from support.ledger import Entry, Ledger, expected, rows
from support.postgres import Cluster, Site, Sites
from support.processes import until
from support.stores import s3_options_for

pytestmark = pytest.mark.integration

#: What the script may use beside PostgreSQL's own programs and an S3 client.
TOOLS = ("sh", "tar", "zstd", "mkdir", "chmod", "ln", "cat", "touch", "cut", "rm", "find", "sed")

#: ``aws s3 cp URL -`` and nothing else.
AWS = f"""#!{sys.executable}
import os, sys, boto3
assert sys.argv[1:3] == ["s3", "cp"] and sys.argv[4:] == ["-"], sys.argv
bucket, _, key = sys.argv[3][len("s3://"):].partition("/")
client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name="us-east-1")
for chunk in client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1 << 20):
    sys.stdout.buffer.write(chunk)
"""


def bare_path(directory: Path, installation: Installation, *more: str) -> str:
    """A PATH with only the tools above, ``more``, ``aws`` and PostgreSQL."""
    directory.mkdir()
    for tool in (*TOOLS, *more):
        found = shutil.which(tool)
        assert found, f"{tool} is not installed"
        (directory / tool).symlink_to(found)
    (directory / "aws").write_text(AWS)
    (directory / "aws").chmod(0o755)
    return f"{directory}:{installation.bin_dir}"


def lost_site(site: Site, *then: str) -> Tuple[str, list[Entry], str]:
    """Back up the site, write more, then lose the server: the label, the archived rows, and the tablespace's OID.

    ``then`` are the types of further backups; the label is the last one's.
    """
    cluster = site.cluster
    space = site.root / "the space"
    space.mkdir()
    cluster.execute(f"CREATE TABLESPACE spacious LOCATION '{space}'")
    ledger = Ledger(cluster, tablespace="spacious")
    ledger.write(2)
    label = site.backup()["label"]
    for kind in then:
        ledger.write(2)
        label = site.backup("--type", kind)["label"]
    ledger.write(2)
    cluster.switch_wal()
    ledger.write(2)
    cluster.switch_wal()
    oid = str(cluster.value("SELECT oid::text FROM pg_tablespace WHERE spcname = 'spacious'"))
    cluster.stop()
    return label, ledger.entries, oid


def restore_by_hand(site: Site, label: str, oid: str, environment: Dict[str, str], *tools: str) -> Cluster:
    """Run the printed script; return the restored cluster, which listens where the lost one did."""
    script = site.lifeboat("show", label).data["by_hand"]
    restored = Cluster(site.cluster.installation, site.root / "it's restored")
    shutil.rmtree(restored.socket_dir)
    restored.port, restored.socket_dir = site.cluster.port, site.cluster.socket_dir
    site.clones.append(restored)
    log = site.root / "script.log"
    with log.open("w", encoding="utf-8") as out:
        done = subprocess.run(
            ["sh"], input=script, text=True, stdout=out, stderr=out, check=False, cwd="/",
            env={
                "PATH": bare_path(site.root / "bin", site.cluster.installation, *tools),
                "PGDATA": str(restored.data_dir),
                f"TABLESPACE_{oid}": str(site.root / "another space"),
                **environment,
            },
        )  # fmt: skip
    # Not through the same description: the server writes on where it stands.
    said = log.read_text(encoding="utf-8")
    assert done.returncode == 0, said
    assert "backup successfully verified" in said
    return restored


def check_restored(site: Site, restored: Cluster, entries: list[Entry]) -> None:
    until(lambda: not restored.value("SELECT pg_is_in_recovery()"), "the end of recovery")
    assert rows(restored) == expected(entries)
    assert restored.value("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'spacious'") == str(
        site.root / "another space"
    )
    assert restored.value("SHOW archive_mode") == "off"
    restored.stop()


def test_the_printed_script_restores_from_s3(
    newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, bucket: str
) -> None:
    options = s3_options_for(seaweedfs, bucket, f"by hand/it's {secrets.token_hex(4)}")
    site = sites(newest_postgres, options, track_commit_timestamp="on")
    label, entries, oid = lost_site(site)
    restored = restore_by_hand(
        site, label, oid,
        {
            "AWS_ENDPOINT_URL": seaweedfs.endpoint_url,
            "AWS_ACCESS_KEY_ID": seaweedfs.access_key_id,
            "AWS_SECRET_ACCESS_KEY": seaweedfs.secret_access_key,
        },
    )  # fmt: skip
    check_restored(site, restored, entries)


def test_the_printed_script_restores_from_a_directory_and_notices_damage(
    oldest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    store = tmp_path / "an old\tman's $HOME disk"
    store.mkdir()
    site = sites(oldest_postgres, DirectoryOptions(str(store)), track_commit_timestamp="on")
    label, entries, oid = lost_site(site)
    restored = restore_by_hand(site, label, oid, {})
    check_restored(site, restored, entries)

    # The same with a backup whose archive is damaged: no server is started. One of another size has no script.
    archive = site.repository_dir / "backups" / label / "base.tar.zst"
    half = archive.stat().st_size // 2
    archive.write_bytes(archive.read_bytes()[:half] + bytes(archive.stat().st_size - half))
    for place in (restored.data_dir, site.root / "another space", site.root / "bin"):
        shutil.rmtree(place)
    with pytest.raises(AssertionError, match="Unexpected EOF"):
        restore_by_hand(site, label, oid, {})
    assert not (restored.data_dir / "postmaster.pid").exists()


@needs_age
def test_the_printed_script_opens_what_is_sealed(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> None:
    store = tmp_path / "an old\tman's $HOME disk"
    store.mkdir()
    key = make_key(tmp_path / "a man's identity")
    spool = tmp_path / "spool"
    spool.mkdir()
    site = sites(
        newest_postgres, DirectoryOptions(str(store)), track_commit_timestamp="on", summarize_wal="on",
        options={"seal": {"recipients": [key.recipient]}, "spool_dir": str(spool)},
    )  # fmt: skip
    label, entries, oid = lost_site(site, "incremental")
    restored = restore_by_hand(site, label, oid, {"IDENTITY": str(key.file)}, "age")
    check_restored(site, restored, entries)


def test_the_printed_script_puts_a_chain_together(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> None:
    store = tmp_path / "an old\tman's $HOME disk"
    store.mkdir()
    site = sites(newest_postgres, DirectoryOptions(str(store)), track_commit_timestamp="on", summarize_wal="on")
    label, entries, oid = lost_site(site, "incremental", "differential", "incremental")
    assert site.lifeboat("show", label).data["chain"][-1] == label
    restored = restore_by_hand(site, label, oid, {})
    assert not Path(f"{restored.data_dir}.links").exists()
    check_restored(site, restored, entries)
