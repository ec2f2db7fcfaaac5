# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program ``apprise``, for any service that it supports. Its URLs, which contain secrets, stay in its own file."""

from __future__ import annotations

from typing import List

from ..base.errors import ChannelRefused, UntrustedPath
from ..base.files import open_to_read
from ..config.notifications import AppriseOptions
from .channel import unreadable
from .command import finish
from .notice import CRITICAL, OPEN, WARNING, Notice


class Apprise:
    """All URLs in one file, or those with a tag."""

    def __init__(self, options: AppriseOptions) -> None:
        self._options = options

    def send(self, notice: Notice, token: str) -> str:
        """See :class:`.channel.Channel`. Exit status 0 means that each URL accepted the notice."""
        options = self._options
        try:
            # apprise itself would follow a link that somebody else has made.
            open_to_read(options.config_file).close()
        except OSError as exc:
            raise unreadable(options.config_file, exc.strerror or "it cannot be opened") from exc
        except UntrustedPath as exc:
            raise ChannelRefused(exc.message, exc.hint) from exc
        data = (notice.text or notice.subject).encode()
        finish(tuple(arguments(options, notice)), data, {"PYTHONIOENCODING": "utf-8"}, options.timeout)
        return ""


def arguments(options: AppriseOptions, notice: Notice) -> List[str]:
    """The command line, with the file instead of URLs. Pure."""
    kind = {CRITICAL: "failure", WARNING: "warning"}.get(notice.severity, "info")
    if notice.state != OPEN:
        kind = "success" if notice.resolved else "info"
    found = [options.program, f"--config={options.config_file}", f"--title={notice.title}"]
    found += [f"--notification-type={kind}", "--input-format=text", "--disable-async"]
    return found + [f"--tag={tag}" for tag in options.tags]
