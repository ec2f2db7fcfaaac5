# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_info
short_description: List the backups of a PostgreSQL cluster and the moments that can be restored
version_added: 0.1.0
description:
  - Reads the first repository that answers, and tells its backups, the windows of time to which a point-in-time
    restore can go,
    and the gaps in the archived WAL.
  - Needs no running server.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
seealso:
  - module: lifeboat.postgres.pg_backup
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: What can be restored
  lifeboat.postgres.pg_backup_info:
    config_file: /etc/lifeboat/main.yml
  register: protection
  become: true
  become_user: postgres

- name: Refuse to deploy with a hole in the archive
  ansible.builtin.assert:
    that: protection.gaps | length == 0
"""

RETURN = r"""
cluster:
  description: The name of the cluster.
  returned: success
  type: str
repository:
  description: The repository that was read.
  returned: success
  type: str
passed_over:
  description: The repositories before it that could not be read, each with its error.
  returned: success
  type: list
  elements: dict
backups:
  description:
    - The finished backups, oldest first, each with its record and C(chain) (the labels that it is put together of, its
      full backup first; empty where C(broken) says what is missing), C(restorable), C(stored_size), C(final_size)
      (of the restored cluster), C(estimated_seconds), a forecast of a restore to the latest moment, C(verified_at),
      when it was read back last and was intact, C(tested) (C(at), C(proven)), when it was restored last for a test, and
      C(held), the reason of a hold; each null where there is none.
  returned: success
  type: list
  elements: dict
windows:
  description: The spans of time to which a restore can go, each with C(timeline), C(start), C(end), C(end_lsn) and
    C(seconds). A restore to the latest moment reaches C(pieces_end_lsn) where the unfinished segment is streamed.
  returned: success
  type: list
  elements: dict
gaps:
  description: The backups behind which WAL is missing, with the names of the missing segments.
  returned: success
  type: list
  elements: dict
unfinished:
  description: Labels of backups that were begun and never finished.
  returned: success
  type: list
  elements: str
damaged:
  description: Backups whose record cannot be trusted, each with its error.
  returned: success
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine import info
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config


def read_info(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Describe the repository."""
    return {"changed": False, **info.describe(config)}


def main() -> None:
    """Run the module."""
    run(past_spec(), read_info)


if __name__ == "__main__":
    main()
