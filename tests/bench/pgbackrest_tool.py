# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pgBackRest with asynchronous archiving, bundling and zstd: the distribution's, and the newest (``tools/newest``)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from support.postgres import Cluster
from tls_store import BUCKET, REGION
from tool import Place, output

NEWEST = Path(__file__).resolve().parents[2] / ".build" / "newest" / "pgbackrest" / "bin" / "pgbackrest"


class PgBackRest:
    """Two processes, one for each core of the reference machine."""

    name = "pgBackRest"
    options = "process-max=2, zst (level 3, its default), repo-bundle, archive-async; incremental by file"
    programs = ("pgbackrest",)
    wal_segments: Optional[int] = None
    newest_server = False
    program = "pgbackrest"
    more: Mapping[str, str] = {}

    def __init__(self, place: Place) -> None:
        self._place = place
        self._config = place.work / "pgbackrest.conf"

    @staticmethod
    def missing() -> Optional[str]:
        """Why it cannot run here."""
        return None if shutil.which("pgbackrest") else "it is not installed (apt-get install pgbackrest)"

    @classmethod
    def version(cls) -> str:
        return output(cls.program, "version")

    def prepare(self) -> None:
        place = self._place
        for name in ("spool", "lock", "log"):
            (place.work / name).mkdir(parents=True)
        settings: Dict[str, object] = {
            "repo1-type": "s3", "repo1-path": f"/{place.prefix}", "repo1-s3-bucket": BUCKET, "repo1-s3-region": REGION,
            "repo1-s3-endpoint": "localhost", "repo1-storage-port": place.store.https_port,
            "repo1-s3-uri-style": "path",
            "repo1-storage-ca-file": place.store.certificate, "repo1-bundle": "y", "repo1-retention-full": 100,
            "compress-type": "zst", "process-max": 2, "archive-async": "y", "start-fast": "y",
            "spool-path": place.work / "spool", "lock-path": place.work / "lock", "log-path": place.work / "log",
            "log-level-console": "warn", "log-level-file": "off",
            **self.more,
        }  # fmt: skip
        # In the file, which only its owner reads: PostgreSQL calls it too, and the keys are no argument.
        keys = {"repo1-s3-key": place.store.access_key_id, "repo1-s3-key-secret": place.store.secret_access_key}
        lines = ["[global]", *(f"{k}={v}" for k, v in {**settings, **keys}.items()), "", "[bench]"]
        lines += [f"pg1-path={place.cluster.data_dir}", f"pg1-port={place.cluster.port}"]
        lines += [f"pg1-socket-path={place.cluster.socket_dir}", "pg1-user=postgres", ""]
        self._config.touch(0o600)
        self._config.write_text("\n".join(lines))
        subprocess.run([*self._words, "stanza-create"], check=True)

    @property
    def _words(self) -> List[str]:
        return [self.program, f"--config={self._config}", "--stanza=bench"]

    @property
    def env(self) -> Mapping[str, str]:
        return {}

    @property
    def archive_command(self) -> str:
        return " ".join([*self._words, "archive-push %p"])

    @property
    def backup(self) -> List[str]:
        return [*self._words, "--type=full", "backup"]

    @property
    def incremental(self) -> List[str]:
        return [*self._words, "--type=incr", "backup"]

    @staticmethod
    def no_incremental(server: int) -> Optional[str]:
        return None

    def rest(self) -> None:
        """Its asynchronous processes end by themselves."""

    def wake(self) -> None:
        """The server starts them."""

    def restore(self, clone: Cluster) -> List[str]:
        clone.data_dir.mkdir(mode=0o700)
        return [*self._words, f"--pg1-path={clone.data_dir}", "restore"]

    def recovery(self, clone: Cluster) -> Optional[Mapping[str, str]]:
        words = " ".join([*self._words, f"--pg1-path={clone.data_dir}", 'archive-get %f "%p"'])
        return {"restore_command": words}


class NewestPgBackRest(PgBackRest):
    """The newest release, with the block incremental backups that the distribution's one does not have."""

    name = "pgBackRest, newest"
    options = "process-max=2, zst (level 3, its default), repo-bundle, repo-block, archive-async"
    # It runs under its own dynamic linker, and is known by its name.
    programs = ("pgbackrest", "ld-linux")
    newest_server = True
    program = str(NEWEST)
    more = {"repo1-block": "y"}

    @staticmethod
    def missing() -> Optional[str]:
        return None if NEWEST.exists() else "it is not there (tools/newest pgbackrest, as root)"
