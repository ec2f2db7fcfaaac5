# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_info
short_description: Get the lag of a standby behind its repository
version_added: 0.1.0
description:
  - Compares the WAL that a standby has replayed with the complete segments and the pieces in the first available
    repository, and reports whether a promotion now would leave a gap.
  - Fails with C(standby_refused) if the server is a primary.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
seealso:
  - module: lifeboat.postgres.leader_claim
  - module: lifeboat.postgres.pg_standby_follow
"""

EXAMPLES = r"""
- name: Get the lag of the standby
  lifeboat.postgres.pg_standby_info:
    config_file: /etc/lifeboat/main.yml
  register: standby
  become: true
  become_user: postgres
"""

RETURN = r"""
standby:
  description:
    - C(replayed_lsn), C(replayed_commit_at), C(timeline), C(paused), C(repository), C(newest_timeline),
      C(archive_end_lsn) (of complete segments), C(pieces_end_lsn), C(lag_bytes), C(lag_seconds), C(missing) (segments),
      C(promotable_without_gap) and C(obstacles) to a promotion.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.restore import standby_status_of


def read_standby(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Read-only."""
    return {"changed": False, "standby": standby_status_of(config).as_dict()}


def main() -> None:
    """Run the module."""
    run(cluster_spec(), read_standby)


if __name__ == "__main__":
    main()
