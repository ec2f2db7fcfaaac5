# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bucket with Object Lock, as the role ``repository`` makes it."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

from lifeboat.config.load import S3Options
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.features import HOLDS
from lifeboat.provision.identities import read_credentials, with_credentials

from .identities import identities
from .stores import SeaweedFS, s3_options_for


def locked_bucket(server: SeaweedFS, mode: str, directory: Path) -> Dict[str, S3Options]:
    """Its options by ``admin`` and by the identities of the role; below the prefix ``team``."""
    admin = replace(s3_options_for(server, f"locked-{secrets.token_hex(4)}", "team"), object_lock=mode)
    path = str(directory / "keys.json")
    prepared = bucket.apply(BucketRequest(admin, identities=identities(admin), credentials_file=path))
    states = {f.name: (f.state, f.detail) for f in prepared.features}
    assert states["object_lock"] == states["lock_holds"] == (HOLDS, "")
    keys = {name: with_credentials(admin, found) for name, found in read_credentials(path).items()}
    return {"admin": admin, **{name: value for name, value in keys.items() if value}}


def keys_of(options: S3Options) -> Dict[str, Any]:
    """The part of them that a configuration needs."""
    return {"access_key_id": options.access_key_id, "secret_access_key": options.secret_access_key}
