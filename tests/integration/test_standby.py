# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat restore --action standby``: a standby that is fed from the repository alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest
from lifeboat.base.wal_names import parse_lsn
from lifeboat.config.load import DirectoryOptions, S3Options, StoreOptions
from support.ledger import Entry, Ledger, expected, rows
from support.postgres import Cluster, Installation, Site, Sites, restore_arguments, until
from support.walstream import StreamProcess, pieces, reach, streaming

pytestmark = pytest.mark.integration
Streams = Callable[[Site], StreamProcess]


@pytest.fixture
def streams() -> Iterator[Streams]:
    """Starts streams, and ends those that still live."""
    made: List[StreamProcess] = []

    def start(site: Site) -> StreamProcess:
        made.append(StreamProcess(site))
        return made[-1]

    yield start
    for stream in made:
        stream.close()


def primary_of(sites: Sites, installation: Installation, *stores: StoreOptions, **settings: Any) -> Site:
    """A primary with segments of 1 MiB that ends none by itself, configured to stream; a backup is made."""
    site = sites(installation, *stores, segment_mb=1, start=False, archive_timeout=0, track_commit_timestamp="on",
                 checkpoint_timeout="1h", **settings)  # fmt: skip
    streaming(site)
    site.cluster.start()
    site.backup()
    return site


class Standby:
    """A standby of a site: its server, and the configuration that leads to it."""

    def __init__(self, site: Site, name: str = "standby") -> None:
        self.site, self.cluster = site, site.clone(name)
        self.config_file = site.write(
            site.root / f"{name}.yml",
            connection={"host": str(self.cluster.socket_dir), "port": self.cluster.port, "user": "postgres"},
        )

    def restore(self, *more: str, status: int = 0) -> Any:
        words = restore_arguments(self.cluster, "--action", "standby", *more)
        return self.site.lifeboat(*words, status=status, config_file=self.config_file)

    def status(self) -> Dict[str, Any]:
        return dict(self.site.lifeboat("standby", "status", config_file=self.config_file).data)

    def log(self) -> str:
        found = [p for p in self.cluster.data_dir.glob("*.log") if p.is_file()]
        return "\n".join(p.read_text(errors="replace")[-4000:] for p in found)

    def has(self, entries: List[Entry]) -> None:
        """Wait until it shows these rows."""
        until(lambda: rows(self.cluster) == expected(entries), f"{len(entries)} rows on the standby", self.log)

    @property
    def recovering(self) -> bool:
        return bool(self.cluster.value("SELECT pg_is_in_recovery()"))


def test_a_commit_arrives_by_a_piece_before_its_segment_is_complete(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = primary_of(sites, postgres, s3_options)
    ledger, stream = Ledger(site.cluster), streams(site)
    ledger.write(3)
    site.cluster.switch_wal()
    standby = Standby(site)
    result = standby.restore().data["restore"]
    assert (result["state"], result["timeline"]) == ("following the repository", 1)
    assert parse_lsn(result["standby"]["replayed_lsn"]) >= parse_lsn(result["reached_lsn"])
    assert rows(standby.cluster) == expected(ledger.entries)
    for _ in range(3):
        segment = str(site.cluster.value("SELECT pg_walfile_name(pg_current_wal_insert_lsn())"))
        ledger.write(2)
        standby.has(ledger.entries)
        assert str(site.cluster.value("SELECT last_archived_wal FROM pg_stat_archiver")) < segment, "not complete"
    # The segment is completed by the archive, and the next one begins with pieces.
    site.cluster.switch_wal()
    ledger.write(2)
    standby.has(ledger.entries)
    assert standby.recovering
    assert "archive_status" in {p.name for p in (standby.cluster.data_dir / "pg_wal").iterdir()}
    assert not list((standby.cluster.data_dir / "pg_wal" / "archive_status").glob("*.ready"))
    stream.close()
