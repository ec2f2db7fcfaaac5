# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: after_loss
short_description: Remove lost repositories from the list
version_added: 0.1.0
author: The Lifeboat authors (@lifeboat)
description:
  - Removes the lost repositories, or with O(keep) moves them to the end, makes them no longer required, and waits only
    briefly for them. WAL is then archived without them, and C(lifeboat sync) copies what they lack once they are back.
  - If none of the others is required, the first of them becomes required, because at least one must be.
positional: _input, lost
options:
  _input:
    description: The repositories, as in C(lifeboat_repositories).
    type: list
    elements: dict
    required: true
  lost:
    description: The names of the lost repositories, as a list or separated by commas.
    type: raw
    required: true
  keep:
    description: Whether to keep the lost ones in the list.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the repositories without the lost one
  ansible.builtin.debug:
    msg: "{{ lifeboat_repositories | lifeboat.postgres.after_loss('primary') | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description: The changed list of repositories.
  type: list
  elements: dict
"""

from typing import Any, Callable, Dict, List, Mapping, Sequence

from ansible.errors import AnsibleFilterError

# Attempts, and seconds.
_BRIEFLY = {"max_attempts": 1, "connect_timeout": 3, "read_timeout": 10}


def after_loss(repositories: Sequence[Mapping[str, Any]], lost: Any, keep: bool = False) -> List[Dict[str, Any]]:
    """The remaining repositories; AnsibleFilterError for an unknown name, and if none would remain."""
    names = lost.split(",") if isinstance(lost, str) else list(lost or [])
    gone = {str(name).strip() for name in names} - {""}
    known = [str(item.get("name", "")) for item in repositories]
    unknown = sorted(gone - set(known))
    if unknown:
        raise AnsibleFilterError(
            f"lifeboat_lost_repositories names {', '.join(unknown)}, but lifeboat_repositories has"
            f" {', '.join(filter(None, known)) or 'no names'}. Correct the name."
        )
    left = [dict(item) for item, name in zip(repositories, known) if name not in gone]
    if gone and not left:
        raise AnsibleFilterError(
            f"lifeboat_lost_repositories names all repositories ({', '.join(known)}): add the remaining one"
            " to lifeboat_repositories."
        )
    if gone and not any(item.get("required", True) for item in left):
        left[0]["required"] = True
    away = [{**item, **_given_up(item)} for item, name in zip(repositories, known) if name in gone]
    return left + away if keep else left


def _given_up(item: Mapping[str, Any]) -> Dict[str, Any]:
    """The options of a repository that is lost: nobody waits long for one that is likely not to answer."""
    if item.get("type", "directory") == "directory":
        return {"required": False}
    limits = dict(_BRIEFLY)
    for name, most in _BRIEFLY.items():
        # None means the default.
        if isinstance(item.get(name), (int, float)):
            limits[name] = min(item[name], most)
    return {"required": False, **limits}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> Dict[str, Callable[..., Any]]:
        """Their names."""
        return {"after_loss": after_loss}
