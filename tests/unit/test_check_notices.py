# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel that did not deliver its last notice is a warning; one that was never used is not."""

from __future__ import annotations

from lifeboat.check.answer import OK, WARNING
from lifeboat.check.notices import of_notices
from lifeboat.notify import Delivery
from support.records import moment

FAILED = Delivery().after(moment(2), None).after(moment(5), "channel_refused")


def test_only_a_channel_that_failed_last_is_named() -> None:
    (said,) = of_notices(["mail", "pager", "new"], {"mail": FAILED, "pager": FAILED.after(moment(9), None)})
    assert (said.check, said.status, said.about) == ("notices", WARNING, "mail")
    assert "since 2026" in said.message and "channel_refused" in said.message
    assert said.hint.endswith("lifeboat notify test --channel mail.")


def test_a_channel_that_never_delivered_says_so() -> None:
    (said,) = of_notices(["mail"], {"mail": Delivery().after(moment(5), "channel_unreachable")})
    assert "nothing ever" in said.message


def test_all_is_well_without_a_failure_and_without_channels() -> None:
    (said,) = of_notices(["mail"], {"gone": FAILED})
    assert said.status == OK
    assert not list(of_notices([], {"gone": FAILED}))
