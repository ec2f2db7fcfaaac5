# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_promote
short_description: Promote a standby once everything is replayed
version_added: 0.1.0
description:
  - Waits until the standby has replayed what the repositories have, or exactly up to O(handover_lsn), claims the
    leadership if O(claim) is given, promotes the server, and waits until it accepts writes.
  - Fails with C(promotion_refused), before anything is changed, if the standby does not get there, or if more would be
    lost than is allowed. Fails with C(leadership_taken) if another site was faster.
  - A server that is a primary already is not restarted or changed, and only its own claim is completed.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
options:
  handover_lsn:
    description: Where the old primary stopped, for a switchover. The standby is not promoted at any other LSN.
    type: str
  max_loss:
    description:
      - The most that may be lost without O(accept_loss), as for M(lifeboat.postgres.pg_standby_loss). With
        O(handover_lsn), nothing is lost.
    type: str
  accept_loss:
    description: Accept the loss that was shown with this LSN.
    type: str
  claim:
    description:
      - Why this site claims the leadership, between the last replay and the promotion.
      - Without it, nothing is claimed.
    type: str
    choices: [switchover, failover]
  token:
    description: The name of this attempt, as for M(lifeboat.postgres.leader_claim).
    type: str
  catch_up:
    description: Seconds to wait for the replay.
    type: float
    default: 60
  timeout:
    description: Seconds to wait for the end of the recovery.
    type: float
    default: 60
seealso:
  - module: lifeboat.postgres.leader_claim
  - module: lifeboat.postgres.pg_standby_handover
  - module: lifeboat.postgres.pg_standby_loss
"""

EXAMPLES = r"""
- name: Promote the standby where the old primary stopped
  lifeboat.postgres.pg_standby_promote:
    config_file: /etc/lifeboat/main.yml
    handover_lsn: 0/3000098
    claim: switchover
    token: INC-2026-042
  become: true
  become_user: postgres
"""

RETURN = r"""
replayed_lsn:
  description: The LSN that was replayed before the promotion. Null for a server that was a primary already.
  returned: success
  type: str
timeline:
  description: The timeline that the server is on. Null in check mode, if it would be promoted.
  returned: success
  type: int
fork_lsn:
  description: Where that timeline began. Null for the first timeline, and in check mode.
  returned: success
  type: str
  sample: 0/3000098
epoch:
  description: The epoch, as M(lifeboat.postgres.leader_claim) returns it. Null if nothing was claimed.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover import promote
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.leadership.record import CHANGES

SPEC = ArgumentSpec(
    {
        "handover_lsn": {"type": "str"},
        "max_loss": {"type": "str"},
        "accept_loss": {"type": "str"},
        "claim": {"type": "str", "choices": list(CHANGES)},
        "token": {"type": "str", "no_log": False},
        "catch_up": {"type": "float", "default": promote.CATCH_UP},
        "timeout": {"type": "float", "default": promote.TIMEOUT},
    }
)


def promote_standby(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and apply unless in check mode."""
    request = promote.request(config, module.params)
    return (promote.plan if module.check_mode else promote.apply)(config, request).as_dict()


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), promote_standby)


if __name__ == "__main__":
    main()
