# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat standby settle``: WAL streamed to a standby but never archived survives its promotion."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List

import pytest
from lifeboat.codec import zstd
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, restore_arguments
from support.processes import run_program, until
from support.standby import Standby

pytestmark = pytest.mark.integration


@dataclass
class Pair:
    """A primary whose archiving is broken, and a standby streaming from it; ``blocked`` were never archived."""

    site: Site
    standby: Standby
    ledger: Ledger
    blocked: List[str]

    def settle(self, *words: str, status: int = 0) -> Any:
        return self.standby.lifeboat("standby", "settle", *words, status=status)

    def fail_over(self) -> None:
        self.site.cluster.kill9()
        self.standby.promote()

    @property
    def stored(self) -> List[str]:
        return sorted(p.name[:24] for p in self.site.repository_dir.glob("wal/*/0*/*/*.zst") if len(p.name) == 28)

    def local(self, name: str) -> Path:
        return self.standby.cluster.data_dir / "pg_wal" / name


@pytest.fixture
def pair_of(sites: Sites) -> Callable[..., Pair]:
    def make(installation: Installation, **options: Any) -> Pair:
        site = sites(
            installation, segment_mb=1, archive_timeout=0, track_commit_timestamp="on", wal_keep_size="64MB",
            options=options,
        )  # fmt: skip
        site.backup()
        ledger = Ledger(site.cluster)
        ledger.write(2)
        site.cluster.switch_wal()
        standby = Standby(site, own=True)
        run_program(
            installation.program("pg_basebackup"), "-D", str(standby.cluster.data_dir), "-R", "-c", "fast",
            "-h", str(site.cluster.socket_dir), "-p", str(site.cluster.port), "-U", "postgres",
        )  # fmt: skip
        standby.cluster.configure({**standby.cluster.network, "archive_command": standby.archive_command})
        standby.cluster.start()
        site.cluster.execute("ALTER SYSTEM SET archive_command = 'false'", "SELECT pg_reload_conf()")
        blocked = []
        for _ in range(4):
            ledger.write(2)
            blocked.append(str(site.cluster.value("SELECT pg_walfile_name(pg_switch_wal())")))
        ledger.write(1)
        standby.has(ledger.entries)
        return Pair(site, standby, ledger, blocked)

    return make


def test_the_hole_is_filled_and_a_restore_across_the_fork_works(
    postgres: Installation, pair_of: Callable[..., Pair]
) -> None:
    pair = pair_of(postgres)
    pair.fail_over()
    pair.standby.cluster.execute("INSERT INTO ledger VALUES (1001, 'after')")
    pair.standby.cluster.switch_wal()
    assert not set(pair.blocked) & set(pair.stored)
    clone = pair.site.clone("gap")
    assert pair.standby.lifeboat(*restore_arguments(clone), status=1).error["error_code"] == "wal_gap"

    planned = pair.settle("--plan").data
    assert planned["lacking"] == {"repo0": pair.blocked} and not planned["changed"]
    assert not set(pair.blocked) & set(pair.stored)
    told = pair.settle().data
    assert told["pushed"] == pair.blocked and told["timeline"] == 2 and not told["missing"]
    assert set(pair.blocked) <= set(pair.stored) and told["compared"] > 0
    again = pair.settle().data
    assert not again["changed"] and again["compared"] == told["compared"] + len(pair.blocked)

    restored = pair.site.clone("restored")
    result = pair.standby.lifeboat(*restore_arguments(restored)).data["restore"]
    assert result["reached_lsn"]
    assert rows(restored) == [*expected(pair.ledger.entries), (1001, "after")]
    events = pair.standby.lifeboat("audit", "list").data["events"]
    assert [e["objects"] for e in events if e["what"] == "settle"] == [pair.blocked]


def test_before_the_promotion_it_settles_what_is_replayed(
    newest_postgres: Installation, pair_of: Callable[..., Pair]
) -> None:
    pair = pair_of(newest_postgres)
    told = pair.settle().data
    assert told["in_recovery"] and told["pushed"] == pair.blocked
    # The primary archives the same bytes later: no conflict.
    pair.site.cluster.execute("ALTER SYSTEM RESET archive_command", "SELECT pg_reload_conf()")
    pair.site.cluster.switch_wal()
    assert pair.site.cluster.value("SELECT last_failed_wal IS NULL OR last_archived_time > last_failed_time"
                                   " FROM pg_stat_archiver")  # fmt: skip
    # A stopped one knows less, and says nothing that is not so.
    pair.standby.cluster.stop()
    assert not pair.settle().data["changed"]


def test_only_the_leading_site_settles(newest_postgres: Installation, pair_of: Callable[..., Pair]) -> None:
    pair = pair_of(newest_postgres, site="east")
    pair.site.lifeboat("leader", "claim", "--kind", "first")
    pair.standby.write(site="west")
    assert pair.settle(status=1).error["error_code"] == "deposed"
    assert not set(pair.blocked) & set(pair.stored)
    pair.standby.lifeboat("leader", "claim", "--kind", "failover")
    assert pair.settle().data["pushed"] == pair.blocked


def test_other_content_is_left_alone_and_told(newest_postgres: Installation, pair_of: Callable[..., Pair]) -> None:
    pair = pair_of(newest_postgres)
    pair.fail_over()
    here = sorted(set(pair.stored) & {p.name for p in (pair.standby.cluster.data_dir / "pg_wal").iterdir()})
    (path,) = pair.site.repository_dir.rglob(f"{here[-1]}.zst")
    content = bytearray(zstd.decompress(path.read_bytes(), "segment", 2**20))
    content[-1] ^= 1
    path.chmod(0o600)
    path.write_bytes(zstd.compress(bytes(content)))
    forged = path.read_bytes()
    error = pair.settle(status=1).error
    assert (error["error_code"], error["details"]["name"]) == ("wal_conflict", here[-1])
    assert path.read_bytes() == forged
    # What was lacking is there all the same.
    assert set(pair.blocked) <= set(pair.stored)


def test_half_a_segment_is_never_archived_as_whole(newest_postgres: Installation, pair_of: Callable[..., Pair]) -> None:
    pair = pair_of(newest_postgres)
    pair.fail_over()
    # Larger than a page, so that the rest of the segment is not empty anyway.
    path = pair.local(pair.blocked[0])
    content = path.read_bytes()
    used = len(content.rstrip(b"\0"))
    path.write_bytes(content[: used - 200].ljust(len(content), b"\0"))
    assert pair.settle(status=1).error["error_code"] == "wal_invalid"
    assert not set(pair.blocked) & set(pair.stored)
    path.unlink()
    ran = pair.settle(status=1)
    assert ran.data["missing"] == {"repo0": pair.blocked[:1]} and ran.data["pushed"] == pair.blocked[1:]


def test_another_history_is_a_conflict(newest_postgres: Installation, pair_of: Callable[..., Pair]) -> None:
    pair = pair_of(newest_postgres)
    pair.fail_over()
    until(lambda: list(pair.site.repository_dir.rglob("sha256/00000002.history")), "the history in the archive")
    for path in pair.site.repository_dir.rglob("00000002.history"):
        path.unlink()
    (system,) = pair.site.repository_dir.glob("wal/*")
    (system / "00000002.history").write_text("1\t0/3000000\tno recovery target specified\n")
    assert pair.settle(status=1).error["error_code"] == "wal_conflict"
