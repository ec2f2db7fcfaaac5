# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identities of the role ``repository``, from its own templates."""

from __future__ import annotations

import json
from typing import Tuple

from jinja2 import Template
from lifeboat.config import S3Options
from lifeboat.repository.identities import Identity

from .stores import ROOT

POLICIES = ROOT / "roles" / "repository" / "templates" / "policies"
NAMES = ("writer", "reader", "janitor", "repairer")


def identities(options: S3Options) -> Tuple[Identity, ...]:
    """All of them, for the prefix ``team/`` of the bucket."""
    policies = {name: (POLICIES / f"{name}.json.j2").read_text(encoding="utf-8") for name in NAMES}
    return tuple(
        Identity(
            name,
            f"{options.bucket}-{name}",
            json.loads(Template(text).render(bucket=options.bucket, prefix="team/")),
        )
        for name, text in policies.items()
    )
