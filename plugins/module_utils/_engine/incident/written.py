# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the post-incident document into a directory."""

from __future__ import annotations

import json
import os
from datetime import datetime
from typing import Tuple

from ..base.errors import ConfigError
from ..base.files import make_directory, replace_file
from ..config.load import Config
from .document import as_dict, document, markdown, page
from .timeline import Incident


def write_document(config: Config, incident: Incident, directory: str, now: datetime) -> Tuple[str, ...]:
    """``incident.html``, ``incident.md`` and ``incident.json``; their paths. They name people: not for everybody."""
    told = document(incident, config.cluster, config.objectives, now)
    data = {**incident.as_dict(now), "document": as_dict(told)}
    files = {
        "incident.html": page(told, now),
        "incident.md": markdown(told),
        "incident.json": json.dumps(data, indent=2) + "\n",
    }
    try:
        make_directory(directory, 0o750)
        for name, text in files.items():
            replace_file(os.path.join(directory, name), text.encode(), 0o640)
    except OSError as exc:
        raise ConfigError(
            f"The document cannot be written into {directory}: {exc.strerror}.",
            "Name a directory that this user may write into: lifeboat incident show --report DIR.",
            path=directory,
        ) from exc
    return tuple(os.path.join(directory, name) for name in files)
