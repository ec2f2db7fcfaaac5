# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``wal-fetch`` as PostgreSQL calls it: files, missing files, doubt; and a server whose store is down for a while."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import Callable, Dict

import pytest
import zstandard
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.repository.repository import Repository
from lifeboat.wal.inventory import archived
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.postgres import Sites
from support.processes import free_port, until
from support.yard import CANARY, MIB, Yard, quick

pytestmark = pytest.mark.integration


# --- wal-fetch --------------------------------------------------------------------------------------------------


def test_a_confirmed_missing_file_is_status_1(yard: Yard, s3_options: S3Options) -> None:
    for store in (yard.directory(), s3_options):
        config = yard.config(store)
        yard.push(config)
        for name in (yard.names[2], "00000009.history", f"{yard.names[0]}.partial", "RECOVERYXLOG"):
            ran = yard.fetch(config, name, status=1)
            assert ran.data == {"name": name, "found": False}
            assert not (yard.work / "fetched").exists()


Break = Callable[[S3Options], S3Options]


def closed_port(options: S3Options) -> S3Options:
    return replace(options, endpoint_url=f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("breaks", "code", "says"),
    [
        (closed_port, "store_unavailable", "127.0.0.1"),
        (lambda o: replace(o, bucket="no-such-bucket"), "bucket_missing", "no-such-bucket"),
        (lambda o: replace(o, secret_access_key=CANARY), "store_access_denied", "lifeboat-tests"),
        (lambda o: replace(o, prefix="elsewhere"), "repository_foreign", "elsewhere/main"),
    ],
    ids=["dead endpoint", "no bucket", "wrong keys", "wrong prefix"],
)
def test_a_doubt_is_never_the_end_of_wal(
    yard: Yard, s3_options: S3Options, breaks: Break, code: str, says: str
) -> None:
    yard.push(yard.config(s3_options))
    ran = yard.fetch(yard.config(breaks(quick(s3_options))), status=254)
    assert ran.error["error_code"] == code
    assert says in ran.error["message"]
    assert CANARY not in ran.stdout + ran.stderr
    assert not (yard.work / "fetched").exists()


def test_a_store_that_hangs_is_a_doubt_too(yard: Yard) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        options = S3Options(
            "b", endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}", access_key_id="a", secret_access_key="s"
        )
        error = yard.fetch(yard.config(quick(options, read_timeout=0.5)), status=254).error
    assert error["error_code"] == "store_unavailable"
    assert str(options.endpoint_url) in error["message"]


def test_a_store_that_is_busy_for_a_while_is_retried(
    yard: Yard, s3_options: S3Options, fault_proxy: FaultProxy
) -> None:
    proxied = quick(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=5, max_attempts=3)
    config = yard.config(proxied)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=1, method="PUT"))
    yard.push(config)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=1, method="GET"))
    yard.fetch(config)
    assert yard.fetched == yard.content()
    assert fault_proxy.unused == 0


def damaged_objects(yard: Yard, good: bytes) -> Dict[str, bytes]:
    other = zstandard.ZstdCompressor(write_checksum=True).compress(yard.content(1))
    return {
        "empty": b"",
        "cut": good[:-1],
        "cut in half": good[: len(good) // 2],
        "flipped": good[:-20] + bytes([good[-20] ^ 1]) + good[-19:],
        "not compressed": yard.content(),
        "another segment": other,
        "more behind it": good + b"\0",
    }


def test_a_damaged_object_is_a_doubt_that_names_it(yard: Yard) -> None:
    store = yard.directory()
    config = yard.config(store)
    yard.push(config)
    stored = yard.stored(store)
    for case, content in damaged_objects(yard, stored.read_bytes()).items():
        stored.write_bytes(content)
        error = yard.fetch(config, status=254).error
        assert error["error_code"] in ("object_corrupt", "wal_invalid"), case
        assert yard.names[0] in error["message"], case
    history = yard.stored(store, "00000002.history")
    for content in (b"", b"\0\0\0\0", b"rubbish\n"):
        history.write_bytes(content)
        assert "00000002.history" in yard.fetch(config, "00000002.history", status=254).error["message"]
    assert not (yard.work / "fetched").exists()


def test_the_second_repository_serves_what_the_first_cannot(yard: Yard, s3_options: S3Options) -> None:
    first, second = yard.directory("first"), s3_options
    both = yard.config(first, second)
    yard.push(both)
    yard.stored(first).write_bytes(b"damaged")
    assert yard.fetch(both).data["repository"] == "repo1"
    yard.stored(first).unlink()
    assert yard.fetch(both).data["repository"] == "repo1"
    unmounted = DirectoryOptions(str(yard.work / "unmounted"))
    for down in (unmounted, closed_port(quick(s3_options)), replace(s3_options, secret_access_key=CANARY)):
        assert yard.fetch(yard.config(down, second)).data["repository"] == "repo1"
        assert yard.fetched == yard.content()
    # The other confirms that it is missing; the one that is down might have it.
    assert yard.fetch(yard.config(unmounted, second), yard.names[2], status=254).error["error_code"] == "bucket_missing"


def test_nowhere_to_put_it(yard: Yard) -> None:
    config = yard.config(yard.directory())
    yard.push(config)
    error = yard.fetch(config, status=254, to="no/such/directory/f").error
    assert (error["error_code"], "no/such/directory/f" in error["message"]) == ("wal_invalid", True)


def test_a_missing_configuration_is_no_end_of_wal(yard: Yard) -> None:
    absent = yard.work / "absent.yml"
    yard.site.write(yard.work / "x.yml")
    for status, run in ((254, yard.fetch), (1, yard.push)):
        error = run(absent, status=status).error
        assert (error["error_code"], str(absent) in error["message"]) == ("config_invalid", True)


# --- a server ---------------------------------------------------------------------------------------------------


def test_a_server_whose_store_is_down_for_a_while_loses_nothing(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy
) -> None:
    options = quick(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=5)
    site = sites(newest_postgres, options, segment_mb=1, archive_timeout=0)
    cluster = site.cluster
    first = cluster.switch_wal()
    fault_proxy.inject(Fault(faultproxy.STATUS, times=10**6))
    names = []
    for number in range(3):
        names.append(str(cluster.value("SELECT pg_walfile_name(pg_current_wal_lsn())")))
        cluster.execute(f"CREATE TABLE t{number} AS SELECT generate_series(1, 1000)", "SELECT pg_switch_wal()")
    until(lambda: cluster.value("SELECT failed_count FROM pg_stat_archiver") >= 1, "a failure to be counted")
    assert cluster.value("SELECT last_archived_wal FROM pg_stat_archiver") == first
    assert "error_code" in cluster.log.read_text() or "store_unavailable" in cluster.log.read_text()
    fault_proxy.clear()
    last = cluster.switch_wal()
    repository = Repository.open(replace(site.config.repositories[0], store=s3_options), "main")
    found = sorted(s.name for s in archived(repository, cluster.system_identifier, [1], 0, MIB))
    assert found[0] <= first
    assert found[-1] == last
    assert set(names) <= set(found)
    numbers = [int(name[8:16], 16) * 4096 + int(name[16:], 16) for name in found]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
