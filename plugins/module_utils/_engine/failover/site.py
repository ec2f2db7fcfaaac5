# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The server's host: where its data is, and what it knows of timelines."""

from __future__ import annotations

import os
from typing import Dict, Iterable

from ..base.errors import ConfigError
from ..base.files import open_to_read
from ..base.wal_names import is_history
from ..config.load import Config


def data_dir_of(config: Config) -> str:
    """The configured data directory."""
    if not config.data_dir:
        raise ConfigError("data_dir is not set.", "Run it on the server's host, with data_dir in the configuration.")
    return config.data_dir


def histories_in(wal_dir: str, names: Iterable[str]) -> Dict[int, str]:
    """The timeline histories among the files of this name in ``pg_wal``, by timeline."""
    found = {}
    for name in filter(is_history, names):
        with open_to_read(os.path.join(wal_dir, name)) as stream:
            found[int(name[:8], 16)] = stream.read().decode(errors="replace")
    return found
