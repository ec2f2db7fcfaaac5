# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_table
short_description: Give single tables back as they were at a moment
version_added: 0.1.0
description:
  - Recovers a scratch cluster to the moment, isolated and on this host, and loads the tables out of it beside the live
    ones, which are not touched, or into another database. Then it drops the scratch.
  - Everything goes in by one transaction, and the rows are compared. What comes back has neither triggers nor foreign
    keys to tables that did not come back with it.
  - The scratch takes as much room as a restore, in C(verify.scratch_dir) of the configuration, or beside the data
    directory.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  database:
    description: The database of the tables.
    type: str
    required: true
  tables:
    description: The tables, as SQL names them. A partitioned one comes with its partitions.
    type: list
    elements: str
    required: true
  target:
    description: What kind of moment O(target_value) is.
    type: str
    choices: [latest, time, lsn, xid, name]
    default: time
  target_value:
    description: The moment, such as V(2026-11-22 14:02:00+00).
    type: str
  target_inclusive:
    description: Whether to stop just after the moment, or just before it.
    type: bool
    default: true
  target_timeline:
    description: V(latest), V(current) or a number.
    type: str
    default: latest
  label:
    description: The backup to recover from. By default the newest that was finished before the moment.
    type: str
  suffix:
    description: What the names of the tables end in. By default the moment, such as V(_20261122_1402).
    type: str
  into:
    description: Another database, into which the tables go with their own names. It is made where it is not there.
    type: str
  owner:
    description: Whether the tables belong to whom they belonged to.
    type: bool
    default: true
  privileges:
    description: Whether the tables are granted as they were.
    type: bool
    default: true
notes:
  - A second run refuses, since the tables are there then.
seealso:
  - module: lifeboat.postgres.pg_restore_pitr
  - module: lifeboat.postgres.pg_restore_dump
"""

EXAMPLES = r"""
- name: The orders as they were before the script ran
  lifeboat.postgres.pg_restore_table:
    database: shop
    tables: [public.orders, public.order_lines]
    target_value: "2026-11-22 14:02:00+00"
  become: true
  become_user: postgres
"""

RETURN = r"""
restored:
  description:
    - C(database), C(rows) by the name under which each table is there now, C(dropped), the triggers and foreign keys
      that were left out, C(label) and C(repository) of the backup, C(reached_lsn), C(reached_time) and C(seconds).
    - In check mode what would be recovered.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.model import Target
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.tables import restore

SPEC = ArgumentSpec(
    {
        "database": {"type": "str", "required": True},
        "tables": {"type": "list", "elements": "str", "required": True},
        "target": {"type": "str", "choices": ["latest", "time", "lsn", "xid", "name"], "default": "time"},
        "target_value": {"type": "str"},
        "target_inclusive": {"type": "bool", "default": True},
        "target_timeline": {"type": "str", "default": "latest"},
        "label": {"type": "str"},
        "suffix": {"type": "str"},
        "into": {"type": "str"},
        "owner": {"type": "bool", "default": True},
        "privileges": {"type": "bool", "default": True},
    },
    mutually_exclusive=(("suffix", "into"),),
)


def bring_back(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan in check mode, else recover and load."""
    given = module.params
    target = Target(given["target"], given["target_value"], given["target_inclusive"], given["target_timeline"])
    same = {name: given[name] for name in ("database", "label", "into", "suffix", "owner", "privileges")}
    request = restore.TableRequest(tables=tuple(given["tables"]), target=target, **same)
    if module.check_mode:
        planned = restore.plan(config, request)
        return {"changed": True, "restored": planned, "diff": {"before": "", "after": text(planned)}}
    done = restore.apply(config, request).as_dict()
    return {"changed": True, "restored": done, "diff": {"before": "", "after": text(done["rows"])}}


def main() -> None:
    """Run the module."""
    run(past_spec().merged(SPEC), bring_back)


if __name__ == "__main__":
    main()
