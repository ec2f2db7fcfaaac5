# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: leader_claim
short_description: Claim the leadership for a site, so that it may archive
version_added: 0.1.0
description:
  - Puts the next epoch into every required repository. From then on the site in the configuration leads. Every other
    site is deposed and archives nothing.
  - Claim before you promote. If another site was faster, the module fails with C(leadership_taken). In that case do
    not promote.
  - To complete a claim that reached only some repositories, repeat it with the same O(token).
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  kind:
    description: Why this site claims the leadership.
    type: str
    choices: [first, switchover, failover]
    required: true
  handover_lsn:
    description: Where the previous site stopped, for a switchover.
    type: str
  timeline:
    description: The timeline at the time of the claim. By default that of the last checkpoint in C(data_dir).
    type: int
  token:
    description:
      - The name of this attempt, 8 to 64 letters, digits, C(-) and C(_). Only a repetition with the same token
        completes an earlier attempt.
      - Without it, the module changes nothing while the site leads.
    type: str
  after:
    description: Fail if this is no longer the newest epoch. V(0) means that there is none yet.
    type: int
seealso:
  - module: lifeboat.postgres.pg_standby_info
"""

EXAMPLES = r"""
- name: Claim the leadership before the standby is promoted
  lifeboat.postgres.leader_claim:
    config_file: /etc/lifeboat/main.yml
    kind: failover
    token: INC-2026-042
  become: true
  become_user: postgres
"""

RETURN = r"""
epoch:
  description: The epoch, with C(epoch) (its number), C(site), C(kind), C(timeline), C(handover_lsn), C(claimed_at).
  returned: success
  type: dict
repositories:
  description: The repositories into which it was put, or in check mode would be.
  returned: success
  type: list
  elements: str
begun:
  description: Whether an earlier run with the same O(token) had already put it into a repository.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.leadership import claim
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.leadership.decide import Request
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.leadership.record import KINDS

SPEC = ArgumentSpec(
    {
        "kind": {"type": "str", "choices": list(KINDS), "required": True},
        "handover_lsn": {"type": "str"},
        "timeline": {"type": "int"},
        "token": {"type": "str", "no_log": False},
        "after": {"type": "int"},
    }
)


def make_claim(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and apply unless in check mode."""
    options = module.params
    timeline = claim.timeline_of(config, options["timeline"])
    handover = claim.handover_of(options["handover_lsn"])
    request = Request(config.site, options["kind"], timeline, handover, options["token"], options["after"])
    done = claim.plan(config, request)
    if done.repositories and not module.check_mode:
        done = claim.apply(config, request)
    words = f"{done.epoch.describe()} of site {done.epoch.site}\n"
    return {**done.as_dict(), "diff": {"before": "", "after": words if done.repositories else ""}}


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), make_claim)


if __name__ == "__main__":
    main()
