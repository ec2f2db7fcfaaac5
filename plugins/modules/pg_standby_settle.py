# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_standby_settle
short_description: Archive the WAL of earlier timelines that only this server has
version_added: 0.1.0
description:
  - PostgreSQL marks segments that were streamed to a standby as archived. If the primary was lost before it archived
    them, they are never archived, and a restore across the promotion finds a gap. This module archives the WAL that a
    required repository lacks, up to the fork of the new timeline, or up to what a standby has replayed.
  - Run it before and after the promotion. Nothing is overwritten; a segment with different content is an error.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
seealso:
  - module: lifeboat.postgres.pg_standby_handover
  - module: lifeboat.postgres.pg_standby_info
"""

EXAMPLES = r"""
- name: Archive the WAL that only the new primary has
  lifeboat.postgres.pg_standby_settle:
    config_file: /etc/lifeboat/main.yml
  become: true
  become_user: postgres
"""

RETURN = r"""
settled_up_to:
  description: The LSN up to which the WAL of earlier timelines is compared with the repositories.
  returned: success
  type: str
lacking:
  description: The missing segments of each repository, by its name.
  returned: success
  type: dict
missing:
  description: Segments that exist neither here nor in a repository, by its name. A restore finds a gap there.
  returned: success
  type: dict
pushed:
  description: The files that were archived.
  returned: success, not in check mode
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.failover import settle


def settle_wal(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan in check mode, else apply."""
    if not module.check_mode:
        return settle.apply(config).as_dict()
    planned = settle.plan(config).as_dict()
    return {**planned, "changed": any(planned["lacking"].values())}


def main() -> None:
    """Run the module."""
    run(cluster_spec(), settle_wal)


if __name__ == "__main__":
    main()
