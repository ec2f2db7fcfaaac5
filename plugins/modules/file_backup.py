# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_backup
short_description: Store a named set of files in the repositories of a cluster
version_added: 0.1.0
description:
  - Stores the files as one C(data.tar.zst) with owner, mode, ACL and extended attributes in every required repository.
  - The copy exists once its record is stored, which happens last.
  - Does nothing if the newest copy has the same content, owners, modes, ACLs and extended attributes. Times are
    ignored.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  file_set:
    description: The name of a set in C(file_sets) in the configuration.
    type: str
    required: true
  max_age:
    description:
      - Do nothing if every required repository has a copy younger than this many seconds.
      - Without it every run compares the files with the newest copy.
    type: float
  always:
    description: Store a copy even if nothing has changed since the newest one.
    type: bool
    default: false
seealso:
  - module: lifeboat.postgres.file_restore
"""

EXAMPLES = r"""
- name: Back up the application's configuration
  lifeboat.postgres.file_backup:
    file_set: config
  become: true
"""

RETURN = r"""
stored:
  description: The record of the copy that was made, or of the one that is recent enough or has the same content.
  returned: success, not in check mode when a copy would be made
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.fileset import backup as files
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.fileset.credentials import load_for_files

SPEC = ArgumentSpec(
    {
        "file_set": {"type": "str", "required": True},
        "max_age": {"type": "float"},
        "always": {"type": "bool", "default": False},
    }
)


def store_files(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Store the set, unless in check mode or there is a fresh copy."""
    name, max_age = module.params["file_set"], module.params["max_age"]
    chosen = files.set_named(config, name)
    fresh = None if max_age is None else files.fresh_copy(config, name, max_age)
    if fresh is None and not module.params["always"]:
        fresh = files.unchanged_copy(config, name)
    if fresh:
        return {"changed": False, "stored": fresh.as_dict()}
    after = text({"file_set": name, "paths": list(chosen.paths), "excludes": list(chosen.excludes)})
    result: dict[str, Any] = {"changed": True, "diff": {"before": "", "after": after}}
    if not module.check_mode:
        result["stored"] = files.backup_files(config, name).as_dict()
    return result


def main() -> None:
    """Run the module."""
    run(cluster_spec().merged(SPEC), store_files, load_for_files)


if __name__ == "__main__":
    main()
