# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a site, and backups that must fail."""

from __future__ import annotations

import secrets
from typing import Any, Dict, List

from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from seaweedfs import SeaweedFS

from .postgres import Site
from .stores import s3_options_for

CANARY = "hunter2-canary"


def s3(seaweedfs: SeaweedFS, bucket: str) -> S3Options:
    return s3_options_for(seaweedfs, bucket, f"backup-{secrets.token_hex(4)}")


def labels(site: Site, **changes: Any) -> List[str]:
    return [b["label"] for b in site.lifeboat("list", **changes).data["backups"]]


def recorded(site: Site) -> List[str]:
    """The labels that have a manifest in the first repository, read without Lifeboat."""
    store = open_store(site.config.repositories[0].store)
    return [n.rstrip("/") for n in store.list_names("main/backups/") if store.head(f"main/backups/{n}manifest.json")]


def refused(
    site: Site, code: str, *says: str, config_file: Any = None, arguments: List[str] | None = None
) -> Dict[str, Any]:
    """Make a backup that must fail with this error and message, and leave no manifest."""
    known = recorded(site)
    ran = site.lifeboat("backup", *(arguments or []), status=1, config_file=config_file)
    error = ran.error
    assert error["error_code"] == code, error
    for words in says:
        assert words in error["message"], error
    assert error["hint"]
    assert CANARY not in ran.stdout + ran.stderr
    assert recorded(site) == known
    return error
