# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of tables that are restored beside the live ones. Pure."""

from __future__ import annotations

from datetime import datetime, timezone


def suffix_of(moment: datetime) -> str:
    """``_20261122_1402``, in UTC, with the seconds if there are any."""
    text = f"{moment.astimezone(timezone.utc):_%Y%m%d_%H%M%S}"
    return text[:-2] if text.endswith("00") else text
