# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an assessment believes of records that anybody with the writer's keys could have stored."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict

import pytest
from lifeboat.config.load import DirectoryOptions
from lifeboat.records.model import seal_record
from lifeboat.repository.layout import Layout
from lifeboat.store import open_store
from support.installations import Installation
from support.postgres import Site, Sites
from support.signing import key_pair

pytestmark = pytest.mark.integration


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, tmp_path: Path) -> Site:
    """Records are signed; two backups."""
    (tmp_path / "store").mkdir()
    ours = key_pair(tmp_path, "ours")
    made = sites(
        newest_postgres, DirectoryOptions(str(tmp_path / "store")), segment_mb=1,
        options={"signing": {"key_file": str(ours.key_file), "signers": [ours.signer()]}},
    )  # fmt: skip
    made.backup()
    made.cluster.switch_wal()
    made.lifeboat("verify", "--restore")
    return made


def rebuild(site: Site, **changes: Any) -> Dict[str, Any]:
    found = site.lifeboat("assess", "--disaster", "corruption", config_file=site.write(**changes)).data
    return {**next(way for way in found["ways"] if way["name"] == "rebuild"), "page": found}


def test_forged_figures_count_for_nothing_where_records_are_signed(site: Site, tmp_path: Path) -> None:
    genuine = rebuild(site)
    assert "as in the restore test of" in genuine["lasts"]["source"]
    label = site.lifeboat("list").data["backups"][0]["label"]
    store, layout = open_store(DirectoryOptions(str(tmp_path / "store"))), Layout("main")
    (known,) = [info.key for info in store.list(layout.restore_tests)]
    now = datetime.now(timezone.utc) + timedelta(seconds=2)
    report = {
        "format": 1, "label": label, "proven": False, "ended_at": now.isoformat().replace("+00:00", "Z"),
        "restored": {"timings": {"extract": 1.0}, "bytes_restored": 900_000_000_000, "segments": 1},
    }  # fmt: skip
    store.put(layout.restore_test(now, "00000000"), seal_record(report))
    store.close()
    after = rebuild(site)
    assert (after["lasts"], after["conditions"]) == (genuine["lasts"], genuine["conditions"])
    findings = after["page"]["repositories"][0]["findings"]
    assert known and any("-00000000.json" in words for words in findings), findings
    # Without signatures it counts as any record, and the page says what the figure is from.
    believed = rebuild(site, signing={})
    assert "did not pass its last restore test" in believed["conditions"][0]["reason"]
    assert "900000 MB/s as in the restore test of" in believed["lasts"]["source"]
