# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""File sets: files and directories outside the database, stored as copies and restored."""

from .changes import TAR, scan
from .index import path_of

__all__ = ["TAR", "path_of", "scan"]
