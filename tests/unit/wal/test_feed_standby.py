# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a standby gets: never a shorter or different segment than before, and no history without WAL."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, List, Optional, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.base.errors import BucketMissing, StoreError, WalConflict, WalInvalid
from lifeboat.base.wal_names import Segment
from lifeboat.codec import zstd
from lifeboat.config.load import DirectoryOptions, RepositoryConfig
from lifeboat.repository.repository import Repositories, Repository
from lifeboat.store.unopened import UnopenedStore
from lifeboat.wal import feed
from lifeboat.wal.feed import NOTHING, STATE, Handed, leads_to, read_handed, write_handed
from lifeboat.wal.fetch import Source, look_up

SIZE = 2**20
SYSTEM = "7"
NAME = Segment(1, 3, SIZE).name
contents = st.binary(min_size=0, max_size=40)


@given(contents, contents, st.integers(0, 60), st.booleans())
def test_what_follows_is_never_shorter_and_begins_with_what_was_handed_out(
    before: bytes, after: bytes, zeros: int, held: bool
) -> None:
    handed = Handed.of(NAME, before, len(before))
    padded = after + bytes(zeros)
    if handed.followed_by(padded, len(after), held):
        assert len(after) >= len(before) and padded.startswith(before)
        assert len(after) > len(before) or not held
    elif padded.startswith(before) and after:
        assert len(after) < len(before) or (held and len(after) == len(before))
    assert handed.begins(padded) == padded.startswith(before)


@given(contents, contents)
def test_a_segment_that_continues_is_always_followed(before: bytes, more: bytes) -> None:
    handed = Handed.of(NAME, before, len(before))
    assert handed.followed_by(before + more, len(before + more), True) == bool(more)
    assert NOTHING.followed_by(before, len(before), False) == bool(before)


@given(st.sets(st.integers(1, 9)), st.sets(st.integers(1, 9)))
def test_a_history_leads_somewhere_where_there_is_wal(histories: set[int], wal: set[int]) -> None:
    names = [f"{n:08X}.history" for n in histories] + [f"{n:08X}/" for n in wal] + ["junk", "00000009"]
    last = leads_to(names)
    assert last == max(histories & wal, default=0)


def test_what_was_handed_out_is_remembered_for_its_segment(tmp_path: Path) -> None:
    handed = Handed.of(NAME, b"abc", 2)
    assert read_handed(str(tmp_path), NAME) is NOTHING
    write_handed(str(tmp_path), handed)
    assert read_handed(str(tmp_path), NAME) == handed
    assert read_handed(str(tmp_path), Segment(1, 4, SIZE).name) is NOTHING
    for broken in ("", "[]", "{}", f'{{"name": "{NAME}", "end": "x"}}', '{"name": 1, "end": -1}'):
        (tmp_path / STATE).write_text(broken)
        assert read_handed(str(tmp_path), NAME) is NOTHING


class Server:
    """A data directory that stands for a standby's, and one repository; ``ask`` does what PostgreSQL does."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.data, self.stored = root / "data", root / "repository"
        (self.data / "pg_wal").mkdir(parents=True)
        self.stored.mkdir()
        (self.data / "standby.signal").touch()
        self.repository = Repository.open(RepositoryConfig("repo", DirectoryOptions(str(self.stored))), "main")
        self.repository.store.put(self.repository.layout.system(SYSTEM), b"{}")
        self.repositories = Repositories((self.repository,))
        monkeypatch.setattr(feed, "read_system_identifier", lambda _: SYSTEM)
        monkeypatch.setattr(feed, "_open", lambda *_: self.repositories)

    def away(self, name: str) -> None:
        """A second repository, which does not answer."""
        store = UnopenedStore(name, BucketMissing(f"{name} is away.", "Bring it back."))
        self.repositories.items += (replace(self.repository, name=name, store=store),)

    def piece(self, start: int, stop: int, data: Optional[bytes] = None) -> str:
        key = self.repository.layout.wal_piece(SYSTEM, NAME, start, stop)
        self.repository.store.put(key, zstd.compress(content()[start:stop]) if data is None else data)
        return key

    def ask(self, name: str = NAME) -> Tuple[Optional[bytes], str]:
        """What it is given, which becomes the server's file, and the notes."""
        target = self.data / "pg_wal" / "RECOVERYXLOG"
        fed = feed.feed(None, name, "pg_wal/RECOVERYXLOG", Source("repo", (), True), str(self.data))  # type: ignore[arg-type]
        if fed.fetched is None:
            assert not target.exists()
            return None, " ".join(fed.notes)
        given = target.read_bytes()
        target.rename(self.data / "pg_wal" / name)
        return given, " ".join(fed.notes)


def content() -> bytes:
    head = struct.pack("=HHIQI4xQII", 0xD110, 2, 1, 3 * SIZE, 0, int(SYSTEM), SIZE, 8192)
    return (head + bytes(range(1, 256)) * (SIZE // 255 + 1))[:SIZE]


def padded(end: int) -> bytes:
    return content()[:end] + bytes(SIZE - end)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    return Server(tmp_path, monkeypatch)


def test_a_growing_segment_is_handed_out_when_it_has_grown(server: Server) -> None:
    assert server.ask() == (None, "")
    server.piece(0, 1000)
    assert server.ask() == (padded(1000), "")
    assert server.ask() == (None, ""), "nothing is new"
    server.piece(1000, 3000)
    server.piece(500, 2000)
    assert server.ask() == (padded(3000), "")
    whole = server.repository.layout.wal(SYSTEM, NAME)
    server.repository.store.put(whole, zstd.compress(content()))
    assert server.ask() == (content(), "")


def test_only_new_pieces_are_read(server: Server) -> None:
    first = server.piece(0, 1000)
    server.ask()
    server.repository.store.delete([first])
    server.piece(1000, 2000)
    assert server.ask() == (padded(2000), "")


def test_nothing_shorter_is_handed_out_when_pieces_have_gone(server: Server) -> None:
    server.piece(0, 1000)
    second = server.piece(1000, 2000)
    server.ask()
    server.repository.store.delete([second])
    assert server.ask()[0] is None
    # Even when the server has lost its own copy.
    (server.data / "pg_wal" / NAME).unlink()
    assert server.ask()[0] is None
    server.piece(1000, 2000)
    assert server.ask() == (padded(2000), ""), "the same again, to a server that has lost it"


def test_a_damaged_piece_ends_it_with_a_note(server: Server) -> None:
    server.piece(0, 1000)
    server.piece(1000, 2000, b"not zstd")
    given, notes = server.ask()
    assert given == padded(1000) and "ends early" in notes
    given, notes = server.ask()
    assert given is None and "ends early" in notes
    server.repository.store.put(server.repository.layout.wal(SYSTEM, NAME), zstd.compress(content()))
    assert server.ask() == (content(), "")


def test_pieces_that_contradict_what_was_replayed_are_left_out(server: Server) -> None:
    server.piece(0, 1000)
    server.ask()
    server.piece(900, 2000, zstd.compress(b"\xee" * 1100))
    given, notes = server.ask()
    assert given is None and "differs from the bytes before it" in notes


def test_a_whole_segment_that_contradicts_what_was_replayed_is_a_conflict(server: Server) -> None:
    server.piece(0, 1000)
    server.piece(1000, 2000, zstd.compress(b"\xee" * 1000))
    server.ask()
    server.repository.store.put(server.repository.layout.wal(SYSTEM, NAME), zstd.compress(content()))
    with pytest.raises(WalConflict, match="does not begin"):
        server.ask()


def test_a_history_without_wal_is_not_followed(server: Server) -> None:
    layout, store = server.repository.layout, server.repository.store
    history = b"1\t0/3000000\tno recovery target specified\n"
    store.put(layout.wal(SYSTEM, "00000002.history"), history)
    given, notes = server.ask("00000002.history")
    assert given is None and "no WAL of its timeline" in notes
    # A piece is enough.
    store.put(layout.wal_piece(SYSTEM, Segment(2, 3, SIZE).name, 0, 100), b"x")
    assert server.ask("00000002.history") == (history, "")


def test_doubt_is_a_note_for_a_standby_and_an_error_for_any_other_recovery(server: Server) -> None:
    server.repository.store.put(server.repository.layout.wal(SYSTEM, NAME), zstd.compress(b"no segment"))
    given, notes = server.ask()
    assert given is None and "cannot be fetched now" in notes
    (server.data / "standby.signal").unlink()
    with pytest.raises(WalInvalid):
        server.ask()


def test_doubt_does_not_end_a_server_that_is_half_promoted(server: Server) -> None:
    """It has removed the signal, and asks for the history of the timeline that it leaves."""
    server.away("other")
    assert server.ask()[0] is None
    (server.data / "standby.signal").unlink()
    with pytest.raises(StoreError):
        server.ask()
    assert server.ask("00000001.history")[0] is None
    with pytest.raises(StoreError):
        server.ask("00000003.history")
    (server.data / "pg_wal" / "00000003.history").touch()
    assert server.ask("00000003.history")[0] is None
    # A restore that somebody began with the settings of a standby.
    (server.data / "recovery.signal").touch()
    with pytest.raises(StoreError):
        server.ask("00000003.history")


def test_a_repository_that_is_away_keeps_nothing_back(server: Server) -> None:
    server.away("other")
    server.piece(0, 1000)
    assert server.ask() == (padded(1000), "")
    given, notes = server.ask()
    assert given is None and "cannot be fetched now" in notes


def test_a_promotion_leaves_out_the_number_of_one_that_was_never_finished(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "_server", lambda data_dir: ("4711", "1764000000"))
    layout, store = server.repository.layout, server.repository.store
    store.put(layout.wal(SYSTEM, "00000002.history"), b"1\t0/3000000\tno recovery target specified\n")
    assert server.ask("00000002.history")[0] is None
    promote = server.data / "promote"
    promote.touch()
    assert server.ask("00000002.history")[0] is None, "it may still be looking for what to follow"
    promote.unlink()
    assert server.ask("00000002.history")[0], "the number is taken"
    assert server.ask("00000003.history")[0] is None
    # Another server in this directory was not promoted.
    monkeypatch.setattr(feed, "_server", lambda data_dir: ("4712", "1764000000"))
    assert server.ask("00000002.history")[0] is None


def test_a_promotion_that_is_requested_during_the_last_question_is_noticed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL removes the file right after the answer: no later call sees it."""
    monkeypatch.setattr(feed, "_server", lambda data_dir: ("4711", "1764000000"))
    layout, store = server.repository.layout, server.repository.store
    store.put(layout.wal(SYSTEM, "00000002.history"), b"1\t0/3000000\tno recovery target specified\n")

    def requested(*given: Any) -> Any:
        (server.data / "promote").touch()
        return look_up(*given)

    with monkeypatch.context() as patched:
        patched.setattr(feed, "look_up", requested)
        assert server.ask("00000003.history")[0] is None
    (server.data / "promote").unlink()
    assert server.ask("00000002.history")[0], "the number is taken"


@pytest.mark.parametrize(("status", "promote", "expected"), [
    ("ready", False, True), ("standby", False, True), ("starting", False, False), ("stopping", False, False),
    ("ready", True, False),
])  # fmt: skip
def test_the_command_waits_only_while_the_server_has_nothing_else_to_do(
    tmp_path: Path, status: str, promote: bool, expected: bool
) -> None:
    assert not feed.waits(str(tmp_path))
    lines: List[str] = ["1", str(tmp_path), "0", "5432", "/tmp", "", "0", f"{status}   "]
    (tmp_path / "postmaster.pid").write_text("\n".join(lines) + "\n")
    if promote:
        (tmp_path / "promote").touch()
    assert feed.waits(str(tmp_path)) is expected
