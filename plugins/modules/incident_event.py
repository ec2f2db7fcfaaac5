# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: incident_event
short_description: Record a phase of a playbook in the incident of a PostgreSQL cluster
version_added: 0.1.0
description:
  - Adds an event to the cluster's incident in every available repository. If none is available, the host keeps it.
  - Uses the incident O(incident) if it exists, or else the open one. If there is none, it opens O(incident).
  - Does nothing if the last event of the phase has the same O(state) and O(text).
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  incident:
    description: The identifier of the incident to open if none is open, such as V(20261122T140159Z-db1).
    type: str
    required: true
  title:
    description: The title of an incident that is opened.
    type: str
    required: true
  priority:
    description: The priority of an incident that is opened. By default that of the cluster.
    type: str
    choices: [P1, P2, P3, P4]
  phase:
    description: The phase.
    type: str
    required: true
  state:
    description: The state of the phase.
    type: str
    choices: [began, done, failed]
    required: true
  text:
    description: Details, such as why it failed.
    type: str
    default: ""
  forecast:
    description: Estimated seconds until the end of the incident. A late end is reported as a risk.
    type: int
seealso:
  - module: lifeboat.postgres.audit_info
"""

EXAMPLES = r"""
- name: Record that the database is back
  lifeboat.postgres.incident_event:
    config_file: /etc/lifeboat/main.yml
    incident: 20261122T140159Z-db1
    title: db1 is lost
    phase: database
    state: done
"""

RETURN = r"""
incident:
  description: The incident that has the event. In check mode the one that was given.
  returned: success
  type: str
  sample: 20261122T140159Z-db1
number:
  description: The number of the event. None in check mode.
  returned: success
  type: int
places:
  description: The repositories that have the event, or V(this host).
  returned: success
  type: list
  elements: str
  sample: [frankfurt, dublin]
spooled:
  description: Whether only this host has it. It is added to the repositories once one is available.
  returned: success
  type: bool
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.incident import actions

SPEC = ArgumentSpec(
    {
        "incident": {"type": "str", "required": True},
        "title": {"type": "str", "required": True},
        "priority": {"type": "str", "choices": ["P1", "P2", "P3", "P4"]},
        "phase": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["began", "done", "failed"], "required": True},
        "text": {"type": "str", "default": ""},
        "forecast": {"type": "int"},
    }
)


def record(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Add the event, unless in check mode."""
    told = module.params
    words = f"{told['phase']}: {told['state']} {told['text']}".rstrip() + "\n"
    diff = {"before": "", "after": words}
    if module.check_mode:
        nothing: dict[str, Any] = {"incident": told["incident"], "number": None, "places": [], "spooled": False}
        return {"changed": True, "diff": diff, **nothing}
    opened = actions.open_incident(config, told["title"], told["priority"] or "", told["incident"], join=True)
    forecast = "" if told["forecast"] is None else str(told["forecast"])
    added, new = actions.phase_once(
        config, opened.incident.id, told["phase"], told["state"], told["text"], forecast_seconds=forecast
    )
    return {
        "changed": new,
        "incident": opened.incident.id,
        "number": added.event.number,
        "places": list(added.places),
        "spooled": added.spooled,
        "diff": diff if new else {"before": "", "after": ""},
    }


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), record)


if __name__ == "__main__":
    main()
