# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any program: it gets the notice as JSON on standard input, and a summary in LIFEBOAT_* environment variables."""

from __future__ import annotations

import json
from typing import Dict

from ..base.errors import ChannelRefused, ChannelUnavailable, DependencyMissing, ProcessFailed
from ..base.process import run
from ..config.notifications import CommandOptions
from .notice import Notice, one_line


class Program:
    """A user's program."""

    def __init__(self, options: CommandOptions) -> None:
        self._options = options

    def send(self, notice: Notice, token: str) -> str:
        """See :class:`.channel.Channel`."""
        argv, data = self._options.argv, json.dumps(notice.as_dict()).encode() + b"\n"
        finish(argv, data, environment(notice, token), self._options.timeout)
        return ""


def finish(argv: tuple[str, ...], data: bytes, env: Dict[str, str], timeout: float) -> None:
    """Run the program of a channel; its output, which may contain a secret, is not quoted."""
    try:
        done = run(argv, check=False, cwd="/", env=env, timeout=timeout, data=data)
    except DependencyMissing:
        raise ChannelRefused(
            f"Program {argv[0]} not found.", "Install it, or correct the options of this channel."
        ) from None
    except ProcessFailed:
        raise ChannelUnavailable(
            f"{argv[0]} could not be run, or did not end within {timeout:g} s.", "Run it manually, as root."
        ) from None
    if done.status:
        how = f"ended with status {done.status}" if done.status > 0 else f"was ended by signal {-done.status}"
        raise ChannelUnavailable(f"{argv[0]} {how}.", "Run it manually to see why.", status=done.status)


def environment(notice: Notice, token: str) -> Dict[str, str]:
    """Environment variables for scripts that do not parse JSON. Pure."""
    return {
        "LIFEBOAT_SEVERITY": notice.severity,
        "LIFEBOAT_STATE": notice.state,
        "LIFEBOAT_KEY": one_line(notice.key, 1000),
        "LIFEBOAT_SUBJECT": one_line(notice.subject),
        "LIFEBOAT_CLUSTER": notice.cluster,
        "LIFEBOAT_HOST": notice.host,
        "LIFEBOAT_JOB": notice.job,
        "LIFEBOAT_STATUS": notice.status,
        "LIFEBOAT_TOKEN": token,
    }
