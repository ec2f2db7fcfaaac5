# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hypothesis' settings for the whole suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from support.choice import examples

# No deadline, because machines differ in speed; no database, because a checkout stays clean.
settings.register_profile(
    "lifeboat",
    deadline=None,
    database=None,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("lifeboat")
