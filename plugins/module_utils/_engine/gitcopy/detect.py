# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find secrets in files with ``detect-secrets``: their places and kinds, never the secrets themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import List

from ..base.errors import DependencyMissing, ProcessFailed
from ..base.process import run

_TIMEOUT = 600.0
# In every postgresql.conf: the name of a hash method, not a password.
_SETTING = r"^\s*#?\s*password_encryption\s*=\s*'?(scram-sha-256|md5|on)\b"


@dataclass(frozen=True)
class Finding:
    """A line of a file that looks like a secret of this kind; the path is relative to the searched directory."""

    path: str
    line: int
    kind: str


def find_secrets(detector: str, directory: str, below: str) -> List[Finding]:
    """Search every file below ``below`` of ``directory``. Nothing is sent over the network, and no secret is returned.

    DependencyMissing without the program: files that were not searched are not pushed.
    """
    # An IP address is not a secret; verifying a key with its provider would reveal it.
    argv = [detector, "scan", "--all-files", "--no-verify", "--disable-plugin", "IPPublicDetector"]
    argv += ["--exclude-lines", _SETTING, below]
    try:
        told = run(argv, cwd=directory, timeout=_TIMEOUT).stdout
    except DependencyMissing as exc:
        raise DependencyMissing(
            f"Program {detector} not found; nothing is pushed to git.",
            "Install it with the role agent or pip install detect-secrets, or set git.detector to its path.",
            program=detector,
        ) from exc
    try:
        results = json.loads(told)["results"]
        return sorted(
            (Finding(path, int(f["line_number"]), str(f["type"])) for path, found in results.items() for f in found),
            key=lambda f: (f.path, f.line, f.kind),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ProcessFailed(f"Cannot parse the output of {detector}.", "Install detect-secrets 1.5.") from exc
