# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_hold
short_description: Hold a backup, so that retention keeps it, or release it
version_added: 0.1.0
description:
  - A held backup is kept whatever its age, with everything that it is based on and the WAL that makes it consistent.
  - A hold and its release are stored in every repository as separate objects, with the user, the time and the reason.
  - In a bucket with the identities of the role P(lifeboat.postgres.repository#role), a release needs the janitor's
    credentials.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  label:
    description: The label of the backup.
    type: str
    required: true
  state:
    description: Whether the backup is held.
    type: str
    choices: [held, released]
    default: held
  reason:
    description: The reason. Required for a hold.
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

- name: Release the backup after the legal hold
  lifeboat.postgres.pg_backup_hold:
    config_file: /etc/lifeboat/main.yml
    label: 20261101T020000Z-full
    state: released
"""

RETURN = r"""
repositories:
  description: The repositories in which it was, or in check mode would be, recorded.
  returned: success
  type: list
  elements: str
  sample: [frankfurt, dublin]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.retention import holding

SPEC = ArgumentSpec(
    {
        "label": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["held", "released"], "default": "held"},
        "reason": {"type": "str", "default": ""},
    }
)


def hold(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Record it, unless in check mode."""
    options = module.params
    act = holding.plan if module.check_mode else holding.apply
    changed = act(config, options["label"], options["state"] == "held", options["reason"])
    words = f"{options['label']}: {options['state']} {options['reason']}".rstrip() + "\n"
    diff = {"before": "", "after": words if changed else ""}
    return {"changed": bool(changed), "repositories": changed, "diff": diff}


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), hold)


if __name__ == "__main__":
    main()
