# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_wal_search
short_description: Find out when rows of a table were deleted, or the table truncated or dropped
version_added: 0.1.0
description:
  - Reads the archived WAL of a span of time, and returns each transaction that deleted or updated rows of the tables,
    or that truncated, dropped or rewrote them, with the LSN just before which the tables were still unchanged.
  - WAL contains file names, not table names. The files of the tables are looked up in an isolated scratch cluster that
    is recovered to O(since) on this host and then dropped. It takes as much space as a restore.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
options:
  database:
    description: The database of the tables.
    type: str
    required: true
  tables:
    description: The tables, by their SQL names at O(since). A partitioned table includes its partitions.
    type: list
    elements: str
    required: true
  since:
    description: The start of the span, a time with its zone.
    type: str
    required: true
  until:
    description: The end of the span. By default the end of the archived WAL.
    type: str
seealso:
  - module: lifeboat.postgres.pg_restore_table
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Find out when the orders were deleted
  lifeboat.postgres.pg_wal_search:
    database: shop
    tables: [public.orders]
    since: "2026-11-22 13:00:00+00"
  register: found
  become: true
  become_user: postgres

- name: Restore them as they were just before the last deletion
  lifeboat.postgres.pg_restore_table:
    database: shop
    tables: [public.orders]
    target: lsn
    target_value: "{{ (found.events | last).lsn }}"
    target_inclusive: false
  become: true
  become_user: postgres
"""

RETURN = r"""
events:
  description:
    - What happened, in commit order, each with C(table), C(what) (C(deleted), C(updated), C(dropped),
      C(truncated), C(rewritten) or C(database dropped)), C(rows), C(xid), C(at), C(lsn) and C(just_before), the options
      of M(lifeboat.postgres.pg_restore_table) and M(lifeboat.postgres.pg_restore_pitr) for the moment before it.
  returned: success
  type: list
  elements: dict
lost:
  description: The tables that were rewritten, and the time from which on they could not be followed.
  returned: success
  type: dict
begin_lsn:
  description: Where the search started.
  returned: success
  type: str
end_lsn:
  description: Where the archived WAL ends.
  returned: success
  type: str
segments:
  description: How many WAL segments were read.
  returned: success
  type: int
seconds:
  description: How long the search took.
  returned: success
  type: float
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import read_aware
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.tables import search

SPEC = ArgumentSpec(
    {
        "database": {"type": "str", "required": True},
        "tables": {"type": "list", "elements": "str", "required": True},
        "since": {"type": "str", "required": True},
        "until": {"type": "str"},
    }
)


def look(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Search; the cluster is not changed."""
    given = module.params
    since, until = read_aware(given["since"], "since"), given["until"]
    end = read_aware(until, "until") if until else None
    request = search.SearchRequest(given["database"], tuple(given["tables"]), since, end)
    return {"changed": False, **search.search(config, request).as_dict()}


def main() -> None:
    """Run the module."""
    run(past_spec().merged(SPEC), look)


if __name__ == "__main__":
    main()
