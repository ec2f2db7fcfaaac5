# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_table
short_description: Restore single tables as they were at a point in time
version_added: 0.1.0
description:
  - Recovers an isolated scratch cluster on this host to the target, and loads the tables from it beside the live ones,
    which are not changed, or into another database. Then drops the scratch cluster.
  - Loads everything in one transaction, and compares the rows. Restored tables have no triggers, and no foreign keys
    to tables that were not restored with them.
  - The scratch cluster takes as much space as a restore, in C(verify.scratch_dir) of the configuration, or beside the
    data directory.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.restore
  - lifeboat.postgres.restore.owners
  - lifeboat.postgres.restore.target
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  database:
    description: The database of the tables.
    type: str
    required: true
  tables:
    description: The tables, by their SQL names. A partitioned table is restored with its partitions.
    type: list
    elements: str
    required: true
  target:
    description: The kind of O(target_value).
    type: str
    choices: [latest, time, lsn, xid, name]
    default: time
  label:
    description: The backup to recover from. By default the newest one finished before the target.
    type: str
  suffix:
    description: The suffix of the tables' names. By default the time, such as V(_20261122_1402).
    type: str
  into:
    description: Another database to load the tables into, under their own names. It is created if it does not exist.
    type: str
notes:
  - A second run fails, because the tables then exist.
seealso:
  - module: lifeboat.postgres.pg_restore_pitr
  - module: lifeboat.postgres.pg_restore_dump
"""

EXAMPLES = r"""
- name: Restore the orders as they were before the script ran
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
    - C(database), C(rows) keyed by the new name of each table, C(dropped) (the triggers and foreign keys that were
      left out), C(label) and C(repository) of the backup, C(reached_lsn), C(reached_time) and C(seconds).
    - In check mode, what would be recovered.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import (
    ArgumentSpec,
    owners_spec,
    restore_spec,
    target_spec,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import Target
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.tables import restore

SPEC = ArgumentSpec(
    {
        "database": {"type": "str", "required": True},
        "tables": {"type": "list", "elements": "str", "required": True},
        "target": {"type": "str", "choices": ["latest", "time", "lsn", "xid", "name"], "default": "time"},
        "label": {"type": "str"},
        "suffix": {"type": "str"},
        "into": {"type": "str"},
    },
    mutually_exclusive=(("suffix", "into"),),
)


def bring_back(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan in check mode, else recover and load."""
    given = module.params
    target = Target(given["target"], given["target_value"], given["target_inclusive"], given["target_timeline"])
    same = {name: given[name] for name in ("database", "label", "into", "suffix", "owner", "privileges")}
    confirmed = tuple(given["confirm_erasures"])
    request = restore.TableRequest(tables=tuple(given["tables"]), target=target, confirm_erasures=confirmed, **same)
    if module.check_mode:
        planned = restore.plan(config, request).as_dict()
        return {"changed": True, "restored": planned, "diff": {"before": "", "after": text(planned)}}
    done = restore.apply(config, request).as_dict()
    return {"changed": True, "restored": done, "diff": {"before": "", "after": text(done["rows"])}}


def main() -> None:
    """Run the module."""
    run(restore_spec().merged(owners_spec()).merged(target_spec()).merged(SPEC), bring_back)


if __name__ == "__main__":
    main()
