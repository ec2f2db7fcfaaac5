# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore tests: a backup is restored into a scratch cluster, which is checked, reported on and dropped."""

from .run import RestoreTest, TestRequest, apply

__all__ = ["RestoreTest", "TestRequest", "apply"]
