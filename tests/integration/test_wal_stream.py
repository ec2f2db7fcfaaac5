# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat wal-stream``: what was committed after the last complete segment comes back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Callable, Iterator, List

import pytest
from lifeboat.config import DirectoryOptions, S3Options, StoreOptions
from lifeboat.postgres.wal_names import parse_lsn
from support.ledger import Ledger, expected, rows
from support.postgres import Cluster, Installation, Site, Sites, restore_arguments, until
from support.walagent import spool_of
from support.walstream import StreamProcess, opened, pieces, reach, streaming

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


def streamed_site(sites: Sites, installation: Installation, *stores: StoreOptions) -> Site:
    """A server with segments of 1 MiB that archives, and ends no segment by itself; a backup is made."""
    site = sites(installation, *stores, segment_mb=1, start=False, archive_timeout=0, track_commit_timestamp="on",
                 checkpoint_timeout="1h")  # fmt: skip
    streaming(site)
    site.cluster.start()
    site.backup()
    return site


def stored_up_to(site: Site, lsn: str, number: int = 0) -> None:
    until(lambda: reach(site, number) >= parse_lsn(lsn), f"pieces up to {lsn}", lambda: str(pieces(site, number)))


def flushed(site: Site) -> str:
    return str(site.cluster.value("SELECT pg_current_wal_flush_lsn()"))


def restored(site: Site, name: str = "clone") -> Cluster:
    clone = site.clone(name)
    site.lifeboat(*restore_arguments(clone, "--leave", "running"))
    return clone


def test_commits_of_the_unfinished_segment_come_back(
    sites: Sites, postgres: Installation, s3_options: S3Options, streams: Streams
) -> None:
    site = streamed_site(sites, postgres, s3_options)
    ledger = Ledger(site.cluster)
    stream = streams(site)
    complete = ledger.write(5)
    site.cluster.switch_wal()
    ledger.write(10)
    stored_up_to(site, flushed(site))
    ledger.write(10)
    stored_up_to(site, flushed(site))
    newest = pieces(site)[max(pieces(site))]
    assert len(newest) > 1, "only what is new is stored"
    site.cluster.kill9()
    stream.close()
    assert len(ledger.entries) > len(complete)
    assert rows(restored(site)) == expected(ledger.entries)
