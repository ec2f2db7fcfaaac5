# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the option that describes a repository."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``lifeboat.postgres.repository``."""

    DOCUMENTATION = r"""
options:
  repository:
    description: One entry of C(repositories) in Lifeboat's configuration.
    type: dict
    required: true
    suboptions:
      type:
        description: The kind of store.
        type: str
        choices: [s3, directory, azure, gcs]
        required: true
      name:
        description: Its name, for messages.
        type: str
      required:
        description: Whether a segment must be in it before PostgreSQL is told that it is archived.
        type: bool
      path:
        description: The directory.
        type: path
      bucket:
        description: The bucket, of V(s3) or V(gcs).
        type: str
      account:
        description: The storage account of V(azure).
        type: str
      container:
        description: The container of V(azure).
        type: str
      account_key:
        description: The storage account's key. Without it and a SAS token, the default chain of C(azure-identity).
        type: str
      sas_token:
        description: A shared access signature for the container, instead of the key.
        type: str
      access_tier:
        description: The tier of new blobs.
        type: str
        choices: [Hot, Cool, Cold]
      credentials_file:
        description: A service account's key or another credential configuration of Google Cloud, on the host.
        type: path
      service_account_key:
        description: The text of a service account's key. Without any, the application default credentials.
        type: str
      access_token:
        description: An access token of Google Cloud; it ends after an hour at most.
        type: str
      prefix:
        description: What every key begins with.
        type: str
      endpoint_url:
        description: The store, when it is not the provider's own.
        type: str
      region:
        description: The region.
        type: str
      addressing_style:
        description: Whether the bucket's name is part of the path or of the host name.
        type: str
        choices: [auto, path, virtual]
      access_key_id:
        description: The access key that hosts use. Without it, boto3's chain of credentials.
        type: str
      secret_access_key:
        description: Its secret.
        type: str
      session_token:
        description: The token of temporary credentials.
        type: str
      profile:
        description: A profile of the AWS configuration files.
        type: str
      ca_bundle:
        description: A PEM file with the authority that signed the store's certificate.
        type: path
      validate_certs:
        description: Whether the store's certificate is checked.
        type: bool
      allow_http:
        description: Allow plain HTTP to another machine, which is refused otherwise.
        type: bool
      sse:
        description: Encryption at rest.
        type: str
        choices: [AES256, "aws:kms"]
      sse_kms_key_id:
        description: The key of V(aws:kms).
        type: str
      object_lock:
        description:
          - Lock each object for as long as retention keeps it. The bucket must have Object Lock.
          - Nobody can undo V(compliance) before its time.
          - V(governance) can be undone by who has C(s3:BypassGovernanceRetention).
        type: str
        choices: [governance, compliance]
      storage_class:
        description: The storage class of new objects.
        type: str
      connect_timeout:
        description: Seconds.
        type: float
      read_timeout:
        description: Seconds.
        type: float
      max_attempts:
        description: How often a request is sent at most.
        type: int
      part_size:
        description: Bytes of one part of a long upload.
        type: int
      parallel:
        description: How many parts are on their way at once.
        type: int
notes:
  - A failure has RV(ignore:error_code), a stable word for programs, RV(ignore:hint), the way out, and
    RV(ignore:details).
"""
