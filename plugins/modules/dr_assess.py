# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dr_assess
short_description: Get the ways back from a disaster, and what each of them loses
version_added: 0.1.0
description:
  - Reads every repository and asks the server, within a minute, and returns each way back with what it loses, how long
    it takes, what must be true, and the command that does it. The best one by the objectives is marked.
  - What does not answer in time is named. Changes nothing, except that O(bisect) records its restore tests.
  - A target that no repository reaches is an error that names the nearest one.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.info
options:
  disaster:
    description: What happened. By default what it looks like.
    type: str
    choices: [corruption, server, region, ransomware, deletion]
  target_time:
    description: The moment to return to, with its zone. By default the latest.
    type: str
  label:
    description: The backup to return to.
    type: str
  as_of:
    description: A time with its zone, before an attack. Versioned repositories are also read as they were then.
    type: str
  disaster_at:
    description:
      - Since when nothing is committed any more, with its zone. What is lost counts up to then; by default up to now.
    type: str
  database:
    description: The database that is wrong.
    type: str
  tables:
    description: The tables that are wrong, by their SQL names.
    type: list
    elements: str
    default: []
  host:
    description: The server's name in the inventory, for the commands.
    type: str
  new_host:
    description: The name of the empty host in the inventory, for the commands.
    type: str
  standby:
    description: The name of the standby in the inventory.
    type: str
  standby_loss:
    description: What M(lifeboat.postgres.pg_standby_loss) returned as C(loss) on the standby.
    type: dict
  standby_error:
    description: Why the standby could not be asked for its loss.
    type: str
  old_host:
    description: The address of the lost server, for the commands.
    type: str
  fenced:
    description: Whether the old server is off for good.
    type: bool
    default: false
  inventory:
    description: The inventory, for the commands.
    type: str
  host_config_file:
    description:
      - The configuration of the cluster on its own host, for the commands. By default O(config_file).
      - If it is another file than O(config_file), the module runs on another host, and asks no server.
    type: path
  page:
    description: Where to write the page as HTML, on the host where the module runs.
    type: path
  amcheck:
    description: Whether to find damaged relations and blocks with C(pg_amcheck), which reads the whole cluster.
    type: bool
    default: false
  bisect:
    description:
      - Whether to find the newest sound backup before that, by restore tests in scratch clusters on this host,
        however long that takes.
      - Each test is a record in the repositories, so that an interruption loses only the test at work.
    type: bool
    default: false
  within:
    description: Seconds to wait for answers.
    type: float
    default: 60
seealso:
  - module: lifeboat.postgres.pg_standby_loss
  - module: lifeboat.postgres.pg_wal_search
"""

EXAMPLES = r"""
- name: Assess
  lifeboat.postgres.dr_assess:
    disaster: deletion
    database: shop
    tables: [sales.orders]
    target_time: "2026-11-22T14:01:59Z"
  register: found
  become: true
  become_user: postgres

- name: Show the best way back
  ansible.builtin.debug:
    msg: "{{ found.command }}"
"""

RETURN = r"""
assessment:
  description:
    - C(disaster), C(best) and C(command) (null where no way is open), C(ways), the best first, C(first) (what to do
      before), C(repositories), C(server), C(damages) (of C(pg_amcheck)),
      C(silent) (what did not answer, with the reason), C(objectives), C(contacts).
    - Each way has C(name), C(title), C(best), C(possible), C(loses) (C(seconds), C(transactions), C(words)), C(lasts)
      (C(seconds), C(source)), C(missed), C(conditions) (C(name), C(state), C(reason)), C(command), C(playbook) and
      C(repository).
  returned: success
  type: dict
sound:
  description: With O(bisect), the label of the newest sound backup; null if none is, or without O(bisect).
  returned: success
  type: str
tested:
  description: The restore tests of O(bisect), in order; each is C(label) and C(sound).
  returned: success
  type: list
  elements: dict
lines:
  description: The same as text.
  returned: success
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import ArgumentSpec, cluster_spec
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.assess import (
    DISASTERS,
    Asked,
    assess,
    find_sound,
    lines,
    tested_lines,
    write,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config, load
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import read_aware

_WORDS = ("label", "database", "host", "new_host", "standby", "standby_error", "old_host", "inventory")
_TIMES = {"target": "target_time", "as_of": "as_of", "disaster_at": "disaster_at"}
SPEC = ArgumentSpec(
    {
        "disaster": {"type": "str", "choices": list(DISASTERS)},
        **{name: {"type": "str"} for name in (*_WORDS, *_TIMES.values())},
        "tables": {"type": "list", "elements": "str", "default": []},
        "standby_loss": {"type": "dict"},
        "fenced": {"type": "bool", "default": False},
        "host_config_file": {"type": "path"},
        "page": {"type": "path"},
        "amcheck": {"type": "bool", "default": False},
        "bisect": {"type": "bool", "default": False},
        "within": {"type": "float", "default": 60},
    },
    mutually_exclusive=(("target_time", "label"),),
)


def look(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Assess, and write the page; nothing else is changed, except that a bisection records its restore tests."""
    given = module.params
    times = {name: read_aware(given[option], option) for name, option in _TIMES.items() if given[option]}
    words = {name: given[name] or "" for name in _WORDS}
    asked = Asked(
        given["disaster"] or "",
        tables=tuple(given["tables"]),
        fenced=given["fenced"],
        config_file=given["host_config_file"] or "",
        **times,
        **words,
    )
    told = given["standby_loss"]
    sound, tested = find_sound(config) if given["bisect"] and not module.check_mode else (None, [])
    found = assess(config, asked, (lambda: told) if told else None, given["within"], given["amcheck"])
    if given["page"]:
        write(found, given["page"])
    return {
        "changed": bool(tested),
        "assessment": found.as_dict(),
        "sound": sound,
        "tested": [{"label": label, "sound": held} for label, held in tested],
        "lines": [*tested_lines(tested), *lines(found)],
    }


def main() -> None:
    """Run the module."""
    # The present is read beside the past, so that the configuration itself stays in the present.
    run(cluster_spec().merged(SPEC), look, lambda path, as_of: load(path))


if __name__ == "__main__":
    main()
