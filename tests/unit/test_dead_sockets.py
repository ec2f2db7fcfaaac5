# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A killed store leaves sockets in /tmp; the next one removes them, but no socket in use."""

from __future__ import annotations

import os
import secrets
import socket
from pathlib import Path

import seaweedfs


def test_only_dead_sockets_go() -> None:
    paths = [Path(f"/tmp/seaweedfs-test-{secrets.token_hex(4)}.sock") for _ in range(3)]
    dead, alive, young = paths
    servers = [socket.socket(socket.AF_UNIX) for _ in paths]
    try:
        for path, server in zip(paths, servers):
            server.bind(str(path))
        servers[1].listen()
        servers[0].close()
        for path in (dead, alive):
            os.utime(path, (1, 1))
        seaweedfs.remove_dead_sockets()
        assert (dead.exists(), alive.exists(), young.exists()) == (False, True, True)
    finally:
        for path, server in zip(paths, servers):
            server.close()
            path.unlink(missing_ok=True)
