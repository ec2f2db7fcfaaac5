# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The identities of the role ``repository``, from its own templates."""

from __future__ import annotations

import json
from typing import Any, Dict, Sequence, Tuple

from jinja2 import Template
from lifeboat.config.load import S3Options
from lifeboat.provision.identities import Identity

from .stores import ROOT

POLICIES = ROOT / "roles" / "repository" / "templates" / "policies"
NAMES = ("writer", "files", "reader", "janitor", "rescuer", "repairer")


def policy(options: S3Options, name: str, clusters: Sequence[str] = (), apart: bool = False) -> Dict[str, Any]:
    """One of them, for the prefix ``team/`` of the bucket."""
    past = name == "rescuer"
    text = (POLICIES / f"{'writer' if past else name}.json.j2").read_text(encoding="utf-8")
    # As Ansible's own template does.
    template = Template(text, trim_blocks=True)
    found: Dict[str, Any] = json.loads(
        template.render(
            bucket=options.bucket,
            prefix="team/",
            clusters=[] if past else list(clusters),
            apart=apart and not past,
            past=past,
        )
    )
    return found


def identities(options: S3Options, clusters: Sequence[str] = (), apart: bool = False) -> Tuple[Identity, ...]:
    """All of them; with ``apart``, only the identity ``files`` may store file sets."""
    return tuple(Identity(name, f"{options.bucket}-{name}", policy(options, name, clusters, apart)) for name in NAMES)
