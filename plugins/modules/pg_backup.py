# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup
short_description: Make a base backup of a PostgreSQL cluster, or dumps of its databases
version_added: 0.1.0
description:
  - Streams PostgreSQL's own base backup directly to every required repository, without a staging disk, from a primary
    or a standby, with all its tablespaces.
  - The backup exists once all the WAL that it needs has been found in every required repository. A run that is
    interrupted before that leaves nothing that could be taken for a backup.
  - With O(method=dump), it dumps single databases with C(pg_dump), each in one snapshot, streams them in the same way,
    and reads them back.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  method:
    description:
      - V(base) backs up the cluster, for point-in-time recovery. V(dump) dumps databases, to restore single ones.
    type: str
    choices: [base, dump]
    default: base
  databases:
    description:
      - The databases to dump. By default those of C(dumps) in the configuration, or all of them.
      - Only with O(method=dump).
    type: list
    elements: str
    default: []
  count_rows:
    description:
      - Whether to count the rows of every table in the dump's snapshot, so that a restore can compare.
      - Only with O(method=dump).
    type: bool
    default: true
  format:
    description:
      - The format of a dump. V(custom) is streamed by one process; V(directory) is written by several in parallel, to
        O(staging_dir), which needs space for the dump.
      - Only with O(method=dump). By default as set by C(dumps) in the configuration.
    type: str
    choices: [custom, directory]
  jobs:
    description: The number of processes that write a dump in the directory format.
    type: int
  staging_dir:
    description: The directory that temporarily holds a dump in the directory format.
    type: path
  type:
    description:
      - The kind of backup. V(differential) contains what changed since the last full one, V(incremental) what changed
        since the last of any kind; both need PostgreSQL 17 with C(summarize_wal) on.
      - V(auto) is incremental if possible, otherwise full.
    type: str
    choices: [full, differential, incremental, auto]
    default: full
  fallback:
    description:
      - What to do if a differential or incremental backup is impossible. V(none) fails with the reason, V(full) makes a
        full one.
      - By default as set by C(backup.fallback) in the configuration, which defaults to V(none).
    type: str
    choices: [none, full]
  max_age:
    description:
      - Do nothing if every required repository has a backup younger than this many seconds, of this type or a fuller
        one.
      - Without it each run makes a backup.
    type: float
  accept_new_system:
    description:
      - Accept a newly created cluster (C(initdb), C(pg_upgrade)) in addition to those already in the repository.
      - Otherwise a cluster with another system identifier is refused, because the repository most likely belongs to a
        different cluster.
    type: bool
    default: false
seealso:
  - module: lifeboat.postgres.pg_restore_dump
  - module: lifeboat.postgres.pg_backup_info
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Back up before the deploy, unless there is a backup from the last hour
  lifeboat.postgres.pg_backup:
    config_file: /etc/lifeboat/main.yml
    max_age: 3600
  become: true
  become_user: postgres

- name: Make an incremental backup, or a full one if that is impossible
  lifeboat.postgres.pg_backup:
    type: auto
  become: true
  become_user: postgres

- name: Dump one database before its migration
  lifeboat.postgres.pg_backup:
    method: dump
    databases: [shop]
  become: true
  become_user: postgres

- name: Back up a large cluster in the background
  lifeboat.postgres.pg_backup:
  become: true
  become_user: postgres
  async: 86400
  poll: 30
"""

RETURN = r"""
backup:
  description:
    - The record of the backup that was made, or of the one that is recent enough.
    - In check mode, if a backup would be made, what is known beforehand.
  returned: with O(method=base)
  type: dict
  sample:
    label: 20261122T020000Z-full
    type: full
    timeline: 1
    start_lsn: 0/6000028
    stop_lsn: 0/6000120
    finished_at: "2026-11-22T02:00:41Z"
    parent: null
    data_size: 1610612736
notes:
  description: Why a full backup was made instead of another, and why the parent is not a newer backup.
  returned: with O(method=base)
  type: list
  elements: str
dumps:
  description: The records of the dumps that were made, or in check mode the names of the databases.
  returned: with O(method=dump)
  type: list
  elements: raw
  sample:
    - database: shop
      label: 20261122T020000Z-dump
      data_size: 104857600
      rows:
        public.orders: 120934
"""

from dataclasses import replace
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.backup import run as backup
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.option import choices_of
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.sections import BackupConfig
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.dump import make
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import BACKUP_TYPES

SPEC = ArgumentSpec(
    {
        "method": {"type": "str", "choices": ["base", "dump"], "default": "base"},
        "databases": {"type": "list", "elements": "str", "default": []},
        "count_rows": {"type": "bool", "default": True},
        "format": {"type": "str", "choices": ["custom", "directory"]},
        "jobs": {"type": "int"},
        "staging_dir": {"type": "path"},
        "type": {"type": "str", "choices": [*BACKUP_TYPES, "auto"], "default": "full"},
        "fallback": {"type": "str", "choices": list(choices_of(BackupConfig, "fallback"))},
        "max_age": {"type": "float"},
        "accept_new_system": {"type": "bool", "default": False},
    }
)


def make_backup(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and apply unless in check mode."""
    if module.params["method"] == "dump":
        return make_dump(module, config)
    options = module.params
    planned = backup.plan(
        config,
        backup.BackupRequest(options["type"], options["max_age"], options["accept_new_system"], options["fallback"]),
    )
    changed = planned.fresh is None
    if changed and module.check_mode:
        record, notes = planned.as_dict(), list(planned.lineage.notes)
    else:
        done = backup.apply(config, planned)
        record, notes = done.manifest.as_dict(), list(done.notes)
    diff = {"before": "", "after": text(record) if changed else ""}
    return {"changed": changed, "backup": record, "notes": notes, "diff": diff}


def make_dump(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Dump the databases, or in check mode return their names."""
    options = {name: module.params[name] for name in ("format", "jobs", "staging_dir")}
    options = {name: value for name, value in options.items() if value is not None}
    config = replace(config, dumps=replace(config.dumps, count=module.params["count_rows"], **options))
    planned = make.plan(config, make.DumpsRequest(tuple(module.params["databases"])))
    if module.check_mode:
        names = list(planned.databases)
        return {"changed": bool(names), "dumps": names, "diff": {"before": "", "after": text(planned.as_dict())}}
    made = [d.as_dict() for d in make.apply(config, planned)]
    return {"changed": bool(made), "dumps": made, "diff": {"before": "", "after": text({"dumps": made})}}


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), make_backup)


if __name__ == "__main__":
    main()
