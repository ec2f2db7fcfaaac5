# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read stored WAL with ``pg_waldump``, some segments at a time, as lines."""

from __future__ import annotations

import tempfile
from typing import Iterator, Optional, Sequence

from ..base.errors import WalInvalid
from ..base.process import Drain
from ..base.progress import Progress
from ..base.wal_names import Segment, format_lsn
from ..postgres.controldata import program
from ..repository.repository import Repository
from ..wal.fetch import read_wal
from ..wal.scan import staged


def lines(
    repository: Repository, bin_dir: Optional[str], system: str, segments: Sequence[Segment], progress: Progress
) -> Iterator[str]:
    """The lines of ``pg_waldump`` for every record that begins in these segments. Disk: nine segments."""
    done = 0
    for place, batch in staged(segments, lambda segment: read_wal(repository, system, segment.name)):
        yield from _dumped(bin_dir, place, batch)
        done += len(batch)
        progress.advance(done, len(segments))


def _dumped(bin_dir: Optional[str], place: str, batch: Sequence[Segment]) -> Iterator[str]:
    argv = [program(bin_dir, "pg_waldump"), f"--path={place}", f"--timeline={batch[0].timeline}"]
    argv += [f"--start={format_lsn(batch[0].start)}", f"--end={format_lsn(batch[-1].end)}"]
    with tempfile.TemporaryFile() as words:
        # It exits with status 1 at the end of the records.
        yield from Drain(argv, words, accept=(0, 1), env={"TZ": "UTC"}).lines()
        words.seek(0)
        said = words.read().decode(errors="replace")
    if "could not find a valid record" in said:
        raise WalInvalid(
            f"pg_waldump finds no record in WAL segment {batch[0].name}: {said.strip()[-300:]}",
            "Check it for damage (lifeboat verify --all), or skip it by a search with a later --from.",
        )
