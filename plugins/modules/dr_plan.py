# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dr_plan
short_description: Write the disaster recovery plan of a company
version_added: 0.1.0
description:
  - Writes C(plan.html), C(plan.md) and for each cluster C(by-hand-CLUSTER.txt), a text to recover it without Lifeboat.
  - The plan has no time but those of events, so it changes only if a fact does. Files that did not change are not
    written.
  - Check mode tells what has changed since the plan was stored.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  plan_dir:
    description: The directory of the plan. It is created if it does not exist.
    type: path
    required: true
  title:
    description: The title of the plan.
    type: str
    default: Disaster recovery plan
  inventory:
    description: The sources of the inventory, for the commands in the plan.
    type: list
    elements: str
    default: []
  hosts:
    description: The hosts of the inventory.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name in the inventory.
        type: str
        required: true
      address:
        description: The address. By default the name.
        type: str
      site:
        description: The site, where the clusters have several.
        type: str
        default: ""
      clusters:
        description: The clusters, as in C(lifeboat_clusters). None where nothing of the host is protected.
        type: list
        elements: dict
        default: []
      jobs:
        description: By the name of a cluster its jobs, each with C(title), C(when), C(runs) and C(reason).
        type: dict
        default: {}
      file_sets:
        description: The file sets, as in C(lifeboat_file_sets).
        type: list
        elements: dict
        default: []
      application:
        description: The application, as in C(lifeboat_application).
        type: dict
        default: {}
      stream:
        description: Whether the unfinished WAL segment is streamed.
        type: bool
        default: false
  facts:
    description:
      - For each cluster RV(lifeboat.postgres.dr_plan_info#module:facts).
    type: list
    elements: dict
    required: true
seealso:
  - module: lifeboat.postgres.dr_plan_info
"""

EXAMPLES = r"""
- name: Write the plan
  lifeboat.postgres.dr_plan:
    plan_dir: /srv/plan
    hosts:
      - {name: db1, clusters: [{name: shop}]}
    facts: "{{ [known.facts] }}"
  delegate_to: localhost
"""

RETURN = r"""
files:
  description: The files of the plan.
  returned: success
  type: list
  elements: str
  sample: [plan.md, plan.html, by-hand-shop.txt]
changes:
  description: What has changed since the plan was stored, as lines that go (V(-)) and come (V(+)).
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run_without_config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.plan import compare, store
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.plan.company import company

HOST = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str"},
    "site": {"type": "str", "default": ""},
    "clusters": {"type": "list", "elements": "dict", "default": []},
    "jobs": {"type": "dict", "default": {}},
    "file_sets": {"type": "list", "elements": "dict", "default": []},
    "application": {"type": "dict", "default": {}},
    "stream": {"type": "bool", "default": False},
}
SPEC = ArgumentSpec(
    {
        "plan_dir": {"type": "path", "required": True},
        "title": {"type": "str", "default": "Disaster recovery plan"},
        "inventory": {"type": "list", "elements": "str", "default": []},
        "hosts": {"type": "list", "elements": "dict", "required": True, "options": HOST},
        "facts": {"type": "list", "elements": "dict", "required": True},
    }
)


def write(module: AnsibleModule) -> dict[str, object]:
    """Compare, and store unless in check mode."""
    given = module.params
    hosts = [{**host, "address": host["address"] or host["name"]} for host in given["hosts"]]
    changes = compare(company(given["title"], given["inventory"], hosts, given["facts"]), given["plan_dir"])
    if not module.check_mode:
        store(changes, given["plan_dir"])
    # The page has the same text as the Markdown.
    shown = [change for change in changes if change.changed and not change.name.endswith(".html")]
    return {
        "changed": any(change.changed for change in changes),
        "files": [change.name for change in changes],
        "changes": [line for change in changes for line in change.lines()],
        "diff": [
            {"before_header": c.name, "after_header": c.name, "before": c.before or "", "after": c.after} for c in shown
        ],
    }


def main() -> None:
    """Run the module."""
    run_without_config(SPEC, write)


if __name__ == "__main__":
    main()
