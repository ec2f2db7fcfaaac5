# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of a repository, and recovery targets as people write them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import List, Optional
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import ConfigError, ObjectCorrupt, RecordTooNew
from lifeboat.records.fields import LABEL
from lifeboat.records.model import (
    ArchiveFile,
    BackupManifest,
    Tablespace,
    Target,
    dump_manifest,
    format_time,
    load_manifest,
    open_record,
    parse_time,
    read_moment,
    seal_record,
)
from lifeboat.repository.layout import archive_name, sealed_name
from support.records import a_backup

KEY = "main/backups/20261122T020000Z-full/manifest.json"
zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
moments = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)  # noqa: DTZ001
texts = st.text(st.characters(exclude_categories=["Cs"]))
words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]))
digests = st.text("0123456789abcdef", min_size=64, max_size=64)

# --- records ----------------------------------------------------------------------------------------------------


@st.composite
def manifests(draw: st.DrawFn) -> BackupManifest:
    sealed, compression = draw(st.booleans()), draw(st.sampled_from(["zstd", "lz4", "none"]))
    oids = draw(st.lists(st.integers(1, 2**32 - 1).map(str), unique=True, max_size=4))
    sizes = st.integers(0, 2**60)
    files = [
        ArchiveFile(sealed_name(archive_name(oid, compression), sealed), draw(sizes), draw(digests), oid)
        for oid in (None, *oids)
    ]
    size = draw(st.integers(0, 2**32))
    files.append(ArchiveFile(sealed_name("backup_manifest", sealed), size, draw(digests), None, draw(digests)))
    return replace(
        a_backup(),
        started_at=draw(moments).astimezone(timezone.utc),
        finished_at=draw(moments).astimezone(timezone.utc),
        start_lsn=draw(st.integers(0, 2**64 - 1)),
        stop_lsn=draw(st.integers(0, 2**64 - 1)),
        timeline=draw(st.integers(1, 2**32 - 1)),
        segment_size=2 ** draw(st.integers(20, 30)),
        files=tuple(draw(st.permutations(files))),
        tablespaces=tuple(Tablespace(oid, draw(words), f"/{draw(words)}", draw(sizes)) for oid in oids),
        parent=draw(st.none() | st.from_regex(LABEL, fullmatch=True)),
        from_standby=draw(st.booleans()),
        requirements=draw(st.dictionaries(texts, st.none() | texts | st.integers() | st.dictionaries(texts, texts))),
        timings=draw(st.dictionaries(words, st.floats(0, 1e9))),
    )


@given(manifests())
def test_a_manifest_survives_its_bytes(manifest: BackupManifest) -> None:
    assert load_manifest(dump_manifest(manifest), KEY) == manifest


def test_a_manifest_as_others_read_it() -> None:
    data = json.loads(dump_manifest(a_backup(tablespaces=(Tablespace("16385", "ts", "/a b", 7),))))
    assert (data["format"], data["start_lsn"], data["finished_at"]) == (1, "0/2000028", "2026-11-22T02:00:10Z")
    space = {"oid": "16385", "name": "ts", "location": "/a b", "size": 7, "restored_size": 0}
    assert data["tablespaces"] == [space]
    assert (data["type"], data["parent"], data["restored_size"]) == ("full", None, 0)
    file = {"name": "base.tar.zst", "size": 1000, "sha256": "a" * 64, "tablespace": None, "content_sha256": None}
    assert data["files"][0] == file
    assert data["recipients"] == []


def test_every_flipped_bit_is_noticed() -> None:
    raw = dump_manifest(a_backup(timings={"stream": 1.5}, requirements={"extensions": {"pg_stat": "1.10"}}))
    for index in range(len(raw)):
        for bit in range(8):
            flipped = bytearray(raw)
            flipped[index] ^= 1 << bit
            with pytest.raises(ObjectCorrupt, match=r"manifest\.json"):
                load_manifest(bytes(flipped), KEY)


@given(st.data())
def test_a_replaced_byte_is_noticed_or_means_the_same(data: st.DataObject) -> None:
    raw = dump_manifest(a_backup(requirements={"é": 1e-9}))
    index, value = data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(0, 255))
    damaged = raw[:index] + bytes([value]) + raw[index + 1 :]
    try:
        assert load_manifest(damaged, KEY) == load_manifest(raw, KEY)
    except ObjectCorrupt as exc:
        assert KEY in exc.message


@given(st.integers(0, 1000))
def test_a_cut_record_is_noticed(length: int) -> None:
    raw = dump_manifest(a_backup())
    with pytest.raises(ObjectCorrupt, match="not readable"):
        load_manifest(raw[: min(length, len(raw) - 3)], KEY)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"7", b'"x"', b"{}", b'{"sha256": 1}', b"\xff\xfe", b"{" * 50])
def test_what_is_no_record(raw: bytes) -> None:
    with pytest.raises(ObjectCorrupt, match="a/key"):
        open_record(raw, "a/key")


def test_a_newer_format_is_refused_by_number() -> None:
    with pytest.raises(RecordTooNew, match=r"by a newer Lifeboat, in format 3; .* reads format 2") as told:
        open_record(seal_record({"format": 3}), "a/key")
    assert told.value.hint.startswith("Upgrade Lifeboat here.")
    with pytest.raises(RecordTooNew, match=r"by Lifeboat 9\.1\\x1b\[2J, in") as told:
        open_record(seal_record({"format": 3, "lifeboat_version": "9.1\x1b[2J"}), "a/key")
    # Damage comes first, and what is no number of a format is damage.
    for record in (seal_record({"format": 3}).replace(b'"format": 3', b'"format": 4'), seal_record({"format": True})):
        with pytest.raises(ObjectCorrupt) as damaged:
            open_record(record, "a/key")
        assert not isinstance(damaged.value, RecordTooNew)


@pytest.mark.parametrize(
    ("names", "good"),
    [
        (["base.00001.tar.zst", "base.00002.tar.zst"], True),
        (["base.00001.tar.zst"], True),
        (["base.00002.tar.zst"], False),
        (["base.00001.tar.zst", "base.00003.tar.zst"], False),
        (["base.00001.tar.zst", "base.00001.tar.lz4"], False),
        (["base.tar.zst", "base.00001.tar.zst"], False),
        (["base.00000.tar.zst"], False),
        (["base.1.tar.zst"], False),
        (["base.00001.tar.zst", "base.00002.tar"], False),
        (["base.00001.tar.zst", "base.00002.tar.zst.age"], False),
    ],
)
def test_volumes_are_numbered_from_1_on(names: List[str], good: bool) -> None:
    files = [ArchiveFile(name, 1, "0" * 64) for name in (*names, "backup_manifest")]
    manifest = replace(a_backup(), files=tuple(files), tablespaces=())
    if good:
        assert load_manifest(dump_manifest(manifest), KEY) == manifest
        assert json.loads(dump_manifest(manifest))["format"] == 2
    else:
        with pytest.raises(ObjectCorrupt):
            load_manifest(dump_manifest(manifest), KEY)


@pytest.mark.parametrize(
    "change",
    [{"label": None, "surplus": 1}, {"start_lsn": "x"}, {"finished_at": "yesterday"}, {"files": [{"name": 1}]}],
)
def test_a_sealed_manifest_with_a_wrong_field(change: dict[str, object]) -> None:
    with pytest.raises(ObjectCorrupt, match="has a missing or invalid field"):
        load_manifest(seal_record({**a_backup().as_dict(), **change}), KEY)


@given(moments)
def test_times_are_written_in_utc(value: datetime) -> None:
    assert format_time(value).endswith("Z")
    assert parse_time(format_time(value)) == value


# --- targets ----------------------------------------------------------------------------------------------------


@given(
    moments, st.sampled_from([" ", "T"]), st.integers(0, 9), st.sampled_from([".", ","]), st.integers(0, 5), st.data()
)
def test_a_time_is_read_in_every_spelling(
    value: datetime, separator: str, digits: int, point: str, style: int, data: st.DataObject
) -> None:
    utc = data.draw(st.booleans())
    value = value.astimezone(timezone.utc) if utc else value
    fraction = f"{value.microsecond:06d}000"[:digits]
    expected = value.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    offset = value.strftime("%z")
    spellings = [offset, f"{offset[:3]}:{offset[3:]}", f" {offset}"]
    spellings += [offset[:3]] if offset.endswith("00") else []
    spellings += ["Z", "z", " UTC"] if utc else []
    text = f"{value:%Y-%m-%d}{separator}{value:%H:%M:%S}" + (f"{point}{fraction}" if digits else "")
    assert read_moment(text + spellings[style % len(spellings)]) == expected
    assert read_moment(f"  {text} ") == expected.replace(tzinfo=None)


def test_a_day_or_a_minute_is_enough() -> None:
    assert read_moment("2026-11-22") == datetime(2026, 11, 22)  # noqa: DTZ001
    assert read_moment("2026-11-22 14:02Z") == datetime(2026, 11, 22, 14, 2, tzinfo=timezone.utc)


WRONG_TIMES = [
    "",
    "now",
    "yesterday",
    "14:02",
    "2026-13-01",
    "2026-02-29",
    "2026-11-22 24:01",
    "2026-11-22 14",
    "2026-11-22 14:02 CEST",
    "22.11.2026",
    "2026-11-22 14:02:00 PM",
    "2026-11-22T14:02:00+25:00",
    "1763820120",
    "２０26-11-22",
]


@pytest.mark.parametrize("value", WRONG_TIMES)
def test_what_is_no_time(value: str) -> None:
    with pytest.raises(ConfigError, match="is not a time") as caught:
        Target("time", value)
    assert repr(value) in caught.value.message
    assert "2026-11-22 14:02:00+00" in caught.value.hint


def test_a_time_without_a_zone_is_the_servers() -> None:
    target = Target("time", "2026-07-01 12:00")
    assert target.moment() == datetime(2026, 7, 1, 12, tzinfo=timezone.utc)
    assert target.resolved(ZoneInfo("Europe/Paris")).value == "2026-07-01T10:00:00Z"
    assert Target("time", "2026-07-01 12:00+05").resolved(ZoneInfo("Europe/Paris")).value == "2026-07-01T07:00:00Z"


@pytest.mark.parametrize(
    ("kind", "value", "timeline", "says"),
    [
        ("later", None, "latest", "Unknown recovery target 'later'"),
        ("time", None, "latest", "'time' needs value"),
        ("name", None, "latest", "'name' needs value"),
        ("latest", "x", "latest", "'latest' takes no value"),
        ("immediate", "x", "latest", "'immediate' takes no value"),
        ("lsn", "3000028", "latest", "'3000028' is not an LSN"),
        ("xid", "0/3", "latest", "'0/3' is not a transaction id"),
        ("xid", "-1", "latest", "'-1' is not a transaction id"),
        ("xid", "1_000", "latest", "'1_000' is not a transaction id"),
        ("xid", "٣", "latest", "'٣' is not a transaction id"),
        ("latest", None, "newest", "timeline is 'newest'"),
        ("latest", None, "-1", "timeline is '-1'"),
        ("latest", None, "²", "timeline is '²'"),
        ("latest", None, "", "timeline is ''"),
    ],
)
def test_a_wrong_target_is_named(kind: str, value: Optional[str], timeline: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Target(kind, value, timeline=timeline)
    assert says in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (Target(), "latest"),
        (Target("immediate", inclusive=False), "immediate"),
        (Target("name", "before deploy", inclusive=False), "name before deploy"),
        (Target("xid", "742", inclusive=False), "xid 742 (exclusive)"),
        (Target("lsn", "0/3000028", timeline="2"), "lsn 0/3000028"),
    ],
)
def test_a_target_in_words(target: Target, words: str) -> None:
    assert target.describe() == words
