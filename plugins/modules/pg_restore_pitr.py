# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: pg_restore_pitr
short_description: Restore a PostgreSQL cluster to the latest moment or a chosen target
version_added: 0.1.0
description:
  - Picks the backup and the timeline for the target, and checks that all required WAL segments exist, before it touches
    anything. Streams the backup without staging, verifies it with C(pg_verifybackup), recovers, and asserts that
    recovery ended at the target.
  - Until then the server accepts connections only from this module. A promoted server is then started with its own
    settings.
  - Run it as the owner of the data directory; PostgreSQL refuses to run as root.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.cluster
  - lifeboat.postgres.past
  - lifeboat.postgres.restore
  - lifeboat.postgres.restore.target
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  target:
    description:
      - Where recovery stops.
      - V(latest) is the end of the archived WAL, V(immediate) the end of the backup, V(name) a restore point.
    type: str
    choices: [latest, immediate, time, lsn, xid, name]
    default: latest
  target_action:
    description:
      - What to do at the target.
      - V(standby) has no target. The server becomes a hot standby that follows the newest timeline of the repository,
        with the pieces of the unfinished segment, and never promotes itself. It is left running.
      - For V(standby), a second run changes nothing unless the standby has been promoted.
    type: str
    choices: [promote, pause, shutdown, standby]
    default: promote
  label:
    description: Use this backup instead of the newest one finished before the target.
    type: str
  data_dir:
    description:
      - Restore into this directory instead of the configured one.
      - A cluster restored elsewhere is a clone, and does not archive unless O(archiving=on).
    type: path
  tablespace_mapping:
    description: Maps the location of a tablespace at the source to its new directory. Other tablespaces keep their
      location.
    type: dict
    default: {}
  wal_dir:
    description:
      - Put C(pg_wal) into this directory, with a link to it in the data directory. Excludes O(delta).
      - Without it the WAL is in the data directory, with a warning if it was elsewhere before.
    type: path
  existing:
    description:
      - What to do if the directory is not empty. V(refuse) fails, V(move_aside) renames it; nothing is ever
        deleted.
      - A running server is refused in any case.
    type: str
    choices: [refuse, move_aside]
    default: refuse
  delta:
    description:
      - Keep the files of an existing, stopped data directory of this cluster that match the backup by size and
        checksum, and overwrite everything else in it. C(pg_wal) is renamed, because it may contain WAL that was never
        archived.
      - Only for full backups. Excludes O(existing=move_aside).
    type: bool
    default: false
  pieces:
    description:
      - Whether a restore to V(latest) uses the pieces of the unfinished segment that C(lifeboat wal-stream) stored.
      - Without it, the WAL ends with the last complete segment.
    type: bool
    default: true
  erasures:
    description:
      - Whether to reapply the registered erasures (M(lifeboat.postgres.gdpr_erasure)) that the target does not contain,
        before anybody but this module can connect. If one fails, the restore fails and the server stays down.
    type: bool
    default: true
  archiving:
    description: Whether the restored cluster archives its WAL. V(auto) means only in the configured data directory.
    type: str
    choices: [auto, "on", "off"]
    default: auto
  settings:
    description: Server settings to add to the restored cluster, for example another port.
    type: dict
    default: {}
  leave:
    description: How to leave a promoted server. Use V(stopped) if the service manager starts it.
    type: str
    choices: [running, stopped]
    default: running
  timeout:
    description: Fail if recovery takes longer than this many seconds. By default there is no limit.
    type: float
  request_id:
    description:
      - The caller's ID for this restore, such as that of an incident.
      - A data directory that is the finished result of the same ID is left alone, and the module reports no change. The
        same ID with other options is an error.
      - Without an ID every run is a new restore, to whatever O(target) means by then.
    type: str
  assume_stopped:
    description:
      - Do not refuse the plan because a server is running in the data directory; a restore is still refused.
      - For check mode, so that a playbook can make sure that a restore will succeed before it stops the server.
    type: bool
    default: false
  progress_file:
    description:
      - Write the phase and the progress to this file, as JSON with C(phase), C(done), C(total) and C(note).
      - For a playbook that runs the restore asynchronously and shows its progress.
    type: path
seealso:
  - module: lifeboat.postgres.pg_backup_info
  - name: Recovery targets
    description: PostgreSQL's manual on recovery targets.
    link: https://www.postgresql.org/docs/current/runtime-config-wal.html#RUNTIME-CONFIG-WAL-RECOVERY-TARGET
"""

EXAMPLES = r"""
- name: Undo an accident in place, keeping the present data directory
  lifeboat.postgres.pg_restore_pitr:
    config_file: /etc/lifeboat/main.yml
    target: time
    target_value: "2026-11-22 14:01:59+00"
    existing: move_aside
    leave: stopped
    request_id: INC-2026-042
  become: true
  become_user: postgres

- name: Restore yesterday's data beside the live cluster
  lifeboat.postgres.pg_restore_pitr:
    target: time
    target_value: "2026-11-21 18:00:00+00"
    data_dir: /srv/scratch/main
    tablespace_mapping:
      /srv/tablespaces/history: /srv/scratch/history
    settings:
      port: 5999
  become: true
  become_user: postgres

- name: Follow a cluster of another region from its repository alone
  lifeboat.postgres.pg_restore_pitr:
    target_action: standby
  become: true
  become_user: postgres
"""

RETURN = r"""
plan:
  description:
    - What was or would be done. C(label), C(repository), C(window), C(places), C(segments_needed), C(bytes_to_fetch),
      C(estimated_seconds), C(warnings) (about archived WAL that is missing, or that exists but is not used) and more.
  returned: success
  type: dict
restore:
  description:
    - What was reached. C(reached_lsn), C(reached_time), C(timeline), C(moved_aside), C(segments), C(bytes_restored),
      C(chain) (the labels that were combined), C(files_kept) of a delta restore, C(commit_rate) (commits per
      second in the last archived WAL), C(log), C(erasures) (C(applied), C(pending), C(unread), C(left_out)), and
      C(timings) in seconds. C(standby) is how far a standby and its repository were in the end (C(replayed_lsn),
      C(archive_end_lsn), C(pieces_end_lsn), C(lag_bytes), C(lag_seconds), C(obstacles) to a promotion without a gap).
    - If nothing had to be done (O(request_id)), the record of the restore that created the data directory.
  returned: success, not in check mode when something would be changed
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import (
    ArgumentSpec,
    restore_spec,
    target_spec,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine import restore
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.base.progress import Written
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import Config
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.records.model import TARGET_KINDS, Target
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.restore.request import (
    ACTIONS,
    ARCHIVING,
    EXISTING,
    LEAVE,
)

SPEC = ArgumentSpec(
    {
        "target": {"type": "str", "choices": list(TARGET_KINDS), "default": "latest"},
        "target_action": {"type": "str", "choices": list(ACTIONS), "default": "promote"},
        "label": {"type": "str"},
        "data_dir": {"type": "path"},
        "tablespace_mapping": {"type": "dict", "default": {}},
        "wal_dir": {"type": "path"},
        "existing": {"type": "str", "choices": list(EXISTING), "default": "refuse"},
        "delta": {"type": "bool", "default": False},
        "pieces": {"type": "bool", "default": True},
        "erasures": {"type": "bool", "default": True},
        "archiving": {"type": "str", "choices": list(ARCHIVING), "default": "auto"},
        "settings": {"type": "dict", "default": {}},
        "leave": {"type": "str", "choices": list(LEAVE), "default": "running"},
        "timeout": {"type": "float"},
        "request_id": {"type": "str"},
        "assume_stopped": {"type": "bool", "default": False},
        "progress_file": {"type": "path"},
    },
    required_if=tuple(("target", kind, ("target_value",)) for kind in ("time", "lsn", "xid", "name")),
)


def request(options: dict[str, Any]) -> restore.RestoreRequest:
    """The request for the engine."""
    same = (
        "label", "data_dir", "existing", "delta", "pieces", "erasures", "archiving", "settings", "leave", "timeout",
        "request_id", "wal_dir",
    )  # fmt: skip
    return restore.RestoreRequest(
        target=Target(
            options["target"], options["target_value"], options["target_inclusive"], options["target_timeline"]
        ),
        tablespaces=options["tablespace_mapping"],
        action=options["target_action"],
        assume_stopped=options["assume_stopped"],
        confirm_erasures=tuple(options["confirm_erasures"]),
        **{name: options[name] for name in same},
    )


def make_restore(module: AnsibleModule, config: Config) -> dict[str, Any]:
    """Plan, and apply unless in check mode."""
    planned = restore.plan(config, request(module.params))
    for words in planned.warnings:
        module.warn(words)
    changed = not planned.satisfied
    before = {place.path: place.state for place in planned.places}
    result: dict[str, Any] = {"changed": changed, "plan": planned.as_dict()}
    if not (changed and module.check_mode):
        path = module.params["progress_file"]
        result["restore"] = restore.apply(config, planned, Written(path) if path else None).as_dict()
    if changed:
        after = dict.fromkeys(before, f"{planned.backup.label} restored to {planned.target.describe()}")
        result["diff"] = {"before": text(before), "after": text(after)}
    return result


def main() -> None:
    """Run the module."""
    run(restore_spec().merged(target_spec()).merged(SPEC), make_restore)


if __name__ == "__main__":
    main()
