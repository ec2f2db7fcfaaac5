# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Optional Python libraries, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import DependencyMissing


def library(title: str, debian: str, pypi: str, module: str, *submodules: str) -> Any:
    """The module, with its submodules imported; DependencyMissing if one of them cannot be."""
    try:
        found = importlib.import_module(module)
        for name in submodules:
            importlib.import_module(name)
        return found
    except ImportError as exc:
        raise DependencyMissing(
            f"The Python library {title} is not installed.", f"Install {debian} (Debian) or {pypi}."
        ) from exc
