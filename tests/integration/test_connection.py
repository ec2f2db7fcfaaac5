# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP connections to a real server: the keepalive settings for an unresponsive peer."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest
from lifeboat.config.sections import ConnectionConfig
from lifeboat.postgres.connection import connect
from support.installations import Installation
from support.postgres import Sites

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("replication", [False, True])
def test_a_session_that_idles_for_a_whole_backup_is_kept_alive(
    newest_postgres: Installation, sites: Sites, replication: bool
) -> None:
    cluster = sites(newest_postgres, listen_addresses="127.0.0.1").cluster
    config = ConnectionConfig(host="127.0.0.1", port=cluster.port, user="postgres")
    with closing(connect(config, replication=replication)) as connection:
        with socket.socket(fileno=os.dup(connection.fileno())) as link:
            assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            told = [
                link.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            ]
    assert told == [60, 10, 6, 120_000]
    over_socket = ConnectionConfig(host=str(cluster.socket_dir), port=cluster.port, user="postgres")
    with closing(connect(over_socket, replication=replication)) as connection:
        assert connection.closed == 0
