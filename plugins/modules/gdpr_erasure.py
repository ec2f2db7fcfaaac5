# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gdpr_erasure
short_description: Register that a subject was erased, so that every later restore erases it again
version_added: 0.1.0
description:
  - A backup holds what was there when it was made, and is never changed. So a restore brings back who was erased since.
  - This module writes into every repository what was erased. It erases nothing by itself - do that first.
  - A restore applies again each erasure that its target does not contain, after recovery is proven and before anybody
    can connect to the server.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  database:
    description: The database of the subject's data. By default the one of C(connection) in the configuration.
    type: str
  table:
    description: The table, V(table) or V(schema.table), as the catalogue spells it.
    type: str
    required: true
  column:
    description: The column of the subject's key.
    type: str
    required: true
  key:
    description: The subject's key, as PostgreSQL writes it as text.
    type: str
    required: true
  hash_key:
    description:
      - Whether only a salted SHA-256 of the key is kept. A key of few possible values (a number) can be guessed
        from it by whoever reads the repository.
      - A hash is compared with that of every row, which reads the whole table.
    type: bool
    default: true
  statement:
    description:
      - What erases the subject, as often as it is run. By default the rows with this key are deleted.
      - Its parameters are C(%(salt)s) and C(%(key_hash)s), or C(%(key)s) where O(hash_key=false), and the names of
        O(parameters). A per cent sign is C(%%).
    type: str
  parameters:
    description: Further parameters of O(statement), texts. They are kept in the clear.
    type: dict
  erased_at:
    description:
      - When it was erased; the end of the transaction or later. In UTC unless it has a zone. By default now.
    type: str
  reference:
    description: Your own record of the request, without personal data.
    type: str
    default: ""
seealso:
  - module: lifeboat.postgres.pg_restore_pitr
  - module: lifeboat.postgres.audit_info
"""

EXAMPLES = r"""
- name: Whoever was erased stays erased
  lifeboat.postgres.gdpr_erasure:
    config_file: /etc/lifeboat/main.yml
    database: shop
    table: crm.customers
    column: id
    key: "{{ customer_id }}"
    reference: DSR-2026-114
  become: true
  become_user: postgres

- name: The orders stay, without the person
  lifeboat.postgres.gdpr_erasure:
    config_file: /etc/lifeboat/main.yml
    database: shop
    table: crm.orders
    column: customer_id
    key: "{{ customer_id }}"
    hash_key: false
    statement: UPDATE crm.orders SET customer_id = NULL, ship_to = NULL WHERE customer_id = %(key)s::bigint
    reference: DSR-2026-114
"""

RETURN = r"""
erasure:
  description: The registered erasure without its key. In check mode its C(id) is only an example.
  returned: success
  type: dict
repositories:
  description: The repositories in which that was, or in check mode would be, written down.
  returned: success
  type: list
  elements: str
  sample: [frankfurt, dublin]
missing:
  description: Repositories that are not required and did not take it, each with its error. C(lifeboat sync) brings it.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.erasure.record import ErasureRequest
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.erasure.register import register
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.model import Target

SPEC = ArgumentSpec(
    {
        "database": {"type": "str"},
        "table": {"type": "str", "required": True},
        "column": {"type": "str", "required": True},
        "key": {"type": "str", "required": True, "no_log": True},
        "hash_key": {"type": "bool", "default": True, "no_log": False},
        "statement": {"type": "str"},
        "parameters": {"type": "dict", "no_log": True},
        "erased_at": {"type": "str"},
        "reference": {"type": "str", "default": ""},
    }
)


def erase(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Write it down, unless in check mode."""
    options = module.params
    request = ErasureRequest(
        database=options["database"] or config.connection.dbname,
        table=options["table"],
        column=options["column"],
        key=options["key"],
        hash_key=options["hash_key"],
        statement=options["statement"],
        parameters={name: str(value) for name, value in (options["parameters"] or {}).items()},
        erased_at=Target("time", options["erased_at"]).moment() if options["erased_at"] else None,
        reference=options["reference"],
    )
    done = register(config, request, not module.check_mode)
    for name, exc in done.missing.items():
        module.warn(f"{name} did not take the erasure: {exc.message}")
    words = f"{request.database}: {request.table}.{request.column} {request.reference}".rstrip() + "\n"
    return {
        "changed": bool(done.repositories),
        "erasure": done.erasure.shown(),
        "repositories": list(done.repositories),
        "missing": {name: exc.as_dict() for name, exc in done.missing.items()},
        "diff": {"before": "", "after": words if done.repositories else ""},
    }


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), erase)


if __name__ == "__main__":
    main()
