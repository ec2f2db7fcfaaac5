# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_diverged
short_description: Store what an old primary wrote after the fork
version_added: 0.1.0
description:
  - Stores the WAL that a stopped server wrote after the cluster forked off to another timeline, in every required
    repository, and lists its commits. Nothing is lost if the server is then restored.
  - If the server did not diverge, nothing is stored.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
seealso:
  - module: lifeboat.postgres.pg_standby_follow
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Store what the old primary wrote after the fork
  lifeboat.postgres.pg_standby_diverged:
    config_file: /etc/lifeboat/main.yml
  register: diverged
  become: true
  become_user: postgres
"""

RETURN = r"""
diverged:
  description: Whether the server wrote anything after the fork.
  returned: success
  type: bool
label:
  description: The label under which it is stored, or null if nothing is stored.
  returned: success
  type: str
fork_lsn:
  description: Where the new timeline forked off this server's timeline.
  returned: success
  type: str
end_lsn:
  description: Where the WAL of this server ends.
  returned: success
  type: str
commits:
  description: How many transactions were committed after the fork.
  returned: success
  type: int
xids:
  description: Their transaction IDs, unless there are too many; then C(xids_complete) is false.
  returned: success
  type: list
  elements: int
repositories:
  description: The repositories in which it was stored, or in check mode would be.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover import diverged


def keep_diverged(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan in check mode, else apply."""
    return (diverged.plan if module.check_mode else diverged.apply)(config).as_dict()


def main() -> None:
    """Run the module."""
    run(cluster_spec(), keep_diverged)


if __name__ == "__main__":
    main()
