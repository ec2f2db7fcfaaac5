# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The evidence pack: what an auditor asks for, from the repositories, in one archive with checksums and an index.

``operations`` sums up events and backups, ``index`` says what each file shows and which rows of docs/compliance.md it
is for, both without I/O; ``gather`` reads, ``pack`` writes the archive.
"""

from .pack import Packed, write_pack

__all__ = ["Packed", "write_pack"]
