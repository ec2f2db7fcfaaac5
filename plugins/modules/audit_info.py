# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: audit_info
short_description: Read the audit trail of a PostgreSQL cluster, and verify that it is complete
version_added: 0.1.0
description:
  - Reads the events of every repository and of the local file, and returns each once, oldest first.
  - With O(verify), also compares these sources, and reports each event that is missing, changed or reordered.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
options:
  since:
    description: Return only events from this time on, in UTC unless it has a zone.
    type: str
  what:
    description: Return only events of these kinds.
    type: list
    elements: str
    choices:
      - backup
      - prune
      - restore
      - verify
      - sync
      - files-backup
      - files-restore
      - configuration
      - prepare
      - hold
      - release
      - erasure
      - logs-read
      - git-push
      - notice
      - leader-claim
      - incident
      - drill
      - handover
      - promote
      - settle
      - diverged
    default: []
  verify:
    description: Whether to verify the trail.
    type: bool
    default: true
seealso:
  - module: lifeboat.postgres.gdpr_erasure
  - module: lifeboat.postgres.pg_backup_info
"""

EXAMPLES = r"""
- name: List what was removed and restored this month
  lifeboat.postgres.audit_info:
    config_file: /etc/lifeboat/main.yml
    since: "2026-11-01"
    what: [prune, restore]
  register: trail

- name: Check that the audit trail is intact
  ansible.builtin.assert:
    that: trail.intact
    fail_msg: "{{ trail.faults | map(attribute='message') | join(', ') }}"
"""

RETURN = r"""
events:
  description:
    - The events. C(what), C(result) (V(ok) or V(failed)), C(error_code), C(at), C(who) (C(user), C(host), and if
      known C(via), C(login), C(from), C(controller), C(run)), C(objects) (labels), C(details), and the position in
      the chain (C(chain), C(number), C(previous) and C(witnessed)).
  returned: success
  type: list
  elements: dict
intact:
  description: Whether nothing that could be read is missing, changed or reordered.
  returned: when O(verify)
  type: bool
faults:
  description: What is wrong, each with C(source), C(kind), C(chain), C(number) and C(message).
  returned: when O(verify)
  type: list
  elements: dict
unread:
  description: The sources that could not be read, each with its error.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.audit.event import WHATS
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.audit.trail import read_trail, verified
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import Target

SPEC = ArgumentSpec(
    {
        "since": {"type": "str"},
        "what": {"type": "list", "elements": "str", "choices": list(WHATS), "default": []},
        "verify": {"type": "bool", "default": True},
    }
)


def read_audit(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Read the trail once, and verify it if requested."""
    options = module.params
    since = Target("time", options["since"]).moment() if options["since"] else None
    trail = read_trail(config)
    result: dict[str, Any] = {
        "changed": False,
        "events": [event.as_dict() for event in trail.events(since, options["what"])],
        "unread": {name: exc.as_dict() for name, exc in trail.unread.items()},
    }
    if options["verify"]:
        done = verified(trail).as_dict()
        result.update(intact=done["intact"], faults=done["faults"])
    return result


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), read_audit)


if __name__ == "__main__":
    main()
