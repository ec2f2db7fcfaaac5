# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan checks before anything is extracted: options and ports."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import pytest
from lifeboat.base.errors import ConfigError, TargetUnreachable
from lifeboat.cli.commands.restore import _request
from lifeboat.cli.main import build_parser
from lifeboat.postgres.running import Running, touches
from lifeboat.records.model import Target
from lifeboat.restore.beforehand import port_taken, require_single
from support.records import a_backup

SERVER = Running(7, "/data", ("/data", "/space"), 5432, "/run/postgresql")
APART: Dict[str, Any] = {"listen_addresses": "", "unix_socket_directories": "/tmp/mine,/tmp/other"}


@pytest.mark.parametrize(
    ("words", "pair"),
    [
        ("/old=/new", ("/old", "/new")),
        ("/o\\=ld=/ne\\=w", ("/o=ld", "/ne=w")),
        ("/back\\slash=/n", ("/back\\slash", "/n")),
        ("C\\=\\==/n", ("C==", "/n")),
    ],
)
def test_an_equals_sign_in_a_path_is_written_with_a_backslash(words: str, pair: Tuple[str, str]) -> None:
    args = build_parser().parse_args(["restore", "--tablespace", words])
    assert _request(args).tablespaces == dict([pair])


@pytest.mark.parametrize("words", ["/old", "/old=", "=/new", "/old=/new=x", "/o\\=n"])
def test_what_is_no_mapping_is_refused(words: str) -> None:
    with pytest.raises(ConfigError, match="OLD=NEW"):
        _request(build_parser().parse_args(["restore", "--tablespace", words]))


def test_a_port_is_taken_where_an_address_or_a_directory_of_sockets_is_shared() -> None:
    assert port_taken("5432", {}, [SERVER]) == SERVER
    assert port_taken("5433", {}, [SERVER]) is None
    assert port_taken("5432", APART, [SERVER]) is None
    assert port_taken("5432", {**APART, "unix_socket_directories": "/tmp/a,/run/postgresql"}, [SERVER]) == SERVER
    assert port_taken("5432", {"unix_socket_directories": "/tmp/mine"}, [SERVER]) == SERVER
    assert port_taken("5432", {}, [Running(7, "/data", ("/data",))]) is None


def test_one_restore_point_is_enough_and_two_are_too_many() -> None:
    target, backup = Target("name", "deploy"), a_backup()
    require_single(target, backup, [0x3000028])
    with pytest.raises(TargetUnreachable) as refused:
        require_single(target, backup, [0x5000028, 0x3000028])
    assert refused.value.details["positions"] == ["0/3000028", "0/5000028"]
    assert "--lsn 0/5000028" in refused.value.hint


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/data", "/data"),
        ("/", "/data"),
        ("/data/base", "/data"),
        ("/space/x", "/space"),
        ("/data2", None),
        ("/dat", None),
    ],
)
def test_a_servers_directories_are_touched_from_above_and_below(path: str, found: Any) -> None:
    assert touches(path, SERVER.directories) == found
