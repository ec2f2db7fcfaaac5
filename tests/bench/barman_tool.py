# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""barman-cloud from PyPI, with zstd."""

from __future__ import annotations

from typing import List, Mapping, Optional

from support.postgres import Cluster
from support.stores import ROOT
from tls_store import BUCKET, REGION
from tool import Place, output

_BIN = ROOT / ".build" / "bench-venv" / "bin"


class BarmanCloud:
    """Each of its commands starts Python."""

    name = "barman-cloud"
    options = "--zstd, two jobs; WAL is fetched four segments at a time (-p 4)"
    programs = ("barman-cloud",)
    wal_segments: Optional[int] = 30
    newest_server = False

    def __init__(self, place: Place) -> None:
        self._place = place

    @staticmethod
    def missing() -> Optional[str]:
        """Why it cannot run here."""
        return None if (_BIN / "barman-cloud-backup").exists() else "pip could not install requirements/bench.txt"

    @staticmethod
    def version() -> str:
        return output(str(_BIN / "barman-cloud-backup"), "--version")

    def prepare(self) -> None:
        self._place.work.mkdir(parents=True)
        # What PostgreSQL calls has no environment of its own.
        wrapper = self._place.work / "barman"
        lines = [f"export {name}='{value}'" for name, value in self.env.items()]
        wrapper.write_text("\n".join(["#!/bin/sh", *lines, "program=$1; shift", f'exec "{_BIN}/$program" "$@"', ""]))
        wrapper.chmod(0o700)

    @property
    def env(self) -> Mapping[str, str]:
        store = self._place.store
        return {
            "AWS_ACCESS_KEY_ID": store.access_key_id, "AWS_SECRET_ACCESS_KEY": store.secret_access_key,
            "AWS_CA_BUNDLE": str(store.certificate), "AWS_DEFAULT_REGION": REGION,
        }  # fmt: skip

    def _call(self, program: str, *options: str) -> List[str]:
        where = [f"--endpoint-url={self._place.store.https_url}", "--addressing-style=path"]
        url = f"s3://{BUCKET}/{self._place.prefix}"
        return [str(self._place.work / "barman"), program, *where, *options, url, "bench"]

    @property
    def archive_command(self) -> str:
        return " ".join([*self._call("barman-cloud-wal-archive", "--zstd"), "%p"])

    @property
    def backup(self) -> List[str]:
        cluster = self._place.cluster
        server = ["-h", str(cluster.socket_dir), "-p", str(cluster.port), "-U", "postgres", "--immediate-checkpoint"]
        return self._call("barman-cloud-backup", "--zstd", "-J", "2", *server, "-n", "full")

    @property
    def incremental(self) -> List[str]:
        raise NotImplementedError

    @staticmethod
    def no_incremental(server: int) -> Optional[str]:
        return "barman-cloud-backup makes none in an object store"

    def rest(self) -> None:
        """No process of it runs beside the server."""

    def wake(self) -> None:
        """The server starts it."""

    def restore(self, clone: Cluster) -> List[str]:
        return [*self._call("barman-cloud-restore"), "full", str(clone.data_dir)]

    def recovery(self, clone: Cluster) -> Optional[Mapping[str, str]]:
        spool = self._place.work / f"spool-{clone.data_dir.name}"
        words = self._call("barman-cloud-wal-restore", "-p", "4", "--spool-dir", str(spool))
        return {"restore_command": " ".join([*words, "%f", '"%p"'])}
