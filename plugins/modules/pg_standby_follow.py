# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_follow
short_description: Make an existing data directory a standby that follows the repository
version_added: 0.1.0
description:
  - Writes the settings of a standby and C(standby.signal) into a data directory whose server was shut down cleanly.
    The server is neither started nor stopped, and nothing is restored.
  - A server that continued after the cluster left its timeline is refused (C(standby_refused)), because only a restore
    undoes its changes. In that case use M(lifeboat.postgres.pg_restore_pitr) with
    O(lifeboat.postgres.pg_restore_pitr#module:target_action=standby).
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  running:
    description: Prepare a running primary that is about to be stopped. It becomes a standby when it is started again.
    type: bool
    default: false
seealso:
  - module: lifeboat.postgres.pg_standby_info
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Let the old primary follow the new one
  lifeboat.postgres.pg_standby_follow:
    config_file: /etc/lifeboat/main.yml
  become: true
  become_user: postgres
"""

RETURN = r"""
data_dir:
  description: The data directory.
  returned: success
  type: str
timeline:
  description: The timeline of its last checkpoint.
  returned: success
  type: int
newest_timeline:
  description: The timeline that it follows.
  returned: success
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.restore import apply_follow, plan_follow

SPEC = ArgumentSpec({"running": {"type": "bool", "default": False}})


def follow(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and apply unless in check mode."""
    planned = plan_follow(config, module.params["running"])
    if not module.check_mode:
        apply_follow(config, planned)
    words = f"{planned.data_dir} follows timeline {planned.newest_timeline}\n"
    return {**planned.as_dict(), "diff": {"before": "", "after": words if planned.changed else ""}}


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), follow)


if __name__ == "__main__":
    main()
