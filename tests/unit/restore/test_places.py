# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When two requests are for the same restore."""

from __future__ import annotations

from lifeboat.model import Target
from lifeboat.restore.places import fingerprint
from lifeboat.restore.request import RestoreRequest


def test_a_restore_without_the_pieces_is_another_one() -> None:
    usual = fingerprint(RestoreRequest(Target("latest")), "latest")
    assert "pieces" not in usual
    assert fingerprint(RestoreRequest(Target("latest"), pieces=False), "latest") != usual
