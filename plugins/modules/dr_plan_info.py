# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dr_plan_info
short_description: Get what a disaster recovery plan says of a PostgreSQL cluster
version_added: 0.1.0
description:
  - Reads every repository of the cluster, and returns what is stored there, when it was proved, and how it is restored
    by hand, with what the configuration promises.
  - Needs no running server. A repository that cannot be read is named; without any the module fails.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
seealso:
  - module: lifeboat.postgres.dr_plan
  - module: lifeboat.postgres.pg_backup_info
"""

EXAMPLES = r"""
- name: Get the facts of a cluster
  lifeboat.postgres.dr_plan_info:
    config_file: /etc/lifeboat/main.yml
  register: known
  become: true
  become_user: postgres
"""

RETURN = r"""
facts:
  description:
    - C(cluster), C(objectives), C(retention), C(contacts), C(ladder), C(priorities) and what else the configuration
      promises, without secrets; C(leader), the site that leads; C(incidents) with their open C(actions).
    - C(repositories), each with its C(location), its C(newest) backup, C(restorable), C(verified_at), C(restore_test),
      C(drills), C(by_hand) (a script that restores the newest backup) and C(error), why it could not be read.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.plan import gather


def read_facts(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Read-only."""
    return {"changed": False, "facts": gather(config)}


def main() -> None:
    """Run the module."""
    run(cluster_spec(), read_facts)


if __name__ == "__main__":
    main()
