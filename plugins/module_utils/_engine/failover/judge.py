# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a standby may be promoted, from what would be lost. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Optional, Tuple

from ..base.errors import ConfigError
from ..base.units import size
from ..base.wal_names import format_lsn, parse_lsn

OK, NEEDS_ACCEPTANCE, REFUSED = "ok", "needs_acceptance", "refused"
_LIMIT = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)(s|min|h|B|kB|MB|GB)\Z", re.ASCII)
_SECONDS = {"s": 1, "min": 60, "h": 3600}
_BYTES = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}


@dataclass(frozen=True)
class Limit:
    """The most that may be lost without somebody accepting it: bytes of WAL that was known, or seconds of commits."""

    bytes: Optional[float] = None
    seconds: Optional[float] = None


NO_LOSS = Limit(bytes=0)


def read_limit(text: Optional[str], rpo: Optional[float]) -> Limit:
    """``60s`` or ``16MB``; without it the RPO, and without that no byte. ConfigError for anything else."""
    if text is None:
        return NO_LOSS if rpo is None else Limit(seconds=rpo)
    match = _LIMIT.match(text)
    if not match:
        raise ConfigError(
            f"The most that may be lost is {text!r}.", "Write a number with its unit: s, min, h, B, kB, MB or GB: 60s."
        )
    value, unit = float(match.group(1)), match.group(2)
    return Limit(seconds=value * _SECONDS[unit]) if unit in _SECONDS else Limit(bytes=value * _BYTES[unit])


def accepted_lsn(text: Optional[str]) -> Optional[int]:
    """The LSN at which a loss is accepted; ConfigError for what is none."""
    try:
        return None if text is None else parse_lsn(text)
    except ValueError as exc:
        raise ConfigError(f"The accepted LSN {exc}.", "Take the one that lifeboat standby loss shows.") from exc


@dataclass(frozen=True)
class Known:
    """What the decision rests on.

    ``lsn`` is where the standby will be once it has replayed all that it can get. ``primary`` is the last known end of
    the primary's WAL, None if nothing is known of it. ``uncovered`` are the seconds that have passed since the moment
    up to which everything is here: a commit that is lost was made within them; None if that is not known. ``missing``
    are the segments that keep the standby from WAL behind them, ``left`` says that the cluster went another way.
    """

    lsn: int
    primary: Optional[int] = None
    uncovered: Optional[float] = None
    missing: Tuple[str, ...] = ()
    left: str = ""

    @property
    def lost_bytes(self) -> Optional[int]:
        """WAL that the primary wrote, as far as it was heard of, and that is nowhere else; None if not known."""
        return None if self.primary is None else max(0, self.primary - self.lsn)


@dataclass(frozen=True)
class Verdict:
    """``ok``, ``needs_acceptance`` or ``refused``, and why."""

    word: str
    reasons: Tuple[str, ...] = ()


def judge(known: Known, limit: Limit, accepted: Optional[int] = None) -> Verdict:
    """Whether to promote. ``accepted`` is the LSN that was shown to whoever accepts the loss.

    An LSN that is not the present one is refused, whatever would be lost: what was accepted is not what is lost. A gap
    is refused unless it was accepted so; WAL that went another way is refused anyway.
    """
    if known.left:
        return Verdict(REFUSED, (known.left,))
    if accepted is not None and accepted != known.lsn:
        shown, now = format_lsn(accepted), format_lsn(known.lsn)
        return Verdict(REFUSED, (f"the loss was accepted at {shown}, and it is {now} now: look again",))
    gap = [f"WAL is missing, and later WAL is there: {', '.join(known.missing)}"] if known.missing else []
    reasons = gap + _beyond(known, limit)
    if not reasons or accepted is not None:
        return Verdict(OK, tuple(reasons))
    return Verdict(REFUSED if gap else NEEDS_ACCEPTANCE, tuple(reasons))


def _beyond(known: Known, limit: Limit) -> List[str]:
    found, lost = [], known.lost_bytes
    if limit.bytes is not None:
        if lost is None:
            found.append("how much WAL the primary wrote is not known")
        elif lost > limit.bytes:
            found.append(f"{size(lost)} of WAL that the primary wrote are lost, more than {size(limit.bytes)}")
    if limit.seconds is not None:
        if known.uncovered is None:
            found.append("when the primary was last heard of is not known")
        elif known.uncovered > limit.seconds:
            found.append(
                f"commits of the last {known.uncovered:.0f} s may be lost, and {limit.seconds:g} s are allowed"
            )
    return found
