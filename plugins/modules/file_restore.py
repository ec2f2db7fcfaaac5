# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_restore
short_description: Bring a named set of files back
version_added: 0.1.0
description:
  - Compares the stored copy with what is there, and writes only when something differs.
  - A file that is replaced is kept beside the new one, with a name that ends in C(.before-) and the time.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  file_set:
    description: The name of the set. It need not be configured on this host.
    type: str
    required: true
  label:
    description: Restore this copy, instead of the newest.
    type: str
  at:
    description:
      - Restore the copy that was the newest at this time. Where all are younger, the oldest.
      - Written as in O(lifeboat.postgres.pg_restore_pitr#module:target_value); without a zone it is UTC.
    type: str
  target:
    description: Restore below this directory.
    type: path
    default: /
  only:
    description: Bring back only what lies below these absolute paths.
    type: list
    elements: path
    default: []
seealso:
  - module: lifeboat.postgres.file_backup
"""

EXAMPLES = r"""
- name: Bring the application's configuration back
  lifeboat.postgres.file_restore:
    file_set: config
  become: true
"""

RETURN = r"""
label:
  description: The copy that was compared and, where something differed, restored.
  returned: success
  type: str
differences:
  description: What differed before, in the words of C(tar --compare), at most 1000 lines.
  returned: success
  type: list
  elements: str
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
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.file_restore import restore_files
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.model import Target

SPEC = ArgumentSpec(
    {
        "file_set": {"type": "str", "required": True},
        "label": {"type": "str"},
        "at": {"type": "str"},
        "target": {"type": "path", "default": "/"},
        "only": {"type": "list", "elements": "path", "default": []},
    },
    mutually_exclusive=(("label", "at"),),
)


def bring_back(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Compare, and restore unless in check mode."""
    options = module.params
    done = restore_files(
        config,
        options["file_set"],
        options["label"],
        options["target"],
        not module.check_mode,
        only=options["only"],
        at=Target("time", options["at"]).moment() if options["at"] else None,
    )
    before = "".join(f"{line}\n" for line in done.differences)
    return {**asdict(done), "diff": {"before": before, "after": ""}}


def main() -> None:
    """Run the module."""
    run(past_spec().merged(SPEC), bring_back)


if __name__ == "__main__":
    main()
