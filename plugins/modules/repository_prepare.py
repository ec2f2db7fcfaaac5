# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: repository_prepare
short_description: Make a repository ready and tell what its store holds
version_added: 0.1.0
description:
  - Makes the bucket of a repository, or checks it, with versioning, default encryption, a public access block, a policy
    that
    refuses clear text, and a rule that aborts stale multipart uploads. Rules and statements of others are kept.
  - Tries on an object that is removed again whether the store refuses to replace an object, refuses damaged bytes, and
    keeps the hosts' credentials from overwriting and deleting. Where the bucket has a default retention, that object
    stays until it ends.
  - A store that lacks a feature gets a warning that names the promise that is then weaker; that is never a failure.
  - Of a repository of type V(azure) or V(gcs), which the provider's own tools make, it tries what the hosts'
    credentials can do.
  - Of a repository of type V(directory) it checks that the directory is there, writable, and on a file system of its
    own.
author: The Lifeboat authors (@lifeboat)
extends_documentation_fragment:
  - lifeboat.postgres.repository
  - lifeboat.postgres.attributes
  - lifeboat.postgres.attributes.diff
options:
  admin_access_key_id:
    description:
      - The access key of who may change the bucket, and make users when O(identities) are given.
      - Without it, and without O(admin_profile), the credentials of O(repository) are used.
    type: str
  admin_secret_access_key:
    description: Its secret.
    type: str
  admin_session_token:
    description: The token of temporary credentials.
    type: str
  admin_profile:
    description: A profile of the AWS configuration files where the module runs.
    type: str
  identities:
    description:
      - Users to be made in the store, by AWS' IAM API. Each gets its policy inline, and an access key when it has none.
      - Where the store takes no C(Deny) in such a policy, the part that allows is put, and a warning tells.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the user is for. What hosts cannot do is tried with the keys of V(writer).
        type: str
        choices: [writer, reader, janitor, repairer]
        required: true
      user:
        description: The user's name in the store.
        type: str
        required: true
      policy:
        description: Its IAM policy document.
        type: dict
        required: true
  credentials_file:
    description:
      - Where the keys of O(identities) are kept, on the host where the module runs.
      - A JSON object by identity, mode 0600.
      - The store shows a secret only once. After this file is lost, delete the user's access key and run again.
    type: path
  leave:
    description: Settings of the bucket that somebody else looks after, and that are neither read nor changed.
    type: list
    elements: str
    choices: [versioning, encryption, public_access_block, stale_uploads, tls_only]
    default: []
  abort_days:
    description: The age in days at which an unfinished multipart upload is aborted.
    type: int
    default: 7
  version_days:
    description:
      - The age in days at which older versions of objects are removed, with delete markers that no version is left of.
      - Without it nothing is changed about them.
    type: int
  create_directory:
    description: Make the directory of a repository of type V(directory). Otherwise a missing one is an error.
    type: bool
    default: false
  apart_from:
    description:
      - Paths whose loss a repository of type V(directory) should outlive, such as the data directory.
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
- name: Make the bucket ready, from the controller
  lifeboat.postgres.repository_prepare:
    repository:
      type: s3
      bucket: company-backups
      region: eu-central-1
    admin_profile: backup-admin
  delegate_to: localhost

- name: Look at the mounted disk as the user that writes to it
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
    - What the store was asked for or tried with.
    - RV(features[].state) is V(holds), V(weaker), V(planned) in check mode, or V(unknown) where it could not be tried.
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
      description: Why it is weaker, or was not tried.
      type: str
    promise:
      description: What rests on it.
      type: str
  sample:
    - name: public_access_block
      state: weaker
      detail: the store answered GetPublicAccessBlock with 501 NotImplemented
      promise: no mistake in a policy or an ACL makes the backups public
weaker:
  description: A sentence for each promise that is weaker, as in the warnings.
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
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec import (
    ArgumentSpec,
    repository_spec,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.runner import run_without_config, text
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.audit.scope import announce
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.config import (
    DirectoryOptions,
    S3Options,
    parse_repository,
)
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.repository.container import container_ready
from ansible_collections.lifeboat.postgres.plugins.module_utils._engine.repository.prepare import (
    BucketRequest,
    DirectoryRequest,
    Identity,
    Prepared,
    bucket_ready,
    directory_ready,
)

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
                "name": {"type": "str", "choices": ["writer", "reader", "janitor", "repairer"], "required": True},
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
    """Make it ready, or in check mode tell what that would be."""
    params = module.params
    store = parse_repository(params["repository"]).store
    apply = not module.check_mode
    if isinstance(store, DirectoryOptions):
        asked = DirectoryRequest(store, params["create_directory"], tuple(params["apart_from"]))
        prepared = directory_ready(asked, apply)
    elif not isinstance(store, S3Options):
        prepared = container_ready(store, apply)
    else:
        prepared = bucket_ready(_bucket_request(params, store), apply)
    for warning in prepared.warnings:
        module.warn(f"{params['repository'].get('name') or 'repository'}: {warning}")
    if apply and prepared.changes:
        where = store.path if isinstance(store, DirectoryOptions) else f"s3://{store.bucket}/{store.prefix}"
        announce("prepare", [where], {"changes": list(prepared.changes)})
    return _result(prepared)


def _bucket_request(params: Mapping[str, Any], store: S3Options) -> BucketRequest:
    keys = {
        name: params[f"admin_{name}"] for name in ("access_key_id", "secret_access_key", "session_token", "profile")
    }
    return BucketRequest(
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
