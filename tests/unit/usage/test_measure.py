# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The sums of a listing; summing many objects takes no memory, and one request per page."""

from __future__ import annotations

import tracemalloc
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Iterator, List, Tuple
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import StoreError
from lifeboat.base.wal_names import Segment
from lifeboat.config.load import DirectoryOptions, RepositoryConfig, S3Options, parse_repository
from lifeboat.repository import kinds
from lifeboat.repository.layout import Layout
from lifeboat.repository.repository import Repository
from lifeboat.store.protocol import ObjectInfo
from lifeboat.store.unopened import UnopenedStore
from lifeboat.usage import Limit, Usage, limit_of, measure
from lifeboat.usage.limit import quota_limit
from lifeboat.usage.measure import DAYS, KINDS, TYPES, group_of, tally
from support.choice import only_all
from support.pages import Pages
from support.records import SYSTEM, moment

LAYOUT = Layout("main")
NOW = moment(86400 * 5)
SIZE = 16 * 1024 * 1024
LABELS = {
    "full": "20261122T020000Z-full",
    "differential": "20261123T020000Z-diff",
    "incremental": "20261124T020000Z-incr",
}
KEYS = {
    "core": LAYOUT.repository,
    "backup": LAYOUT.manifest(LABELS["full"]),
    "wal": LAYOUT.wal(SYSTEM, "00000001000000020000000A"),
    "files": LAYOUT.file_set("config", "20261122T020000Z-files", "manifest.json"),
    "log": "main/logs/nginx/20261122/20261122T020000Z000000-20261122T015900Z-db-1-0123456789abcdef.jsonl.zst",
    "audit": LAYOUT.audit_event("db-1.postgres", moment(0), 17),
    "verification": LAYOUT.verification(moment(0), "0a1b2c3d"),
    "report": LAYOUT.restore_test(moment(0), "0a1b2c3d"),
    "lease": LAYOUT.lease("writes", "0123456789ab", "begun"),
    "hold": LAYOUT.hold(LABELS["full"], moment(0), "0a1b2c3d"),
    "erasure": LAYOUT.erasure(moment(0), "0a1b2c3d"),
    "epoch": LAYOUT.epoch(SYSTEM, 1),
    "drill": f"{LAYOUT.drills}20261122T020000Z-server/report.html",
    "incident": LAYOUT.incident_event("20261122T020000Z-db1", 1),
    "diverged": LAYOUT.diverged(SYSTEM, "20261122T020000Z-0a1b2c3d", "diverged.json"),
    "damaged": LAYOUT.damaged(moment(0), "0a1b2c3d", "object"),
    "foreign": "main/notes.txt",
}  # fmt: skip
ALSO = {
    LAYOUT.wal(SYSTEM, "00000002.history"): "wal",
    LAYOUT.wal_digest(SYSTEM, "00000001000000020000000A"): "wal",
    LAYOUT.wal_acknowledged(SYSTEM, "00000001000000020000000A"): "wal",
    LAYOUT.release(LABELS["full"], moment(0), "0a1b2c3d"): "hold",
    LAYOUT.backup(LABELS["incremental"], "16385.tar.zst"): "backup",
}
ARCHIVES = [LAYOUT.backup(label, "base.tar.zst") for label in LABELS.values()]


def test_every_kind_is_counted_with_one_that_is_documented() -> None:
    assert {kind: group_of("main", key) for kind, key in KEYS.items()} == {kind: kind for kind in KEYS}
    assert {key: group_of("main", key) for key in ALSO} == ALSO
    assert set(KEYS) | {"dump"} == set(KINDS)
    # Those of the repository's own documentation, none of which is left out.
    told = kinds.Kind.__doc__ or ""
    words = ("history", "release", *KINDS)
    assert all(f"``{word}``" in told for word in words)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([*KEYS.values(), *ALSO, *ARCHIVES]),
            st.integers(0, 10**12),
            st.integers(-2 * 86400, 50 * 86400),
        ),
        max_size=40,
    )
)
def test_sums(objects: List[Tuple[str, int, int]]) -> None:
    infos = [ObjectInfo(key, size, NOW - timedelta(seconds=ago)) for key, size, ago in objects]
    found = tally(iter(infos), "main", NOW)
    assert (found.objects, found.bytes) == (len(infos), sum(i.size for i in infos))
    assert set(found.kinds) == set(KINDS) and set(found.backups) == set(TYPES)
    for kind, amount in found.kinds.items():
        own = [i for i in infos if group_of("main", i.key) == kind]
        assert (amount.objects, amount.bytes) == (len(own), sum(i.size for i in own))
        assert amount.newest == max((i.modified for i in own), default=None)
    assert sum(a.bytes for a in found.backups.values()) == found.kinds["backup"].bytes
    for name, label in LABELS.items():
        assert found.backups[name].objects == sum(label in i.key for i in infos if group_of("main", i.key) == "backup")
    assert found.oldest == min((i.modified for i in infos), default=None)
    today = NOW.date()
    told = {today - timedelta(days=n) for n in range(DAYS + 1)}
    assert set(found.days) <= told
    for day in told:
        assert found.days.get(day, 0) == sum(i.size for i in infos if i.modified.date() == day)


def test_a_day_is_one_of_utc() -> None:
    zone = timezone(timedelta(hours=14))
    at = datetime(2026, 11, 27, 1, 0, tzinfo=zone)
    assert tally([ObjectInfo(KEYS["wal"], 5, at)], "main", at).days == {date(2026, 11, 26): 5}


def test_today_and_the_thirty_days_before() -> None:
    infos = [ObjectInfo(KEYS["wal"], 4 << (n + 1), NOW - timedelta(days=n)) for n in range(-1, 33)]
    found = tally(infos, "main", NOW)
    assert found.days == {NOW.date() - timedelta(days=n): 4 << (n + 1) for n in range(31)}


def segments(first: int, last: int) -> Iterator[ObjectInfo]:
    for n in range(first, last):
        key = LAYOUT.wal(SYSTEM, Segment(1, n, SIZE).name)
        yield ObjectInfo(key, 1000 + n % 7, NOW - timedelta(minutes=n))


class Listed(UnopenedStore):
    """A store that can only list."""

    def list(self, prefix: str = "", start_after: str = "") -> Iterator[ObjectInfo]:
        assert prefix == "main/"
        return segments(0, 100_000)


@only_all
def test_100_000_objects_take_the_memory_of_a_few() -> None:
    repository = Repository("big", Listed("nowhere", StoreError("not asked", "")), LAYOUT)
    tracemalloc.start()
    try:
        found = measure(repository, NOW)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found.objects, found.kinds["wal"].objects) == (100_000, 100_000)
    assert found.bytes == sum(1000 + n % 7 for n in range(100_000))
    assert found.oldest == NOW - timedelta(minutes=99_999) and len(found.days) == DAYS + 1
    # All of them at once are tens of megabytes.
    assert peak < 1_000_000, peak


def test_a_request_for_each_page_and_no_other() -> None:
    with Pages(lambda number: list(segments(number * 1000, number * 1000 + 1000)), 20) as server:
        options = S3Options(
            bucket="big", endpoint_url=server.url, access_key_id="key", secret_access_key="secret", max_attempts=1
        )
        repository = Repository.open(RepositoryConfig("big", options), "main")
        try:
            found = measure(repository, NOW)
        finally:
            repository.store.close()
    assert found == tally(segments(0, 20_000), "main", NOW)
    asked = [parse_qs(urlsplit(path).query) for path in server.asked]
    assert len(asked) == 20 and all(q["list-type"] == ["2"] and q["prefix"] == ["main/"] for q in asked)


def test_the_limit_is_the_quota_or_the_file_system(tmp_path: Path) -> None:
    found = tally([ObjectInfo(KEYS["wal"], 600, NOW)], "main", NOW)
    directory = RepositoryConfig("near", DirectoryOptions(str(tmp_path)))
    disk = limit_of(directory, found)
    assert disk is not None and disk.source == "file system" and 0 < disk.free <= disk.bytes
    small = limit_of(RepositoryConfig("near", DirectoryOptions(str(tmp_path)), quota_bytes=1000), found)
    assert small == Limit(1000, 400, "quota") and small.used == pytest.approx(60)
    # A quota is no promise that the disk has the room.
    large = limit_of(RepositoryConfig("near", DirectoryOptions(str(tmp_path)), quota_bytes=10**18), found)
    assert large is not None and large.source == "file system"
    bucket = RepositoryConfig("far", S3Options(bucket="b"))
    assert limit_of(bucket, found) is None
    assert quota_limit(500, found) == Limit(500, 0, "quota") and Limit(500, 0).used == 100
    assert parse_repository({"type": "s3", "bucket": "b", "quota_bytes": 5}).quota_bytes == 5
    assert Usage().bytes == 0
