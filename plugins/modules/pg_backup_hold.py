# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_hold
short_description: Pin a backup, so that retention leaves it, or release it
version_added: 0.1.0
description:
  - A held backup stays, with all that it is based on and the WAL that makes it consistent, whatever its age.
  - A hold and its release are written into every repository as objects of their own, with who, when and why.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  label:
    description: The backup.
    type: str
    required: true
  state:
    description: Whether it is held.
    type: str
    choices: [held, released]
    default: held
  reason:
    description: Why. A hold needs one.
    type: str
    default: ""
seealso:
  - module: lifeboat.postgres.s3_retention
  - module: lifeboat.postgres.pg_backup_info
"""

EXAMPLES = r"""
- name: Keep the backup from before the migration
  lifeboat.postgres.pg_backup_hold:
    config_file: /etc/lifeboat/main.yml
    label: "{{ made.backup.label }}"
    reason: before the migration to 18

- name: The legal hold has ended
  lifeboat.postgres.pg_backup_hold:
    config_file: /etc/lifeboat/main.yml
    label: 20261101T020000Z-full
    state: released
"""

RETURN = r"""
repositories:
  description: The repositories in which that was, or in check mode would be, written down.
  returned: success
  type: list
  elements: str
  sample: [frankfurt, dublin]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.holding import set_everywhere

SPEC = ArgumentSpec(
    {
        "label": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
        "reason": {"type": "str", "default": ""},
    }
)


def hold(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Write it down, unless in check mode."""
    options = module.params
    changed = set_everywhere(
        config, options["label"], options["state"] == "held", options["reason"], not module.check_mode
    )
    words = f"{options['label']}: {options['state']} {options['reason']}".rstrip() + "\n"
    diff = {"before": "", "after": words if changed else ""}
    return {"changed": bool(changed), "repositories": changed, "diff": diff}


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), hold)


if __name__ == "__main__":
    main()
