# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_dump
short_description: Bring a dump of a database back
version_added: 0.1.0
description:
  - Restores a dump that M(lifeboat.postgres.pg_backup) made into a database of its own, and compares the rows of every
    table with those that were counted in the dump's snapshot.
  - Only then, where it is to take the place of a database that is there, are the sessions of that one ended and is it
    renamed and kept. Whatever fails before leaves it untouched.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  database:
    description: The database that was dumped.
    type: str
    required: true
  label:
    description: The dump, instead of the newest.
    type: str
  into:
    description: The name of the database that comes back. By default as it was called.
    type: str
  replace:
    description: Whether it may take the place of a database of that name, which is renamed and kept.
    type: bool
    default: false
  owner:
    description: Whether objects belong to whom they belonged to.
    type: bool
    default: true
  privileges:
    description: Whether objects are granted as they were.
    type: bool
    default: true
  with_globals:
    description: Make the roles and tablespaces first that the server had. What is there already stays.
    type: bool
    default: false
  jobs:
    description: How many tables and indexes are restored at once. More than one needs a file, see O(staging_dir).
    type: int
    default: 1
  single_transaction:
    description: Restore all of it in one transaction.
    type: bool
    default: false
  staging_dir:
    description: Where the file for several jobs is for the time. By default the system's directory for temporary files.
    type: path
  erasures:
    description: Apply those erasures again that were registered after the dump, before it takes anybody's place.
    type: bool
    default: true
notes:
  - Stop the application before and start it afterwards, by the role C(application) or your own tasks.
  - Without O(replace) a second run refuses, since the database is there then.
seealso:
  - module: lifeboat.postgres.pg_backup
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Look at the database as it was this morning
  lifeboat.postgres.pg_restore_dump:
    database: shop
    into: shop_look
  become: true
  become_user: postgres

- name: Bring it back after a migration that failed
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
      database that was there is kept.
    - After it was done also C(tables) and C(rows) that were compared, and C(seconds).
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
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.dump import restore

SPEC = ArgumentSpec(
    {
        "database": {"type": "str", "required": True},
        "label": {"type": "str"},
        "into": {"type": "str"},
        "replace": {"type": "bool", "default": False},
        "owner": {"type": "bool", "default": True},
        "privileges": {"type": "bool", "default": True},
        "with_globals": {"type": "bool", "default": False},
        "jobs": {"type": "int", "default": 1},
        "single_transaction": {"type": "bool", "default": False},
        "staging_dir": {"type": "path"},
        "erasures": {"type": "bool", "default": True},
    }
)


def bring_back(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and restore unless in check mode."""
    request = restore.DumpRequest(**{name: module.params[name] for name in restore.DumpRequest.__dataclass_fields__})
    planned = restore.plan(config, request)
    told = planned.as_dict() if module.check_mode else restore.apply(config, request, planned).as_dict()
    before = {"into": planned.into, "kept_as": None} if planned.aside else {}
    return {"changed": True, "restored": told, "diff": {"before": text(before), "after": text(planned.as_dict())}}


def main() -> None:
    """Run the module."""
    run(past_spec().merged(SPEC), bring_back)


if __name__ == "__main__":
    main()
