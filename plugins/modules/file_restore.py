# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_restore
short_description: Restore a named set of files
version_added: 0.1.0
description:
  - Compares the stored copy with the existing files, and writes only if something differs.
  - A replaced file is kept beside the new one, under a name that ends in C(.before-) and the time.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  file_set:
    description:
      - The name of the set. It is written only at or below its paths in C(file_sets) in the configuration.
      - For a set that is not configured on this host, set O(paths) or O(only) to the paths that it may write to.
    type: str
    required: true
  label:
    description: Restore this copy instead of the newest.
    type: str
  at:
    description:
      - Restore the copy that was the newest at this time, or the oldest if all are newer.
      - Written as in O(lifeboat.postgres.pg_restore_pitr#module:target_value); without a zone it is UTC.
    type: str
  target:
    description: Restore below this directory.
    type: path
    default: /
  only:
    description: Restore only members at or below these absolute paths.
    type: list
    elements: path
    default: []
  paths:
    description:
      - Paths that the set may write to, instead of those in the configuration.
      - Use this for a copy older than the configuration, or for a set that is not configured on this host.
    type: list
    elements: path
    default: []
seealso:
  - module: lifeboat.postgres.file_backup
"""

EXAMPLES = r"""
- name: Restore the application's configuration
  lifeboat.postgres.file_restore:
    file_set: config
  become: true
"""

RETURN = r"""
label:
  description: The copy that was compared and, if something differed, restored.
  returned: success
  type: str
differences:
  description: What differed before, as printed by C(tar --compare), at most 1000 lines.
  returned: success
  type: list
  elements: str
writes:
  description:
    - Each member that was created or changed, or would be in check mode; at most 1000.
    - Each has C(action) (C(create) or C(change)), C(path), C(kind), C(mode), C(owner) as C(user:group) and C(target) of
      a link.
  returned: success
  type: list
  elements: dict
repository:
  description: The repository that was read.
  returned: success
  type: str
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, past_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.fileset.credentials import load_for_files
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.fileset.restore import FilesRequest, apply, plan
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.fileset.scope import write_line
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import Target

SPEC = ArgumentSpec(
    {
        "file_set": {"type": "str", "required": True},
        "label": {"type": "str"},
        "at": {"type": "str"},
        "target": {"type": "path", "default": "/"},
        "only": {"type": "list", "elements": "path", "default": []},
        "paths": {"type": "list", "elements": "path", "default": []},
    },
    mutually_exclusive=(("label", "at"),),
)


def bring_back(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Compare, and restore unless in check mode."""
    options = module.params
    request = FilesRequest(
        options["file_set"],
        options["label"],
        options["target"],
        tuple(options["only"]),
        Target("time", options["at"]).moment() if options["at"] else None,
        tuple(options["paths"]),
    )
    done = (plan if module.check_mode else apply)(config, request)
    before = "".join(f"{line}\n" for line in done.differences)
    after = "".join(f"{write_line(write)}\n" for write in done.writes)
    return {**asdict(done), "diff": {"before": before, "after": after}}


def main() -> None:
    """Run the module."""
    run(past_spec().merged(SPEC), bring_back, load_for_files)


if __name__ == "__main__":
    main()
