# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_prepare
short_description: Prepare a repository and report which promises its store keeps
version_added: 0.1.0
description:
  - Creates or checks the bucket of a repository, with versioning, default encryption, a public access block, a policy
    that refuses plain HTTP, and a rule that aborts stale multipart uploads. Rules and statements of others are kept.
  - Tests on a temporary object whether the store refuses to replace an object, refuses damaged bytes, and keeps the
    hosts' credentials from overwriting and deleting. If the bucket has a default retention, that object stays until the
    retention ends.
  - If the store lacks a feature, it shows a warning with the promise that is weakened, but does not fail.
  - For a repository of type V(azure) or V(gcs), which the provider's own tools create, it tests what the hosts'
    credentials can do.
  - For a repository of type V(directory) it checks that the directory exists, is writable, and is on its own file
    system.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.repository
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  admin_access_key_id:
    description:
      - The access key of an identity that may change the bucket, and create users if O(identities) is given.
      - Without it, and without O(admin_profile), the credentials of O(repository) are used.
    type: str
  admin_secret_access_key:
    description: The secret key of that identity.
    type: str
  admin_session_token:
    description: The token of temporary credentials.
    type: str
  admin_profile:
    description: A profile of the AWS configuration files on the host where the module runs.
    type: str
  identities:
    description:
      - Users to create in the store, through AWS' IAM API. Each gets its inline policy, and an access key if needed.
      - If the store does not support C(Deny) in such a policy, only the allowing statements are put, with a warning.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the user is for. The restrictions of hosts are tested with the keys of V(writer).
        type: str
        choices: [writer, files, reader, janitor, rescuer, repairer]
        required: true
      user:
        description: The user's name in the store.
        type: str
        required: true
      policy:
        description: The user's IAM policy document.
        type: dict
        required: true
  credentials_file:
    description:
      - The file for the keys of O(identities), on the host where the module runs.
      - A JSON object keyed by identity, mode 0600.
      - The store shows a secret only once. If this file is lost, delete the user's access key and run the module again.
    type: path
  leave:
    description: Settings of the bucket to neither read nor change, because somebody else manages them.
    type: list
    elements: str
    choices: [versioning, encryption, public_access_block, stale_uploads, tls_only]
    default: []
  abort_days:
    description: The age in days at which unfinished multipart uploads are aborted.
    type: int
    default: 7
  version_days:
    description:
      - The age in days at which older versions of objects are removed, along with delete markers without versions.
      - Without it nothing is changed.
    type: int
  create_directory:
    description: Create the directory of a repository of type V(directory). Otherwise a missing directory is an error.
    type: bool
    default: false
  apart_from:
    description:
      - Paths whose loss a repository of type V(directory) should survive, such as the data directory.
      - A directory on the same file system gets a warning.
    type: list
    elements: path
    default: []
requirements:
  - boto3, for a repository of type V(s3)
seealso:
  - module: lifeboat.postgres.pg_backup
"""

EXAMPLES = r"""
- name: Prepare the bucket from the controller
  lifeboat.postgres.repository_prepare:
    repository:
      type: s3
      bucket: company-backups
      region: eu-central-1
    admin_profile: backup-admin
  delegate_to: localhost

- name: Check the mounted disk as the user that writes to it
  lifeboat.postgres.repository_prepare:
    repository:
      type: directory
      path: /mnt/backups
    apart_from: [/var/lib/postgresql]
  become: true
  become_user: postgres
"""

RETURN = r"""
features:
  description:
    - The features that were set or tested.
    - RV(features[].state) is V(holds), V(weaker), V(planned) in check mode, or V(unknown) if it could not be tested.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The feature.
      type: str
    state:
      description: Whether the promise holds.
      type: str
    detail:
      description: Why it is weaker, or was not tested.
      type: str
    promise:
      description: The promise that depends on the feature.
      type: str
  sample:
    - name: public_access_block
      state: weaker
      detail: the store answered GetPublicAccessBlock with 501 NotImplemented
      promise: no mistake in a policy or an ACL makes the backups public
weaker:
  description: A sentence for each weakened promise, as in the warnings.
  returned: success
  type: list
  elements: str
changes:
  description: What was changed, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [bucket company-backups made, versioning set]
"""

from dataclasses import replace
from typing import Any, Mapping, cast

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import (
    ArgumentSpec,
    repository_spec,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run_without_config, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.audit.scope import announce
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config.load import (
    DirectoryOptions,
    S3Options,
    parse_repository,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.provision import bucket, container, directory
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.provision.features import Prepared
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.provision.identities import Identity

SPEC = ArgumentSpec(
    {
        "admin_access_key_id": {"type": "str"},
        "admin_secret_access_key": {"type": "str", "no_log": True},
        "admin_session_token": {"type": "str", "no_log": True},
        "admin_profile": {"type": "str"},
        "identities": {
            "type": "list",
            "elements": "dict",
            "default": [],
            "options": {
                "name": {
                    "type": "str",
                    "choices": ["writer", "files", "reader", "janitor", "rescuer", "repairer"],
                    "required": True,
                },
                "user": {"type": "str", "required": True},
                "policy": {"type": "dict", "required": True},
            },
        },
        "credentials_file": {"type": "path"},
        "leave": {
            "type": "list",
            "elements": "str",
            "choices": ["versioning", "encryption", "public_access_block", "stale_uploads", "tls_only"],
            "default": [],
        },
        "abort_days": {"type": "int", "default": 7},
        "version_days": {"type": "int"},
        "create_directory": {"type": "bool", "default": False},
        "apart_from": {"type": "list", "elements": "path", "default": []},
    }
)


def prepare(module: AnsibleModule) -> dict[str, Any]:
    """Prepare it, or in check mode plan to."""
    params = module.params
    store = parse_repository(params["repository"]).store
    kind = store.traits.prepared
    if kind == "directory":
        apart_from = tuple(params["apart_from"])
        asked = directory.DirectoryRequest(cast(DirectoryOptions, store), params["create_directory"], apart_from)
        prepared = directory.plan(asked) if module.check_mode else directory.apply(asked)
    elif kind == "container":
        prepared = container.plan(store) if module.check_mode else container.apply(store)
    else:
        wanted = _bucket_request(params, cast(S3Options, store))
        prepared = bucket.plan(wanted) if module.check_mode else bucket.apply(wanted)
    for warning in prepared.warnings:
        module.warn(f"{params['repository'].get('name') or 'repository'}: {warning}")
    if prepared.changes and not module.check_mode:
        announce("prepare", [store.location], {"changes": list(prepared.changes)})
    return _result(prepared)


def _bucket_request(params: Mapping[str, Any], store: S3Options) -> bucket.BucketRequest:
    keys = {
        name: params[f"admin_{name}"] for name in ("access_key_id", "secret_access_key", "session_token", "profile")
    }
    return bucket.BucketRequest(
        admin=replace(store, **keys) if any(keys.values()) else store,
        hosts=store if store.access_key_id else None,
        identities=tuple(Identity(**given) for given in params["identities"]),
        credentials_file=params["credentials_file"] or "",
        leave=tuple(params["leave"]),
        abort_days=params["abort_days"],
        version_days=params["version_days"],
    )


def _result(prepared: Prepared) -> dict[str, Any]:
    return {
        "changed": bool(prepared.changes),
        "changes": list(prepared.changes),
        "features": [feature.as_dict() for feature in prepared.features],
        "weaker": prepared.warnings,
        "diff": {"before": text(prepared.before), "after": text(prepared.after)},
    }


def main() -> None:
    """Run the module."""
    run_without_config(repository_spec().merged(SPEC), prepare)


if __name__ == "__main__":
    main()
