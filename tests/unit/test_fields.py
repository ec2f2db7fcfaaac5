# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""For any JSON with a valid checksum, a reader returns its record, or an error that names the object."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace
from typing import Any, Callable, Dict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifeboat.audit.event import Event, load_event
from lifeboat.base.errors import ErasureFailed, ObjectCorrupt
from lifeboat.fileset.index import as_lines, load_members
from lifeboat.leadership.record import Epoch, read_epoch
from lifeboat.records.fields import MOST_RECORD, read_stored_time
from lifeboat.records.model import ArchiveFile, load_manifest, open_record, seal_record
from lifeboat.records.tablespace import Tablespace
from lifeboat.repository.dumps import load_dump
from lifeboat.repository.erasures import ErasureRequest, load_erasure, make_erasure
from lifeboat.repository.file_sets import load_copy
from support.choice import examples
from support.records import COPY, DUMP, a_backup, moment

ERASURE = make_erasure(ErasureRequest("shop", "public.t", "id", "4711", parameters={"x": "y"}), moment(0), "me@db1")
EVENT = Event(
    "db1.postgres", 2, "a" * 64, moment(0), "prune", "ok", "main", {"user": "postgres", "host": "db1"}, None,
    ("20261122T020000Z-full",), {"audit_removed": {"near": {"db1.postgres": 1}}}, {"db2.postgres": 7},
)  # fmt: skip
BACKUP = a_backup(
    files=(*a_backup().files, ArchiveFile("16385.tar.zst", 5, "c" * 64, "16385")),
    tablespaces=(Tablespace("16385", "fast", "/srv/fast", 10),), timings={"stream": 1.5},
    requirements={"settings": {"TimeZone": "UTC"}, "extensions": {"pgcrypto": "1.3"}},
    contents={"shop": {"bytes": 1, "tables": 2, "largest": {"public.t": 3}, "rows": {"public.t": 4}}},
)  # fmt: skip

EPOCH = Epoch("7412345678901234567", 2, "west", "0123456789abcdef", "failover", 3, 50331688, "a" * 64, moment(0))

READERS: Dict[str, tuple[Callable[[bytes, str], Any], Dict[str, Any]]] = {
    "backup": (load_manifest, BACKUP.as_dict()),
    "copy": (load_copy, COPY.as_dict()),
    "dump": (load_dump, DUMP.as_dict()),
    "erasure": (load_erasure, ERASURE.as_dict()),
    # Its digest is that of the bytes, and no part of the record.
    "epoch": (lambda raw, key: replace(read_epoch(raw, key), digest=None), EPOCH.as_dict()),
    "event": (load_event, EVENT.as_dict()),
}
HOSTILE = [
    None, True, False, 0, -1, 7, 2**31, 2**63, 2**64, 10**60, 1.5, -0.0, 1e308, "", " ", "x", "\0", "\n", "\ud800",
    "../../etc/passwd", "/", ".", "0/0", "FFFFFFFF/FFFFFFFF", "FFFFFFFFF/0", "9999-12-31T23:59:59Z",
    "2026-11-22T02:00:00", "0001-01-01T00:00:00+14:00", "2026-11-22T02:00:00Z", "x" * 100_000, [], {}, [[]], [{}],
    {"": {}}, [None], ["", 1], {"x": None}, {"sha256": "a" * 64},
]  # fmt: skip
values = st.recursive(
    st.sampled_from(HOSTILE) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def paths(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to everything inside."""
    inner = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, (list, tuple)) else ()
    return [at, *(path for key, value in inner for path in paths(value, (*at, key)))]


def changed(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copied = dict(data) if isinstance(data, dict) else list(data)
    copied[path[0]] = changed(copied[path[0]], path[1:], value)
    return copied


def read(load: Callable[[bytes, str], Any], data: Any) -> Any:
    """The reader's result, or None if it refuses it with the error that names the object."""
    raw = seal_record(data) if isinstance(data, dict) else json.dumps(data).encode()
    try:
        return load(raw, "main/some/key")
    except (ObjectCorrupt, ErasureFailed) as exc:
        assert "main/some/key" in exc.message
        exc.message.encode()
        return None


@pytest.mark.parametrize("kind", READERS)
def test_what_a_writer_stores_is_read(kind: str) -> None:
    load, data = READERS[kind]
    record = read(load, data)
    assert record is not None and read(load, record.as_dict()) == record
    # What a newer version adds, and what is no part of the record proper, is passed over.
    assert read(load, {**data, "signature": {"key": "x"}, "later": [1]}) == record


@pytest.mark.parametrize("kind", READERS)
@settings(max_examples=examples(400))
@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused(kind: str, data: st.DataObject) -> None:
    load, good = READERS[kind]
    path = data.draw(st.sampled_from(paths(good)[1:]))
    record = read(load, changed(good, path, data.draw(values)))
    # What was accepted can be stored and shown: no text that is none, no number or time beyond what arithmetic takes.
    if record is not None:
        assert read(load, record.as_dict()) == record
        json.dumps(record.as_dict(), ensure_ascii=False).encode()


@pytest.mark.parametrize("kind", READERS)
@given(data=st.dictionaries(st.sampled_from(sorted({k for _l, d in READERS.values() for k in d})), values))
def test_any_object_is_read_or_refused(kind: str, data: Dict[str, Any]) -> None:
    read(READERS[kind][0], {"format": 1, **data})


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: repr(v)[:24])
def test_every_hostile_value_in_every_field(kind: str, value: Any) -> None:
    load, good = READERS[kind]
    for path in paths(good):
        read(load, changed(good, path, value))


@pytest.mark.parametrize(
    "change",
    [
        {"label": 7},
        {"label": "../x"},
        {"type": "whole"},
        {"timeline": 0},
        {"timeline": True},
        {"timeline": 2**32},
        {"segment_size": 0},
        {"segment_size": 16 * 2**20 + 1},
        {"segment_size": 2**31},
        {"segment_size": 2**19},
        {"start_lsn": "100000000/0"},
        {"started_at": "2026-11-22T02:00:00"},
        {"finished_at": "9999-12-31T23:59:59Z"},
        {"finished_at": "0001-01-01T00:00:00+14:00"},
        {"system_identifier": 7},
        {"system_identifier": "../7"},
        {"parent": 7},
        {"parent": "../x"},
        {"files": []},
        {"files": [*BACKUP.as_dict()["files"], BACKUP.as_dict()["files"][0]]},
        {"files": BACKUP.as_dict()["files"][:1]},
        {"data_size": -1},
        {"data_size": 10**30},
        {"timings": {"stream": "1"}},
        {"contents": {"shop": {"bytes": 1}}},
        {"requirements": {"settings": []}},
        {"recipients": "age1"},
        {"tablespaces": [{"oid": "16385", "name": "a", "location": "relative"}]},
        *(
            {"files": [{**BACKUP.as_dict()["files"][0], **file}, *BACKUP.as_dict()["files"][1:]]}
            for file in (
                {"name": "../base.tar.zst"}, {"name": "/base.tar.zst"}, {"name": "manifest.json"}, {"name": ""},
                {"name": "base.tar.zst\n"}, {"size": -1}, {"size": 2**70}, {"size": 1.5}, {"sha256": "a"},
                {"tablespace": "16385"},
            )
        ),
    ],
    ids=lambda change: repr(change)[:40],
)  # fmt: skip
def test_a_manifest_that_no_backup_writes(change: Dict[str, Any]) -> None:
    assert read(load_manifest, BACKUP.as_dict()) == BACKUP
    assert read(load_manifest, {**BACKUP.as_dict(), **change}) is None


def sealed(body: str) -> bytes:
    """JSON as written here, with the checksum of what Python reads from it."""
    digest = hashlib.sha256(json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    return body[:-1].encode() + f', "sha256": "{digest}"}}'.encode()


@pytest.mark.parametrize(
    "body",
    ['{"format": 1, "x": NaN}', '{"format": 1, "x": -Infinity}', '{"format": 1, "x": 1e999}',
     '{"format": 1, "x": ' + "9" * 4000 + "}", '{"format": 1, "x": ' + "[" * 100 + "]" * 100 + "}",
     '{"format": true}', '{"format": "' + "9" * 100 + '"}'],
    ids=lambda b: b[:30],
)  # fmt: skip
def test_numbers_and_depth_are_bounded(body: str) -> None:
    with pytest.raises(ObjectCorrupt, match="a/key"):
        open_record(sealed(body), "a/key")


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"format": 1, "x": [', '[{"a":'])
def test_depth_beyond_the_stack_is_refused(opening: str) -> None:
    with pytest.raises(ObjectCorrupt, match="not readable"):
        open_record(opening.encode() * 200_000, "a/key")


def test_length_is_bounded() -> None:
    good = seal_record({"format": 1, "x": "y" * (MOST_RECORD - 200)})
    assert open_record(good, "a/key")["x"].startswith("y")
    with pytest.raises(ObjectCorrupt, match="not readable"):
        open_record(good + b" " * 200, "a/key")


@given(st.text(alphabet="0123456789-:TZ.+ ", max_size=40) | st.text(max_size=40))
def test_a_stored_time_is_an_aware_one_or_an_error(text: str) -> None:
    try:
        found = read_stored_time(text)
    except ValueError:
        return
    assert found.tzinfo is not None and 1970 <= found.year < 2300


def test_a_stored_time_has_its_fraction_and_zone() -> None:
    assert read_stored_time("2026-11-22T04:00:00.5+02:00") == replace(BACKUP, started_at=moment(0.5)).started_at


MEMBER = {
    "path": "/srv/a\nb", "kind": "file", "mode": "0644", "owner": "0:0", "size": 5, "sha256": "a" * 64,
    "copy": COPY.label, "looks": [1, 2], "attributes": {"SCHILY.acl.access": "user::rw-\n"}, "bytes": "61",
}  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=lambda v: repr(v)[:24])
def test_lines_of_an_index_are_members_or_refused(value: Any) -> None:
    assert load_members(as_lines([MEMBER, {**MEMBER, "later": 1}]), "a/key")[0] == MEMBER
    for path in paths(MEMBER):
        with contextlib.suppress(ObjectCorrupt):
            (member,) = load_members([json.dumps(changed(MEMBER, path, value)).encode()], "a/key")
            assert isinstance(member["path"], str) and isinstance(member["kind"], str)
    for line in (DEEP, b"7", b"{}", b"x"):
        with pytest.raises(ObjectCorrupt, match="a/key"):
            load_members([line], "a/key")


DEEP = b"[" * 200_000
