# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat check`` reports how stored objects are encrypted: by the store, and by sealing."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
from lifeboat.base.errors import ObjectMissing
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.config.store_options import StoreOptions
from lifeboat.store import at_rest, open_store
from support.age import make_key, needs_age
from support.installations import Installation
from support.postgres import Site, Sites, entry

pytestmark = [pytest.mark.integration, needs_age]


def lines(site: Site) -> Dict[str, Tuple[str, str]]:
    found: Any = site.lifeboat("check", status=None).data["checks"]
    return {c["name"]: (c["status"], c["message"]) for c in found if "transit" in c["name"] or "at rest" in c["name"]}


def test_encryption_in_transit_at_rest_and_by_seal_is_reported(
    newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path
) -> None:
    (tmp_path / "cold").mkdir()
    encrypted = dataclasses.replace(s3_options, prefix=f"{s3_options.prefix}-sse", sse="AES256")
    site = sites(
        newest_postgres, s3_options, encrypted, DirectoryOptions(str(tmp_path / "cold")), segment_mb=1,
    )  # fmt: skip
    site.backup()
    told = lines(site)
    assert told["repository repo0: in transit"] == ("ok", "plain HTTP to this machine")
    assert told["repository repo2: in transit"] == ("ok", "a directory: depends on its mount")
    assert told["repository repo0: at rest"] == ("ok", "the store reports no encryption; not sealed")
    assert told["repository repo1: at rest"] == ("ok", "encrypted by the store (AES256); not sealed")
    assert told["repository repo2: at rest"][1].endswith("file system's encryption is not known; not sealed")

    # What is asked for and not done is a warning: the newest backup is of before.
    recipient = make_key(tmp_path / "key").recipient
    site.repositories[0] = {**entry(0, s3_options), "sse": "AES256"}
    site.write(seal={"recipients": [recipient]})
    told = lines(site)
    assert [told[f"repository repo{n}: at rest"][0] for n in (0, 1, 2)] == ["warning"] * 3
    site.backup()
    told = lines(site)
    assert told["repository repo0: at rest"] == (
        "ok", "sealed to 1 recipients on the host; encrypted by the store (AES256)",
    )  # fmt: skip
    assert told["repository repo2: at rest"][1].startswith("sealed to 1 recipients")


@pytest.mark.parametrize(
    "kind,words", [("azure", "encrypted by the store (Azure Storage)"), ("gcs", "the store reports no")]
)
def test_other_stores_report_encryption_too(request: pytest.FixtureRequest, kind: str, words: str) -> None:
    options: StoreOptions = request.getfixturevalue(f"{kind}_options")
    store = open_store(options)
    store.put("main/repository.json", b"{}")
    store.close()
    assert at_rest(options, "main/repository.json").words.startswith(words)
    with pytest.raises(ObjectMissing):
        at_rest(options, "main/none.json")
