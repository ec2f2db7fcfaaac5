# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each of these operations begins with: the data directory of this host, and the repositories."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from ..base.errors import ConfigError
from ..config.load import Config
from ..repository.repository import Repositories


def data_dir_of(config: Config) -> str:
    """The configured data directory."""
    if not config.data_dir:
        raise ConfigError("data_dir is not set.", "Run it on the server's host, with data_dir in the configuration.")
    return config.data_dir


@contextmanager
def opened(config: Config) -> Iterator[Repositories]:
    """All repositories, closed in the end."""
    repositories = Repositories.open(config)
    try:
        yield repositories
    finally:
        repositories.close()
