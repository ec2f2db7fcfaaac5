# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: s3_retention
short_description: Remove everything from the repositories that the retention policy does not keep
version_added: 0.1.0
description:
  - Removes backups, WAL and copies of file sets that have expired according to C(retention) in the configuration, and
    nothing that a kept backup or the point-in-time recovery window needs.
  - Each repository is evaluated by its own contents. C(--check --diff) shows every object that would be removed, with
    its size and the reason.
  - If a guard stops any repository, nothing is removed from any of them.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  allow:
    description:
      - The names of guards to lift.
      - V(share) stops if more than C(retention.max_share) percent of the bytes would be removed.
      - V(clock) stops if the clocks of this host and of the store differ by more than C(retention.max_clock_skew)
        seconds.
      - V(age) stops if the newest backup is older than C(retention.max_backup_age_days), so that existing backups are
        not lost when no new ones are made.
      - V(restore) stops while a restore is reading the repository.
      - V(shrunk) never stops. Lifting it lets a backup, copy or dump replace others even if it is more than
        C(retention.max_shrink) percent smaller than the previous one.
    type: list
    elements: str
    choices: [share, clock, age, restore, shrunk]
    default: []
seealso:
  - module: lifeboat.postgres.pg_backup_hold
  - module: lifeboat.postgres.pg_backup_info
"""

EXAMPLES = r"""
- name: Show what would be removed, and why
  lifeboat.postgres.s3_retention:
    config_file: /etc/lifeboat/main.yml
  check_mode: true
  diff: true
  register: plan

- name: Remove what the policy does not keep
  lifeboat.postgres.s3_retention:
    config_file: /etc/lifeboat/main.yml

- name: Remove most of the repository after shortening the retention
  lifeboat.postgres.s3_retention:
    config_file: /etc/lifeboat/main.yml
    allow: [share]
"""

RETURN = r"""
repositories:
  description:
    - For each repository C(repository), C(location), C(objects) and C(bytes) in total, C(bytes_removed),
      C(share) in percent, C(removals) with C(key), C(size), C(kind) and C(reason), how many were C(removed), C(kept)
      with the reasons for each label, what C(does_not_count) when others are removed, what is C(foreign) and left
      alone, what is C(set_apart), with the reasons, the C(objections) of guards, and the C(error) if the repository
      could not be read.
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
      does_not_count: {}
      foreign: {}
      objections: []
      error: null
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.retention import prune
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.retention.guards import GUARDS

SPEC = ArgumentSpec({"allow": {"type": "list", "elements": "str", "choices": list(GUARDS), "default": []}})


def remove(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and remove unless in check mode."""
    act = prune.plan if module.check_mode else prune.apply
    done = act(config, module.params["allow"])
    for repository in done:
        for objection in repository.objections:
            module.warn(f"{repository.repository}: {objection.message} [{objection.guard}]")
        if repository.error:
            module.warn(f"{repository.repository} was skipped: {repository.error.message}")
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
