# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What feeds a standby besides the repositories: the section ``standby`` of the configuration."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Optional

from ..base.errors import ConfigError
from .option import build, option

# The value ends up in postgresql.auto.conf, and is shown by pg_settings.
_SECRET = re.compile(r"(?:^|\s)(?:password|sslpassword)\s*=|://", re.IGNORECASE)


@dataclass(frozen=True)
class StandbyConfig:
    """Streaming replication of a standby. Without it, the repositories alone feed the standby.

    No replication slot is needed: WAL that the primary has removed comes from the repositories.
    """

    primary_conninfo: Optional[str] = option(
        "libpq's connection string of the server to stream from, as PostgreSQL's setting of that name. Give the "
        "password in a C(passfile). Default: none.",
        None,
    )


def parse_standby(data: Any, where: str) -> StandbyConfig:
    """Check the section; the error for a password does not quote it."""
    found: StandbyConfig = build(StandbyConfig, data, "standby", where)
    if found.primary_conninfo and _SECRET.search(found.primary_conninfo):
        raise ConfigError(
            f"{where}: standby.primary_conninfo is a URL or has a password, which every superuser could read.",
            "Write 'host=… user=… passfile=…', with a password file that only the server's user can read.",
        )
    return found
