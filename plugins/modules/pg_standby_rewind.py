# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_rewind
short_description: Rewind an old primary, so that it follows the new one
version_added: 0.1.0
description:
  - Stores what a stopped server wrote after the cluster forked off to another timeline, as
    M(lifeboat.postgres.pg_standby_diverged) does, runs C(pg_rewind), and makes the server a standby. It is faster than
    a restore, because only the blocks that were changed after the fork are copied from the new primary.
  - Needs C(standby.primary_conninfo) in the configuration, and data checksums or C(wal_log_hints) in the cluster.
  - Fails with C(standby_refused) before anything is changed if it cannot be rewound, and with C(rewind_failed) if
    C(pg_rewind) stopped half-way. Then the server has to be restored.
  - If the server did not diverge, nothing is changed.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
seealso:
  - module: lifeboat.postgres.pg_standby_diverged
  - module: lifeboat.postgres.pg_standby_follow
"""

EXAMPLES = r"""
- name: Rewind the old primary
  lifeboat.postgres.pg_standby_rewind:
    config_file: /etc/lifeboat/main.yml
  register: rewound
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
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover import rewind


def rewind_server(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan in check mode, else apply."""
    return (rewind.plan if module.check_mode else rewind.apply)(config).as_dict()


def main() -> None:
    """Run the module."""
    run(cluster_spec(), rewind_server)


if __name__ == "__main__":
    main()
