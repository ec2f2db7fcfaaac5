# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Erased subjects (GDPR): a register in every repository, applied again after a restore."""

from .confirm import require_confirmed, unconfirmed
from .reapply import reapply
from .register import Register, read_register

__all__ = ["Register", "read_register", "reapply", "require_confirmed", "unconfirmed"]
