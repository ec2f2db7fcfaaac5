# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_info
short_description: List the backups and recovery windows of a PostgreSQL cluster
version_added: 0.1.0
description:
  - Reads the first available repository, and returns its backups, the windows that a point-in-time restore can reach,
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
- name: Get backups and windows
  lifeboat.postgres.pg_backup_info:
    config_file: /etc/lifeboat/main.yml
  register: protection
  become: true
  become_user: postgres

- name: Check that no WAL is missing before a deploy
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
  description: The repositories tried before that could not be read, each with its error.
  returned: success
  type: list
  elements: dict
backups:
  description:
    - The finished backups, oldest first, each with its record and C(chain) (the labels that it consists of, the full
      backup first; empty if C(broken) says what is missing), C(restorable), C(stored_size), C(final_size) (of the
      restored cluster), C(estimated_seconds) (a forecast of a restore to the latest moment), C(verified_at) (when it
      was last read back and found intact), C(tested) (C(at), C(proven), of the last restore test) and C(held) (the
      reason of a hold); each null if there is none.
  returned: success
  type: list
  elements: dict
windows:
  description: The spans of time that a restore can reach, each with C(timeline), C(start), C(end), C(end_lsn) and
    C(seconds). A restore to the latest moment reaches C(pieces_end_lsn) if the unfinished segment is streamed.
    C(lost) lists segments after the end that are on record as archived but missing, C(lost_count) counts them.
  returned: success
  type: list
  elements: dict
gaps:
  description: The backups after which WAL is missing, with the names of the missing segments.
  returned: success
  type: list
  elements: dict
unfinished:
  description: Labels of backups that were started but never finished.
  returned: success
  type: list
  elements: str
ahead:
  description: Backups whose time is in the future according to the store's clock, each with C(label) and C(message). A
    clock was wrong when they were made.
  returned: success
  type: list
  elements: dict
damaged:
  description: Backups whose record is damaged or implausible, each with its error.
  returned: success
  type: list
  elements: dict
foreign:
  description: Records that do not count because no configured signer has signed them, each with its key and error.
  returned: success
  type: list
  elements: dict
set_apart:
  description: Objects that are not part of the repository, or whose record is damaged or implausible, each with its
    C(key) and error; at most 1000 of them. They do not count.
  returned: success
  type: list
  elements: dict
set_apart_count:
  description: The number of objects set apart.
  returned: success
  type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.listing import contents as info


def read_info(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Describe the repository."""
    return {"changed": False, **info.describe(config)}


def main() -> None:
    """Run the module."""
    run(past_spec(), read_info)


if __name__ == "__main__":
    main()
