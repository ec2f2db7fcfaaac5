# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_dump
short_description: Restore a database from a dump
version_added: 0.1.0
description:
  - Restores a dump that M(lifeboat.postgres.pg_backup) made into a new database, and compares the rows of every table
    with those counted in the dump's snapshot.
  - Only then, with O(replace), does it end the sessions of the old database, rename it and keep it. A failure before
    that leaves the old database untouched.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.restore
  - lifeboat.postgres.restore.owners
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  database:
    description: The database that was dumped.
    type: str
    required: true
  label:
    description: The label of the dump to restore instead of the newest.
    type: str
  into:
    description: The name to restore the database under. By default its original name.
    type: str
  replace:
    description: Whether to replace an existing database of that name, which is renamed and kept.
    type: bool
    default: false
  with_globals:
    description: Create the source server's roles and tablespaces first. Existing ones are left alone.
    type: bool
    default: false
  jobs:
    description: How many tables and indexes to restore in parallel. More than one needs a file, see O(staging_dir).
    type: int
    default: 1
  single_transaction:
    description: Restore everything in one transaction.
    type: bool
    default: false
  staging_dir:
    description: The directory for the file that several jobs need. By default the system's temporary directory.
    type: path
  erasures:
    description: Reapply erasures registered after the dump, before it replaces any database.
    type: bool
    default: true
notes:
  - Stop the application before and start it afterwards, with the role C(application) or your own tasks.
  - Without O(replace) a second run fails, because the database then exists.
seealso:
  - module: lifeboat.postgres.pg_backup
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Restore this morning's database under another name
  lifeboat.postgres.pg_restore_dump:
    database: shop
    into: shop_look
  become: true
  become_user: postgres

- name: Restore the database after a failed migration
  lifeboat.postgres.pg_restore_dump:
    database: shop
    replace: true
    jobs: 4
  become: true
  become_user: postgres
"""

RETURN = r"""
restored:
  description:
    - C(label), C(database), C(repository), C(created_at) of the dump, C(into), and C(kept_as), the name under which the
      old database is kept.
    - After a restore also C(tables) and C(rows), which were compared, and C(seconds).
  returned: success
  type: dict
  sample:
    label: 20261122T020000Z-dump
    database: shop
    into: shop
    kept_as: shop_before_20261122t143000z
    tables: 31
    rows: 1209341
    seconds: 12.4
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import (
    ArgumentSpec,
    owners_spec,
    restore_spec,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.dump import restore

SPEC = ArgumentSpec(
    {
        "database": {"type": "str", "required": True},
        "label": {"type": "str"},
        "into": {"type": "str"},
        "replace": {"type": "bool", "default": False},
        "with_globals": {"type": "bool", "default": False},
        "jobs": {"type": "int", "default": 1},
        "single_transaction": {"type": "bool", "default": False},
        "staging_dir": {"type": "path"},
        "erasures": {"type": "bool", "default": True},
    }
)


def bring_back(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and restore unless in check mode."""
    options = {name: module.params[name] for name in restore.DumpRequest.__dataclass_fields__}
    request = restore.DumpRequest(**{**options, "confirm_erasures": tuple(options["confirm_erasures"])})
    planned = restore.plan(config, request)
    told = planned.as_dict() if module.check_mode else restore.apply(config, planned).as_dict()
    before = {"into": planned.into, "kept_as": None} if planned.aside else {}
    return {"changed": True, "restored": told, "diff": {"before": text(before), "after": text(planned.as_dict())}}


def main() -> None:
    """Run the module."""
    run(restore_spec().merged(owners_spec()).merged(SPEC), bring_back)


if __name__ == "__main__":
    main()
