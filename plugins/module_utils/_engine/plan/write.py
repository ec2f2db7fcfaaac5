# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the plan with the stored one, and store it. Files that did not change are not written."""

from __future__ import annotations

import difflib
import os
from dataclasses import dataclass
from typing import Dict, List, Optional, Tuple

from ..base.errors import ConfigError
from ..base.files import make_directory, open_to_read, replace_file
from .blocks import markdown, page
from .company import Company
from .content import document
from .runbook import runbook

PAGE, TEXT = "plan.html", "plan.md"


@dataclass(frozen=True)
class Change:
    """A file of the plan with its new content, and what was stored (None: nothing)."""

    name: str
    before: Optional[str]
    after: str

    @property
    def changed(self) -> bool:
        """Whether it is another one."""
        return self.before != self.after

    def lines(self) -> List[str]:
        """The lines that go (-) and come (+); none of the page, whose text is that of the Markdown."""
        if not self.changed or self.name == PAGE:
            return []
        if self.before is None:
            return [f"{self.name}: new"]
        found = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), lineterm="", n=0)
        return [f"{self.name}: {line}" for line in list(found)[2:] if not line.startswith("@@")]


def compare(told: Company, directory: str) -> Tuple[Change, ...]:
    """Every file of the plan, against what the directory has."""
    whole = document(told)
    texts: Dict[str, str] = {TEXT: markdown(whole), PAGE: page(whole)}
    texts.update({f"by-hand-{facts['cluster']}.txt": runbook(told, facts) for facts in told.clusters})
    return tuple(Change(name, _stored(os.path.join(directory, name)), text) for name, text in texts.items())


def _stored(path: str) -> Optional[str]:
    try:
        with open_to_read(path) as stream:
            return stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise ConfigError(
            f"Cannot read {path}: {exc.strerror}.", "Name a directory of this user, in plan_dir.", path=path
        ) from exc


def store(changes: Tuple[Change, ...], directory: str) -> None:
    """Write what changed, each file as a whole, for this user and group only: they name people and phone numbers."""
    try:
        make_directory(directory, 0o750)
        for change in changes:
            if change.changed:
                replace_file(os.path.join(directory, change.name), change.after.encode("utf-8", "replace"), mode=0o640)
    except OSError as exc:
        raise ConfigError(
            f"Cannot write the plan to {directory}: {exc.strerror}.",
            "Name a directory of this user, in plan_dir.",
            path=directory,
        ) from exc
