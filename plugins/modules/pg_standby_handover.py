# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_handover
short_description: Store the last WAL of a cleanly stopped primary
version_added: 0.1.0
description:
  - Archives the complete segments that are waiting, and stores the unfinished one up to the end of the shutdown
    checkpoint as a piece, in every required repository. A standby promoted afterwards forks off right after that point,
    and the old primary can follow it without a restore.
  - Fails with C(handover_refused) unless the server was a primary and is shut down, and with C(deposed) if another site
    leads. WAL that is already stored is left alone.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
attributes:
  check_mode:
    support: none
    details: It needs a stopped server, and check mode does not stop one.
seealso:
  - module: lifeboat.postgres.leader_claim
  - module: lifeboat.postgres.pg_standby_follow
"""

EXAMPLES = r"""
- name: Store the rest of the WAL of the stopped primary
  lifeboat.postgres.pg_standby_handover:
    config_file: /etc/lifeboat/main.yml
  register: handed
  become: true
  become_user: postgres
"""

RETURN = r"""
handover_lsn:
  description: The end of the shutdown checkpoint.
  returned: success
  type: str
  sample: 0/3000098
timeline:
  description: The timeline that it is on.
  returned: success
  type: int
segment:
  description: The unfinished segment; null if the checkpoint fills its segment.
  returned: success
  type: str
pushed:
  description: The files that PostgreSQL had not archived, each with C(name) and C(already_in).
  returned: success
  type: list
  elements: dict
pieces:
  description: The pieces that are new, each with C(repository) and C(key).
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover import handover


def hand_over(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Store it; there is no check mode."""
    return handover.apply(config).as_dict()


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(ArgumentSpec(supports_check_mode=False)), hand_over)


if __name__ == "__main__":
    main()
