# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the channels of notices deliver: failures go unnoticed through one that does not."""

from __future__ import annotations

from typing import Iterator, Mapping, Sequence

from ..notify import Delivery
from ..records.model import format_time
from .answer import OK, WARNING, Check


def of_notices(channels: Sequence[str], deliveries: Mapping[str, Delivery]) -> Iterator[Check]:
    """A result for each channel that did not deliver its last notice, or a single one for all. Pure.

    A channel that was never used is not a failure; ``lifeboat notify test`` tests it.
    """
    failing = 0
    for name in channels:
        how = deliveries.get(name, Delivery())
        if how.error_code is None or how.last_failure is None:
            continue
        failing += 1
        since = f"since {format_time(how.last_success)[:19]}Z" if how.last_success else "ever"
        text = f"The channel has delivered nothing {since}; at {format_time(how.last_failure)[:19]}Z: {how.error_code}."
        hint = f"Correct it, then test it as root: lifeboat notify test --channel {name}."
        yield Check("notices", WARNING, text, hint, about=name)
    if channels and not failing:
        yield Check("notices", OK, f"no channel has failed ({len(channels)} configured)")
