# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gdpr_erasure
short_description: Register that a subject was erased, so that every later restore erases it again
version_added: 0.1.0
description:
  - A backup contains what existed when it was made, and never changes. So a restore brings back subjects erased since.
  - This module records in every repository what was erased. It does not erase anything itself - do that first.
  - A restore reapplies each erasure that its target does not contain, after recovery is verified and before anybody can
    connect to the server.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  database:
    description: The database with the subject's data. By default the one of C(connection) in the configuration.
    type: str
  table:
    description: The table, V(table) or V(schema.table), as spelled in the catalog.
    type: str
    required: true
  column:
    description: The column with the subject's key.
    type: str
    required: true
  key:
    description: The subject's key, in PostgreSQL's text representation.
    type: str
    required: true
  hash_key:
    description:
      - Whether to store only a salted SHA-256 of the key. A key with few possible values, such as a number, can be
        guessed from it by anybody who can read the repository.
      - The hash is compared with that of every row, which reads the whole table.
    type: bool
    default: true
  statement:
    description:
      - A statement that erases the subject, and is harmless when run again. By default the rows with this key are
        deleted.
      - It runs as the owner of O(table), never as a superuser, with constraints checked immediately. A restore runs it
        only if confirmed with RV(erasure.confirm) (C(confirm_erasures) of the modules that restore), because anybody
        who may write to the repository can register a statement too.
      - It is shown when the cluster is restored. Put personal data into O(parameters), not into the statement.
      - Its parameters are C(%(salt)s) and C(%(key_hash)s), or C(%(key)s) with O(hash_key=false), and the names in
        O(parameters). Write a percent sign as C(%%).
    type: str
  parameters:
    description: Additional parameters of O(statement), as strings. They are stored in clear text.
    type: dict
  erased_at:
    description:
      - When the subject was erased. The end of the transaction or later, in UTC unless it has a zone. By default now.
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
- name: Register that a customer was erased
  lifeboat.postgres.gdpr_erasure:
    config_file: /etc/lifeboat/main.yml
    database: shop
    table: crm.customers
    column: id
    key: "{{ customer_id }}"
    reference: DSR-2026-114
  become: true
  become_user: postgres

- name: Register that a customer was removed from the orders
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
  contains:
    statement:
      description: The custom statement, or V(null) if the rows with the key are deleted.
      type: str
      returned: success
    confirm:
      description: The value that confirms it to a restore.
      type: str
      returned: success
      sample: 20261122T140159Z-1a2b3c4d:0f343b0931126a20f133d67c2b018a3b
repositories:
  description: The repositories in which it was, or in check mode would be, recorded.
  returned: success
  type: list
  elements: str
  sample: [frankfurt, dublin]
missing:
  description: Repositories that are not required and did not accept it, each with its error. C(lifeboat sync) adds it.
  returned: success
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.erasure import register
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import Target
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.repository.erasures import ErasureRequest

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
    """Register the erasure, unless in check mode."""
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
    done = (register.plan if module.check_mode else register.apply)(config, request)
    for name, exc in done.missing.items():
        module.warn(f"{name} did not accept the erasure: {exc.message}")
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
