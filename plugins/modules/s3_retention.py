# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_retention
short_description: Remove from the repositories what the retention policy does not keep
version_added: 0.1.0
description:
  - Removes backups, WAL and copies of file sets that are past their time by C(retention) of the configuration, and
    nothing that a kept backup or the window of point-in-time recovery needs.
  - Every repository is judged by what it holds itself. With C(--check --diff) every object that would go is shown with
    its size and the reason.
  - When a guard objects in any repository, nothing is removed at all.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  allow:
    description:
      - Guards to lift, each by its name.
      - V(share) objects when more than C(retention.max_share) per cent of the bytes would go.
      - V(clock) objects when the clocks of this host and of the store differ by more than C(retention.max_clock_skew)
        seconds.
      - V(age) objects when the newest backup is older than C(retention.max_backup_age_days), so that backups that are
        not made any more do not cost those that were.
      - V(restore) objects while a restore reads the repository.
    type: list
    elements: str
    choices: [share, clock, age, restore]
    default: []
seealso:
  - module: lifeboat.postgres.pg_backup_hold
  - module: lifeboat.postgres.pg_backup_info
"""

EXAMPLES = r"""
- name: What would go, and why
  lifeboat.postgres.s3_retention:
    config_file: /etc/lifeboat/main.yml
  check_mode: true
  diff: true
  register: plan

- name: Remove what the policy does not keep
  lifeboat.postgres.s3_retention:
    config_file: /etc/lifeboat/main.yml

- name: Remove it although that is most of the repository, after retention was made shorter
  lifeboat.postgres.s3_retention:
    config_file: /etc/lifeboat/main.yml
    allow: [share]
"""

RETURN = r"""
repositories:
  description:
    - For each repository C(repository), C(location), C(objects) and C(bytes) of all it holds, C(bytes_removed),
      C(share) in per cent, C(removals) with C(key), C(size), C(kind) and C(reason), how many were C(removed), C(kept)
      with the reasons for each label, the C(objections) of guards, and the C(error) of one that could not be looked at.
  returned: success
  type: list
  elements: dict
  sample:
    - repository: frankfurt
      location: s3://backups/pg
      objects: 1843
      bytes: 91268055040
      bytes_removed: 9126805504
      share: 10.0
      removed: 162
      removals:
        - key: main/backups/20261022T020000Z-full/manifest.json
          size: 4210
          kind: backup
          reason: full backup of 2026-10-22, nothing keeps it
      kept:
        20261122T020000Z-full: [younger than 30 days, one of the newest 2 full backups]
      objections: []
      error: null
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.retention.guards import GUARDS
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.retention.prune import prune

SPEC = ArgumentSpec({"allow": {"type": "list", "elements": "str", "choices": list(GUARDS), "default": []}})


def remove(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and remove unless in check mode."""
    done = prune(config, not module.check_mode, module.params["allow"])
    for repository in done:
        for objection in repository.objections:
            module.warn(f"{repository.repository}: {objection.message} [{objection.guard}]")
        if repository.error:
            module.warn(f"{repository.repository} was not looked at: {repository.error.message}")
    lines = [f"{p.location}/{r.key}  {r.size}  {r.reason}\n" for p in done for r in p.plan.removals]
    lines += [f"{p.location}/{u.key}  an upload that was never finished\n" for p in done for u in p.uploads]
    return {
        "changed": bool(lines),
        "repositories": [p.as_dict() for p in done],
        "diff": {"before": "".join(lines), "after": ""},
    }


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), remove)


if __name__ == "__main__":
    main()
