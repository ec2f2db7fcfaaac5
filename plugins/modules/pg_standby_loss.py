# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_loss
short_description: Get what a promotion of a standby would lose
version_added: 0.1.0
description:
  - Compares the WAL that the standby has replayed, the WAL that the repositories have in addition, and the last known
    position of the primary, and judges the loss. It does not contact the primary.
  - Updates only the record of the primary's last known WAL position on the standby.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
options:
  max_loss:
    description:
      - The most that may be lost without acceptance, with its unit (C(60s), C(16MB)). By default C(objectives.rpo), or
        nothing without that objective.
    type: str
  accept_loss:
    description: The LSN that was shown when the loss was accepted. It is refused unless it is still current.
    type: str
seealso:
  - module: lifeboat.postgres.pg_standby_info
"""

EXAMPLES = r"""
- name: Get what a promotion would lose
  lifeboat.postgres.pg_standby_loss:
    config_file: /etc/lifeboat/main.yml
    max_loss: 60s
  register: loss
  become: true
  become_user: postgres
"""

RETURN = r"""
loss:
  description:
    - C(verdict) (V(ok), V(needs_acceptance) or V(refused)) and its C(reasons); C(replayed_lsn), C(lsn) (with all that
      is stored), C(timeline), C(to_replay) (C(bytes), C(commits)), C(repositories), C(unread), C(primary_lsn),
      C(primary_heard_at), C(lost_bytes), C(uncovered_seconds).
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover import loss
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover.judge import accepted_lsn, read_limit

SPEC = ArgumentSpec({"max_loss": {"type": "str"}, "accept_loss": {"type": "str"}})


def read_loss(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Judge the loss."""
    limit = read_limit(module.params["max_loss"] or None, config.objectives.rpo)
    found, verdict = loss.read(config, limit, accepted_lsn(module.params["accept_loss"] or None))
    return {"changed": False, "loss": found.as_dict(verdict)}


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), read_loss)


if __name__ == "__main__":
    main()
