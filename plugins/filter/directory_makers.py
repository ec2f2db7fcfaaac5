# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: directory_makers
short_description: Decide whether root or the owner creates a directory on a host
version_added: 0.1.0
author: The Lifeboat authors (@lifeboat)
description:
  - Root creates a directory only where nobody else could interfere. All directories above it must be owned by root and
    not writable by others, and the configuration must allow it.
  - The owner creates whatever the owner can create. Everything else is refused.
  - An existing directory is not changed. It must belong to the owner or, with O(adopt), to root in a place where root
    may create it.
positional: _input
options:
  _input:
    description: The directories, absolute and without symbolic links, as printed by C(realpath --canonicalize-missing).
    type: list
    elements: str
    required: true
  stats:
    description:
      - Lines of C(stat --format='%U %a %F|%n') about the directories and all directories above them, as far as they
        exist.
    type: list
    elements: str
    required: true
  owner:
    description: The user who will own the directories.
    type: str
    required: true
  allowed:
    description: The directories that root may create, or create others in. Absolute and without symbolic links.
    type: list
    elements: str
    default: []
  adopt:
    description: Whether to change the owner of existing directories that belong to root.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Decide who creates the directories
  ansible.builtin.set_fact:
    makers: "{{ places | lifeboat.postgres.directory_makers(stats=known, owner='postgres', allowed=['/srv/fast']) }}"
"""

RETURN = r"""
_value:
  description:
    - A list of mappings C(path), C(maker) and C(refused).
    - C(maker) is V(root), the owner, or empty if there is nothing to do. C(refused) is why it is refused, or empty.
  type: list
  elements: dict
"""

import posixpath
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

from ansible.errors import AnsibleFilterError

# No data of PostgreSQL belongs here, whatever the configuration allows. A PostgreSQL that was compiled has its data in
# /usr/local.
_SYSTEM = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "run", "sbin", "sys", "usr")
_EXCEPT = "/usr/local/"


class _Known(NamedTuple):
    """Owner, mode and type of a file, as printed by stat."""

    owner: str
    mode: int
    kind: str


class _Decision(NamedTuple):
    path: str
    maker: str
    refused: str


def _parsed(lines: Sequence[str]) -> Dict[str, _Known]:
    found: Dict[str, _Known] = {}
    for line in lines:
        head, _sep, path = line.partition("|")
        owner, mode, kind = head.split(" ", 2)
        found[path] = _Known(owner, int(mode, 8), kind)
    return found


def _above(path: str) -> List[str]:
    """All directories above the path, / first."""
    parts = path.split("/")[1:-1]
    return ["/", *(f"/{'/'.join(parts[: number + 1])}" for number in range(len(parts)))]


def _refusal(path: str, above: Sequence[str], known: Dict[str, _Known], allowed: Sequence[str]) -> str:
    """Why root does not create the directory; empty if it does."""
    if path.split("/")[1] in _SYSTEM and not path.startswith(_EXCEPT):
        return f"{path} is in a system directory"
    if not any(path == place or path.startswith(place.rstrip("/") + "/") for place in allowed):
        return f"{path} is not allowed by the configuration"
    for place in above:
        there = known[place]
        if there.kind != "directory" or there.owner != "root" or there.mode & 0o022:
            kind = f"{there.kind} of {there.owner}, mode {there.mode:04o}"
            return f"{place} above {path} must be a directory that only root can write to ({kind})"
    return ""


def _of_what_is_there(
    path: str, known: Dict[str, _Known], owner: str, allowed: Sequence[str], adopt: bool
) -> _Decision:
    there = known[path]
    if there.kind != "directory":
        return _Decision(path, "", f"{path} is a {there.kind}")
    if there.owner == owner:
        return _Decision(path, "", "")
    if adopt and there.owner == "root" and not _refusal(path, _above(path), known, allowed):
        return _Decision(path, "root", "")
    return _Decision(path, "", f"{path} belongs to {there.owner}")


def _of_what_is_not(
    path: str, known: Dict[str, _Known], owner: str, allowed: Sequence[str], others: Sequence[str]
) -> _Decision:
    above = [place for place in _above(path) if place in known]
    # Below a directory that will be the owner's, the owner creates the rest.
    if known[above[-1]].owner == owner or any(path.startswith(f"{other}/") for other in others):
        return _Decision(path, owner, "")
    refused = _refusal(path, above, known, allowed)
    return _Decision(path, "" if refused else "root", refused)


def directory_makers(
    paths: Sequence[str], stats: Sequence[str], owner: str, allowed: Sequence[str] = (), adopt: bool = False
) -> List[Dict[str, Any]]:
    """See DOCUMENTATION."""
    for path in paths:
        if not path.startswith("/") or posixpath.normpath(path) != path or path.startswith("//") or path == "/":
            raise AnsibleFilterError(f"{path!r} is not an absolute, normalized path of a directory.")
    known = _parsed(stats)
    missing = [path for path in paths if path not in known]
    return [
        (
            _of_what_is_there(path, known, owner, allowed, adopt)
            if path in known
            else _of_what_is_not(path, known, owner, allowed, missing)
        )._asdict()
        for path in paths
    ]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Their names."""
        return {"directory_makers": directory_makers}
