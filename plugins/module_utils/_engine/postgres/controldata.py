# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``global/pg_control``: the identity and state of a cluster (``pg_controldata`` in the manual)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Optional

from ..base.errors import DataDirectoryRefused
from ..base.process import run
from ..base.wal_names import parse_lsn

#: The states of a cluster that was shut down cleanly, as a primary and as a standby.
SHUT_DOWN, SHUT_DOWN_IN_RECOVERY = "shut down", "shut down in recovery"


def read_system_identifier(data_dir: str) -> str:
    """The system identifier, from the first 8 bytes of the file: cheap enough for every archived segment."""
    path = os.path.join(data_dir, "global", "pg_control")
    try:
        with open(path, "rb") as stream:
            raw = stream.read(8)
    except OSError as exc:
        raise DataDirectoryRefused(
            f"{data_dir} is not the data directory of a cluster: {path}: {exc.strerror}.",
            "Set data_dir to the data directory of the cluster.",
            data_dir=data_dir,
        ) from exc
    if len(raw) < 8:
        raise DataDirectoryRefused(
            f"{path} is too short for a control file.", "Check the disk, then restore this cluster.", data_dir=data_dir
        )
    return str(struct.unpack("=Q", raw)[0])


@dataclass(frozen=True)
class ControlData:
    """The output of ``pg_controldata``; LSNs as ints, None for 0/0.

    ``block_size`` in bytes; ``segment_blocks``: the pages of a whole file of a relation; ``checksums``: the version of
    the algorithm of page checksums, 0 for none.
    """

    system_identifier: str
    state: str
    timeline: int
    checkpoint: Optional[int]
    min_recovery: Optional[int]
    segment_size: int
    min_recovery_timeline: int
    block_size: int
    segment_blocks: int
    checksums: int


def read_control(bin_dir: Optional[str], data_dir: str) -> ControlData:
    """Run ``pg_controldata``."""
    text = run([program(bin_dir, "pg_controldata"), "-D", data_dir]).stdout
    fields = {k.strip(): v.strip() for k, _colon, v in (line.partition(":") for line in text.splitlines())}
    return ControlData(
        system_identifier=fields["Database system identifier"],
        state=fields["Database cluster state"],
        timeline=int(fields["Latest checkpoint's TimeLineID"]),
        checkpoint=parse_lsn(fields["Latest checkpoint location"]) or None,
        min_recovery=parse_lsn(fields["Minimum recovery ending location"]) or None,
        segment_size=int(fields["Bytes per WAL segment"]),
        min_recovery_timeline=int(fields["Min recovery ending loc's timeline"]),
        block_size=int(fields["Database block size"]),
        segment_blocks=int(fields["Blocks per segment of large relation"]),
        checksums=int(fields["Data page checksum version"]),
    )


def program(bin_dir: Optional[str], name: str) -> str:
    """The path of one of PostgreSQL's programs; found by PATH if no ``bin_dir`` is set."""
    return os.path.join(bin_dir, name) if bin_dir else name
