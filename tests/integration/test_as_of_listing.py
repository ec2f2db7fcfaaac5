# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The past of a bucket is listed completely, over many pages; a different past is a different restore."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from lifeboat.store.s3.client import checksum_params, connect
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Sites, restore_arguments

pytestmark = pytest.mark.integration
# More than one answer to ListObjectVersions tells.
MANY = 1100


def test_a_key_that_begins_like_a_directory_is_listed_too(versioned: S3Options) -> None:
    live = open_store(versioned)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: live.put(f"wal/2/{n // 256:02d}/{n % 256:03d}", b"x"), range(MANY)))
    live.put("wal/2.history", b"x")
    moment = datetime.now(timezone.utc) + timedelta(seconds=2)
    past = open_store(versioned, moment)
    assert list(past.list_names("wal/")) == ["2.history", "2/"]
    assert sorted(i.key for i in past.list("wal/")) == sorted(i.key for i in live.list("wal/"))
    assert len(list(past.list("wal/", start_after="wal/2/00/255"))) == MANY - 256
    live.close()
    past.close()


def test_many_versions_of_one_key_are_compared_together(versioned: S3Options) -> None:
    live, past = open_store(versioned), open_store(versioned, datetime.now(timezone.utc) + timedelta(hours=1))
    live.put("a/b", b"first")
    intruder, key = connect(versioned), f"{versioned.prefix}/a/b"
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: intruder.call("put_object", key, Body=b"no", **checksum_params(b"no")), range(MANY)))
    intruder.call("put_object", key, Body=b"the last", **checksum_params(b"the last"))
    assert past.get("a/b") == b"the last"
    for store in (live, past, intruder):
        store.close()


def test_another_past_is_another_restore(newest_postgres: Installation, sites: Sites, versioned: S3Options) -> None:
    site = sites(newest_postgres, versioned, segment_mb=1, track_commit_timestamp="on")
    ledger = Ledger(site.cluster)
    site.backup()
    ledger.write(2)
    site.cluster.switch_wal()
    site.cluster.stop()
    moment = datetime.now(timezone.utc) + timedelta(seconds=2)
    clone = site.clone("clone")
    words = restore_arguments(clone, "--request-id", "INC-1")
    site.lifeboat("--as-of", moment.isoformat(), *words)
    assert rows(clone) == expected(ledger.entries)
    assert site.lifeboat("--as-of", moment.isoformat(), *words, "--plan").data["satisfied"]
    other = (moment + timedelta(seconds=1)).isoformat()
    error = site.lifeboat("--as-of", other, *words, "--plan", status=1).error
    assert (error["error_code"], error["details"]["differing"]) == ("config_invalid", ["as_of"])
