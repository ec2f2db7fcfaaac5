# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A password and a secret key of the configuration appear nowhere: output, files, logs, process list."""

from __future__ import annotations

import contextlib
import secrets
import threading
from pathlib import Path
from typing import Iterator, List, Set

import pytest
from seaweedfs import SeaweedFS
from support.installations import Installation
from support.postgres import Ran, Sites, restore_arguments
from support.stores import s3_options_for

pytestmark = pytest.mark.integration


@contextlib.contextmanager
def watched_arguments() -> Iterator[Set[bytes]]:
    """The command lines of all processes seen meanwhile."""
    seen: Set[bytes] = set()
    done = threading.Event()

    def look() -> None:
        while not done.wait(0.03):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    seen.add(process.read_bytes())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        done.set()
        thread.join()


def files_with(root: Path, words: List[bytes]) -> List[Path]:
    return [p for p in root.rglob("*") if p.is_file() and any(w in p.read_bytes() for w in words)]


def test_secrets_stay_in_the_configuration(
    newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, bucket: str
) -> None:
    site = sites(newest_postgres, s3_options_for(seaweedfs, bucket, f"secrets-{secrets.token_hex(4)}"), start=False)
    password, wrong = f"pw-{secrets.token_hex(8)}", f"wrong-{secrets.token_hex(8)}"
    words = [w.encode() for w in (password, wrong, seaweedfs.secret_access_key)]
    cluster = site.cluster
    hba = "local all postgres trust\nlocal all keeper scram-sha-256\nlocal replication keeper scram-sha-256\n"
    (cluster.data_dir / "pg_hba.conf").write_text(hba)
    cluster.start()
    cluster.execute(f"CREATE ROLE keeper SUPERUSER LOGIN REPLICATION PASSWORD '{password}'")
    connection = {"host": str(cluster.socket_dir), "port": cluster.port, "user": "keeper"}
    site.options["connection"] = {**connection, "password": password}
    site.write()
    bad_server = site.write(site.root / "bad-server.yml", connection={**connection, "password": wrong})
    bad_store = site.write(
        site.root / "bad-store.yml", repositories=[{**site.repositories[0], "secret_access_key": wrong}]
    )
    clone = site.clone("clone")
    said: List[Ran] = []

    def say(config_file: Path, *command: str) -> Ran:
        said.append(site.lifeboat(*command, status=None, config_file=config_file))
        return said[-1]

    with watched_arguments() as processes:
        made = say(site.config_file, "backup")
        cluster.switch_wal()
        assert say(site.config_file, "list").status == 0
        assert say(site.config_file, "check").status == 0
        assert "lifeboat_server_up" in say(site.config_file, "metrics").stdout
        refused = say(bad_server, "backup")
        assert (refused.error["error_code"], "keeper" in refused.error["message"]) == ("postgres_error", True)
        assert say(bad_server, "check").status == 2
        assert say(bad_store, "list").error["error_code"] == "store_access_denied"
        assert say(bad_store, "check").status == 2
        arguments = restore_arguments(clone, "--immediate", "--action", "pause")
        assert say(bad_store, *arguments).error["error_code"] == "store_access_denied"
        assert say(site.config_file, *arguments).status == 0
    assert made.status == 0
    assert clone.value("SELECT pg_is_in_recovery()")
    clone.stop()
    cluster.stop()

    for ran in said:
        assert not any(w.decode() in ran.stdout + ran.stderr for w in words)
    assert any(b"lifeboat" in line for line in processes)
    assert any(b"wal-push" in line for line in processes)
    assert not [line for line in processes if any(w in line for w in words)]
    assert sorted(files_with(site.root, words)) == sorted([site.config_file, bad_server, bad_store])
