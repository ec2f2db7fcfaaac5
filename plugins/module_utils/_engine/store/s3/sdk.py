# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""botocore (which boto3 wraps) and its dependencies, imported in one place, so that a missing one is a
``DependencyMissing`` and no traceback.
"""

from __future__ import annotations

import importlib
from typing import Any, Optional


class Never(Exception):
    """Stands in for every exception of a missing library: nothing ever raises it."""


class _Absent:
    def __getattr__(self, name: str) -> Any:
        return Never


def _load() -> Optional[str]:
    """Set this module's names; returns the missing library, or None."""
    global Session, create_loader, exceptions, Config, ResponseParserError, HTTPError  # noqa: PLW0603
    try:
        Session = importlib.import_module("botocore.session").Session
        create_loader = importlib.import_module("botocore.loaders").create_loader
        exceptions = importlib.import_module("botocore.exceptions")
        Config = importlib.import_module("botocore.config").Config
        ResponseParserError = importlib.import_module("botocore.parsers").ResponseParserError
        HTTPError = importlib.import_module("urllib3.exceptions").HTTPError
    except ImportError as exc:
        return exc.name or "botocore"
    return None


Session: Any = Never
create_loader: Any = Never
exceptions: Any = _Absent()
Config: Any = Never
ResponseParserError: Any = Never
HTTPError: Any = Never
#: The missing library, or None.
MISSING: Optional[str] = _load()
