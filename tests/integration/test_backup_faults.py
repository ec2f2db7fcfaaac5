# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Base backups with failing stores; killed, interrupted and concurrent backups."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any, Iterator, List, Tuple

import pytest
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from seaweedfs import SeaweedFS
from support import faultproxy
from support.backups import CANARY, labels, recorded, refused, s3
from support.choice import represented
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.postgres import Site, Sites, entry
from support.processes import until

pytestmark = pytest.mark.integration


# --- stores that fail -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cloud(newest_postgres: Installation, module_sites: Sites, seaweedfs: SeaweedFS, bucket: str) -> Site:
    """A cluster with about 12 MB of noise and a small tablespace, archiving into S3."""
    site = module_sites(newest_postgres, s3(seaweedfs, bucket), name="cloud", segment_mb=16)
    space = site.root / "space"
    space.mkdir()
    site.cluster.execute(
        f"CREATE TABLESPACE apart LOCATION '{space}'",
        "CREATE TABLE small TABLESPACE apart AS SELECT 1 AS n",
        "CREATE TABLE noise (b bytea)",
        "ALTER TABLE noise ALTER b SET STORAGE EXTERNAL",
        "INSERT INTO noise SELECT string_agg(decode(md5(random()::text || i || j), 'hex'), '')"
        " FROM generate_series(1, 1500) i, generate_series(1, 512) j GROUP BY i",
    )
    return site


def cloud_options(site: Site) -> S3Options:
    store = site.config.repositories[0].store
    assert isinstance(store, S3Options)
    return store


methods = pytest.mark.parametrize("method", ["stream", "parallel"])


def with_store(site: Site, path: Path, options: S3Options, **backup: Any) -> Path:
    return site.write(path, repositories=[entry(0, options)], backup={"wal_timeout": 120, **backup})


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"secret_access_key": CANARY}, "store_access_denied", "lifeboat-tests"),
        ({"bucket": "no-such-bucket"}, "bucket_missing", "no-such-bucket"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "store_unavailable", "127.0.0.1:9"),
    ],
    ids=["wrong keys", "no bucket", "dead endpoint"],
)
def test_a_store_that_cannot_be_used_is_named(cloud: Site, tmp_path: Path, change: Any, code: str, says: str) -> None:
    options = replace(cloud_options(cloud), connect_timeout=1, read_timeout=2, max_attempts=1, **change)
    refused(cloud, code, says, config_file=with_store(cloud, tmp_path / "x.yml", options))


@methods
@represented(method="parallel")
def test_a_store_that_stops_answering_ends_the_backup_without_a_manifest(
    cloud: Site, tmp_path: Path, fault_proxy: FaultProxy, method: str
) -> None:
    options = replace(
        cloud_options(cloud), endpoint_url=fault_proxy.endpoint_url, connect_timeout=1, read_timeout=1, max_attempts=2
    )
    known = recorded(cloud)
    fault_proxy.inject(Fault(faultproxy.HANG, times=99, method="PUT", target="base.tar.zst"))
    config = with_store(cloud, tmp_path / "x.yml", options, method=method)
    refused(cloud, "store_unavailable", "base.tar.zst", config_file=config)
    assert fault_proxy.count("PUT", "base.tar.zst") >= 2
    assert recorded(cloud) == known
    assert not uploads(cloud)  # what failed was also dropped


@methods
@represented(method="stream")
def test_a_store_that_is_busy_for_a_while_gets_the_backup(
    cloud: Site, tmp_path: Path, fault_proxy: FaultProxy, method: str
) -> None:
    options = replace(cloud_options(cloud), endpoint_url=fault_proxy.endpoint_url, max_attempts=5)
    for target in ("base.tar.zst", "backup_manifest", "manifest.json"):
        fault_proxy.inject(Fault(faultproxy.STATUS, times=2, method="PUT", target=target))
    config = with_store(cloud, tmp_path / "x.yml", options, method=method)
    made = cloud.lifeboat("backup", config_file=config).data["backup"]
    assert fault_proxy.unused == 0
    assert made["label"] in recorded(cloud)
    assert cloud.lifeboat("verify", made["label"]).data["intact"]


def uploads(site: Site) -> List[str]:
    """The keys of unfinished multipart uploads below the site's prefix."""
    import boto3

    options = cloud_options(site)
    client = boto3.client(
        "s3", endpoint_url=options.endpoint_url, aws_access_key_id=options.access_key_id,
        aws_secret_access_key=options.secret_access_key, region_name="us-east-1",
    )  # fmt: skip
    found = client.list_multipart_uploads(Bucket=options.bucket).get("Uploads", [])
    return [u["Key"] for u in found if u["Key"].startswith(options.prefix)]


# --- a backup that is ended, and one beside it ------------------------------------------------------------------


@contextlib.contextmanager
def slow_backup(site: Site, path: Path, method: str = "stream") -> Iterator[Tuple[subprocess.Popen[str], str]]:
    """A backup uploading its first part while its tablespace is stored; and the key of an upload."""
    earlier = set(uploads(site))
    config = with_store(site, path, cloud_options(site), max_rate_kb=1500, method=method)
    process = subprocess.Popen(
        [site.command, "--config", config, "--json", "backup"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: set(uploads(site)) - earlier or process.poll() is not None, "the upload to begin")
        assert process.poll() is None, process.communicate()
        yield process, min(set(uploads(site)) - earlier)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def locks(site: Site) -> int:
    return int(site.cluster.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))


def copying(site: Site) -> int:
    """WAL senders, and sessions in backup mode."""
    return int(
        site.cluster.value(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'walsender' OR (query LIKE %s AND pid <> pg_backend_pid())",
            "%pg_backup_s%",
        )
    )


@methods
@represented(method="parallel")
def test_a_killed_backup_never_existed_and_the_next_one_works(cloud: Site, tmp_path: Path, method: str) -> None:
    cloud.backup()
    known = labels(cloud)
    unfinished = set(cloud.lifeboat("list").data["unfinished"])
    with slow_backup(cloud, tmp_path / "slow.yml", method) as (process, _):
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert labels(cloud) == known
    (killed,) = set(cloud.lifeboat("list").data["unfinished"]) - unfinished
    assert "never finished" in cloud.lifeboat("show", killed, status=1).error["message"]
    until(lambda: not locks(cloud), "the lock to go")
    made = cloud.backup()
    assert labels(cloud) == [*known, made["label"]]
    assert cloud.lifeboat("verify", made["label"]).data["intact"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@methods
@represented(number=signal.SIGTERM, method="stream")
def test_a_backup_that_is_asked_to_end_leaves_nothing_half_done(
    cloud: Site, tmp_path: Path, number: signal.Signals, method: str
) -> None:
    known = recorded(cloud)
    with slow_backup(cloud, tmp_path / "slow.yml", method) as (process, key):
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    until(lambda: not locks(cloud) and not copying(cloud), "the server to forget the backup")
    assert recorded(cloud) == known
    store = open_store(cloud_options(cloud))
    assert key.endswith("base.tar.zst")
    assert store.head(key[len(cloud_options(cloud).prefix) + 1 :]) is None
    assert key not in uploads(cloud)


def test_two_backups_at_once_is_one_too_many(cloud: Site, tmp_path: Path) -> None:
    with slow_backup(cloud, tmp_path / "slow.yml") as (process, _):
        process.send_signal(signal.SIGSTOP)  # it cannot finish meanwhile, however slow this machine is
        pid = cloud.cluster.value("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        error = refused(cloud, "backup_running", "cluster main", f"server process {pid}", "a local socket")
        assert "pg_terminate_backend" in error["hint"]
        process.send_signal(signal.SIGCONT)
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 0
    assert json.loads(out)["backup"]["label"] in labels(cloud)
    assert cloud.lifeboat("backup").data["changed"]
