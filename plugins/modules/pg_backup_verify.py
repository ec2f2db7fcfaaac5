# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_backup_verify
short_description: Prove a backup by restoring it
version_added: 0.1.0
description:
  - Restores a backup into a scratch cluster on this host, replays the archived WAL to its end, reads every table and
    index with C(pg_amcheck), compares the contents with those at the time of the backup, runs the queries of
    C(verify) in the configuration, writes a report, and drops the scratch cluster.
  - The scratch cluster has no port, archives nothing, starts no workers of extensions or subscriptions, and has its own
    directory. It is dropped even after a failure.
  - It changes nothing on the host or in the cluster, so the module never reports a change. The report is a new object
    in every repository.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
options:
  label:
    description: The backup to test instead of the newest.
    type: str
  repository:
    description: The name of the repository to test instead of the first available one.
    type: str
  report_dir:
    description: A directory for C(report.json) and C(report.html), which is created.
    type: path
notes:
  - Run it as the user who owns the cluster, never as root. Use C(async) if a restore takes long.
  - Fails if any check fails, with the report among its results.
seealso:
  - module: lifeboat.postgres.pg_backup_info
  - module: lifeboat.postgres.pg_restore_pitr
"""

EXAMPLES = r"""
- name: Prove the newest backup
  lifeboat.postgres.pg_backup_verify:
    config_file: /etc/lifeboat/main.yml
    report_dir: /var/lib/lifeboat/restore-test
  become: true
  become_user: postgres
  async: 86400
  poll: 15
"""

RETURN = r"""
report:
  description:
    - What was restored (C(label), C(chain), C(repository), C(restored)), whether it is C(proven), and the C(findings),
      each with C(name), C(state) (V(held), V(broken) or V(left out)), C(detail), C(seconds) and C(lines).
    - In check mode the plan of the restore.
  returned: success, and when a check failed
  type: dict
  sample:
    label: 20261122T020000Z-full
    repository: frankfurt
    proven: true
    findings:
      - name: restore
        state: held
        detail: to 0/5000148, last commit 2026-11-22T02:10:12.123456Z, timeline 2
        seconds: 41.2
        lines: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run as run_module
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.restore_test import run as test
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.restore_test.page import write_report

SPEC = ArgumentSpec({"label": {"type": "str"}, "repository": {"type": "str"}, "report_dir": {"type": "path"}})


def prove(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan in check mode; otherwise restore, run the checks and report."""
    request = test.TestRequest(module.params["label"], module.params["repository"])
    if module.check_mode:
        return {"changed": False, "report": test.plan(config, request)}
    done = test.apply(config, request)
    write_report(done.report, module.params["report_dir"])
    for name in done.unrecorded:
        module.warn(f"{name} did not accept the report")
    return {"changed": False, "report": test.require_proven(done).report}


def main() -> None:
    """Run the module."""
    run_module(past_spec().merged(SPEC), prove)


if __name__ == "__main__":
    main()
