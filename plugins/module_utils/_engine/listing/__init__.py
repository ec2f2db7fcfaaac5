# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The contents of a repository, and the moments that a restore can reach. Read-only."""

from .contents import Contents, describe, look_apart, read_contents, words_of

__all__ = ["Contents", "describe", "look_apart", "read_contents", "words_of"]
