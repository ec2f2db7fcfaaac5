# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""WAL streams for tests: real processes, and the pieces they store."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from lifeboat.base.wal_names import parse_lsn
from lifeboat.config.load import StoreOptions
from lifeboat.repository.layout import piece_of
from lifeboat.repository.repository import Repository

from .installations import Installation
from .postgres import Site, Sites
from .processes import alive, children, until
from .walagent import AgentProcess, spool_of

#: Segments of the tests are of 1 MiB.
SEGMENT = 2**20
Stored = Dict[str, List[Tuple[int, int]]]


class StreamProcess(AgentProcess):
    """``lifeboat wal-stream`` for a site; the constructor returns when it has started."""

    command = "wal-stream"

    def __init__(self, site: Site) -> None:
        super().__init__(site, asked=False)

    def kill_all(self) -> None:
        """Kill only this process; its children must end by themselves."""
        below = children(self.pid)
        self.kill9()
        until(lambda: not any(alive(pid) for pid in below), "pg_receivewal to end with its stream")


#: The fixture ``streams``.
Streams = Callable[[Site], StreamProcess]


def streaming(site: Site, interval: float = 0.2) -> None:
    """Configure the site to stream."""
    site.options.update(spool_dir=str(spool_of(site)), wal={"stream": True, "stream_interval": interval})
    site.write()


def opened(site: Site, number: int = 0) -> Repository:
    """A repository of the site; the caller closes its store."""
    return Repository.open(site.config.repositories[number], "main")


def pieces(site: Site, number: int = 0) -> Stored:
    """The offsets of the pieces in a repository, by segment."""
    repository = opened(site, number)
    try:
        found: Stored = {}
        for info in repository.store.list(repository.layout.wal_root(site.cluster.system_identifier)):
            named = piece_of(info.key)
            if named:
                found.setdefault(named[0], []).append(named[1:])
        return found
    finally:
        repository.store.close()


def reach(site: Site, number: int = 0) -> int:
    """The LSN up to which the newest segment has pieces without a hole; 0 without pieces."""
    found = pieces(site, number)
    if not found:
        return 0
    name = max(found)
    end = 0
    for start, stop in sorted(found[name]):
        if start > end:
            break
        end = max(end, stop)
    return (int(name[8:16], 16) << 32) + int(name[16:], 16) * SEGMENT + end


def stored_up_to(site: Site, number: int = 0) -> int:
    """Wait until the repository has pieces of all that the server has written; the LSN of its end."""
    end = parse_lsn(site.cluster.value("SELECT pg_current_wal_flush_lsn()"))
    until(lambda: reach(site, number) >= end, "pieces of all that was written")
    return end


def streamed_site(sites: Sites, installation: Installation, *stores: StoreOptions, **settings: Any) -> Site:
    """A primary with segments of 1 MiB that are not ended early, configured to stream, with a backup."""
    site = sites(installation, *stores, segment_mb=1, start=False, archive_timeout=0, track_commit_timestamp="on",
                 checkpoint_timeout="1h", **settings)  # fmt: skip
    streaming(site)
    site.cluster.start()
    site.backup()
    return site
