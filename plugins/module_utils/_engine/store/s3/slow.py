# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Uploads over a slow line.

botocore sends a body with ``sendall``, 128 KiB at a time, each within ``connect_timeout`` (urllib3 sets the socket's
timeout for the response only after the body is sent). A body that yields less at a time makes do with a slower line,
and if the kernel buffers little, its buffer neither blocks for long nor delays the response.
"""

from __future__ import annotations

import io
import socket
from contextlib import suppress
from typing import Any, Optional

# Bytes of one sendall: with the default of 5 s, 3.3 kB/s are enough. TLS has records of this size.
_STEP = 16 * 1024
# Bytes buffered in the kernel (tcp(7)); it asks for more when half of them are sent.
_AHEAD = 2 * _STEP


class SteadyBody(io.BytesIO):
    """A request body whose bounded reads return at most 16 KiB."""

    def read(self, size: Optional[int] = -1, /) -> bytes:
        """As ``io.BytesIO``."""
        return super().read(size if size is None or size < 0 else min(size, _STEP))


def send_steadily(client: Any) -> None:
    """Let connections of a new boto3 client buffer little unsent data; there is no public API for that."""
    session = getattr(getattr(client, "_endpoint", None), "http_session", None)
    options = getattr(session, "_socket_options", None)
    with suppress(AttributeError):  # Linux and macOS have it.
        if isinstance(options, list):
            options.append((socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _AHEAD))
