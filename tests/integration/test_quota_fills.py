# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository that fills up: metrics and ``usage`` warn while WAL can still be archived."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.base.errors import StoreFull
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Sites

pytestmark = pytest.mark.integration

SMALL = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = 'mount -t tmpfs -o size=20m none "$0" && exec unshare --user --map-user=65534 --map-group=65534 "$@"'
FILL = """
import contextlib, io, json, os, sys
from lifeboat.cli.main import main
from lifeboat.exporter import Fleet

config, fleet, *segments = sys.argv[1:]
# Where PostgreSQL starts archive_command.
os.chdir(os.path.dirname(os.path.dirname(segments[0])))

def lifeboat(*words):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main(["--config", config, "--json", *words])
    return status, said.getvalue()

out = []
for segment in segments:
    status, said = lifeboat("wal-push", segment)
    if status:
        print(json.dumps({"full": status, "said": said, "before": out}))
        break
    told = json.loads(lifeboat("usage", "--without-prune")[1])["repositories"][0]
    # A new one each time: it measures once an hour.
    watching = Fleet(fleet)
    watching.refresh()
    found = {metric.name: value for samples in watching.samples() for metric, _labels, value in samples}
    out.append([told["status"], 1 - found["repository_free_bytes"] / found["repository_quota_bytes"]])
"""


def test_metrics_and_usage_warn_before_archiving_fails(sites: Sites, a_postgres: Installation, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    site = sites(a_postgres, DirectoryOptions(str(tmp_path / "store")), fresh=True, segment_mb=1)
    # What is not archived stays in pg_wal.
    site.cluster.execute("ALTER SYSTEM SET archive_command = '/bin/false'", "SELECT pg_reload_conf()")
    for number in range(60):
        site.cluster.execute(
            f"CREATE TABLE t{number} AS SELECT gen_random_uuid() AS a, gen_random_uuid() AS b"
            " FROM generate_series(1, 9000)",
            "SELECT pg_switch_wal()",
        )
    wal = site.cluster.data_dir / "pg_wal"
    ready = sorted(path.stem for path in (wal / "archive_status").glob("*.ready") if len(path.stem) == 24)
    site.cluster.stop()
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    config = site.write(fleet / "main.yml", audit={"file": None, "syslog": ""})
    segments = [str(wal / name) for name in ready]
    done = subprocess.run(
        [*SMALL, MOUNT, str(tmp_path / "store"), sys.executable, "-c", FILL, str(config), str(fleet), *segments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    assert done.returncode == 0 and done.stdout, done.stderr
    found: Dict[str, Any] = json.loads(done.stdout)
    assert StoreFull.error_code in found["said"], found
    told: List[str] = [status for status, _share in found["before"]]
    assert told[0] == "ok" and told[-1] == "critical" and "warning" in told
    shares = [share for _status, share in found["before"]]
    # What QuotaFilling warns of, and what it calls critical.
    assert shares == sorted(shares) and shares[0] < 0.8 and any(0.8 < s < 0.95 for s in shares) and shares[-1] > 0.95
