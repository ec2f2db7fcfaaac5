# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat thaw``: a bucket whose lifecycle rule has moved objects to an archive class.

The server is moto's, in this process: no store that can be run here has archive classes.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Any, Callable, Dict, Iterator

import pytest
from lifeboat.config.load import S3Options
from moto.moto_api import state_manager
from moto.server import ThreadedMotoServer
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, restore_arguments
from support.processes import until
from support.stores import client_of

pytestmark = pytest.mark.integration

_RESTORE = "s3::keyrestore"


@pytest.fixture
def archive() -> Iterator[S3Options]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    options = S3Options(
        bucket=f"cold-{token_hex(6)}",
        prefix="shop",
        endpoint_url=f"http://{host}:{port}",
        access_key_id="a",
        secret_access_key="b",
    )
    client_of(options, "s3").create_bucket(Bucket=options.bucket)
    # The first look at an object after the request shows it as requested.
    state_manager.set_transition(_RESTORE, {"progression": "manual", "times": 1})
    yield options
    state_manager.unset_transition(_RESTORE)
    server.stop()


def minutes_later() -> None:
    state_manager.set_transition(_RESTORE, {"progression": "manual", "times": 10**6})


def hours_later() -> None:
    state_manager.set_transition(_RESTORE, {"progression": "immediate"})


def freeze(options: S3Options, chosen: Callable[[Dict[str, Any]], bool], storage_class: str = "GLACIER") -> int:
    """As a lifecycle rule does it; the number of objects."""
    client = client_of(options, "s3")
    found = [item for item in client.list_objects_v2(Bucket=options.bucket)["Contents"] if chosen(item)]
    for item in found:
        source = {"Bucket": options.bucket, "Key": item["Key"]}
        client.copy_object(Bucket=options.bucket, Key=item["Key"], CopySource=source, StorageClass=storage_class)
    return len(found)


@pytest.fixture
def site(sites: Sites, newest_postgres: Installation, archive: S3Options) -> Site:
    return sites(newest_postgres, archive, segment_mb=1, track_commit_timestamp="on")


def test_a_restore_from_an_archive_class(site: Site, archive: S3Options) -> None:
    older = site.backup()["label"]
    ledger = Ledger(site.cluster)
    label = site.backup()["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    clone = site.clone("clone")
    frozen = freeze(archive, lambda item: item["Key"].endswith(".zst"))
    told = site.lifeboat(*restore_arguments(clone), status=None)
    assert told.error["error_code"] == "object_frozen" and "lifeboat thaw --plan" in told.error["hint"]

    planned = site.lifeboat("thaw", "--plan", status=2).data
    assert planned["labels"] == [label] and planned["hours"] == 5 and planned["dollars"] >= 0
    assert 0 < planned["frozen"] < frozen and planned["frozen"] < planned["objects"]
    assert (planned["ongoing"], planned["requested"]) == (0, 0)
    assert site.lifeboat("thaw", "--plan", status=2).data == planned
    begun = site.lifeboat("thaw", "--tier", "bulk", status=2).data
    assert (begun["requested"], begun["frozen"], begun["ongoing"]) == (planned["frozen"], 0, planned["frozen"])
    minutes_later()
    again = site.lifeboat("thaw", status=2).data
    assert (again["requested"], again["ongoing"]) == (0, planned["frozen"])
    assert site.lifeboat(*restore_arguments(clone), status=None).error["error_code"] == "object_frozen"

    hours_later()
    done = site.lifeboat("thaw").data
    assert done["readable"] and done["readable_until"] and done["requested"] == 0
    site.lifeboat(*restore_arguments(clone))
    assert rows(clone) == expected(ledger.entries)
    # The other backup was not paid for.
    assert site.lifeboat("thaw", older, "--plan", status=2).data["frozen"] > 0
    assert [e["what"] for e in site.lifeboat("audit", "list").data["events"] if e["what"] == "thaw"] == ["thaw"]


def test_a_restore_thaws_what_it_reads_and_waits(site: Site, archive: S3Options) -> None:
    older, label = (site.backup()["label"] for _ in range(2))
    ledger = Ledger(site.cluster)
    ledger.write(3)
    site.cluster.switch_wal()
    clone = site.clone("clone")
    freeze(archive, lambda item: item["Key"].endswith(".zst"))
    words = restore_arguments(clone, "--thaw", "bulk")
    planned = site.lifeboat(*words, "--plan").data["thaw"]
    assert planned["frozen"] > 0 and planned["hours"] == 12 and not planned["readable"]
    assert site.lifeboat("thaw", "--plan", status=2).data["ongoing"] == 0
    with ThreadPoolExecutor(1) as pool:
        restore = pool.submit(site.lifeboat, *words)
        until(lambda: "thaw" in {e["what"] for e in site.lifeboat("audit", "list").data["events"]}, "the request")
        minutes_later()
        assert site.lifeboat("thaw", "--plan", status=2).data["ongoing"] == planned["frozen"]
        assert not restore.done()
        hours_later()
        told = restore.result()
    assert told.data["thaw"]["readable"]
    assert rows(clone) == expected(ledger.entries)
    assert site.lifeboat("thaw", older, "--plan", status=2).data["frozen"] > 0
    assert site.lifeboat("thaw", label, "--plan").data["readable"]


def test_frozen_records_come_first(site: Site, archive: S3Options) -> None:
    label = site.backup()["label"]
    freeze(archive, lambda item: True, "DEEP_ARCHIVE")
    assert site.lifeboat("thaw", "--tier", "expedited", "--plan", status=1).error["error_code"] == "config_invalid"
    told = site.lifeboat("thaw", status=2).data
    assert told["labels"] == [] and told["requested"] > 0 and told["hours"] == 12
    hours_later()
    told = site.lifeboat("thaw").data
    assert told["labels"] == [label] and told["requested"] > 0


def test_nothing_is_frozen(site: Site) -> None:
    label = site.backup()["label"]
    told = site.lifeboat("thaw").data
    assert told["labels"] == [label] and told["readable"] and told["readable_until"] is None


def test_other_stores_have_no_archive_class(sites: Sites, newest_postgres: Installation) -> None:
    site = sites(newest_postgres)
    error = site.lifeboat("thaw", status=1).error
    assert error["error_code"] == "config_invalid" and "No repository" in error["message"]
    assert "'far'" in site.lifeboat("thaw", "--repository", "far", status=1).error["message"]
    assert "0" in site.lifeboat("thaw", "--days", "0", status=1).error["message"]
