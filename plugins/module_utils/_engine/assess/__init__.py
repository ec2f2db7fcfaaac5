# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The assessment of a disaster: what is known, the ways back, what each of them loses, and the best one."""

from .bisect import find_sound, tested_lines
from .facts import DISASTERS, Asked
from .page import write
from .run import Assessment, assess
from .text import lines

__all__ = ["DISASTERS", "Asked", "Assessment", "assess", "find_sound", "lines", "tested_lines", "write"]
