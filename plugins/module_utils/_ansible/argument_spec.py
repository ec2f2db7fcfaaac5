# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specifications that can be merged; ``doc_fragments`` document the same groups of options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule


@dataclass(frozen=True)
class ArgumentSpec:
    """Options and the rules between them, as ``AnsibleModule`` takes them."""

    options: dict[str, Any] = field(default_factory=dict)
    required_if: tuple[tuple[Any, ...], ...] = ()
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    supports_check_mode: bool = True

    def merged(self, other: ArgumentSpec) -> ArgumentSpec:
        """Both groups of options; a name in both is a mistake."""
        twice = set(self.options) & set(other.options)
        if twice:
            raise ValueError(f"options declared twice: {', '.join(sorted(twice))}")
        return ArgumentSpec(
            {**self.options, **other.options},
            self.required_if + other.required_if,
            self.mutually_exclusive + other.mutually_exclusive,
            self.supports_check_mode,
        )

    def create_module(self) -> AnsibleModule:
        """The module with its parsed options."""
        return AnsibleModule(
            argument_spec=self.options,
            required_if=self.required_if,
            mutually_exclusive=self.mutually_exclusive,
            supports_check_mode=self.supports_check_mode,
        )


def cluster_spec() -> ArgumentSpec:
    """The options of the doc fragment ``lifeboat.postgres.cluster``."""
    return ArgumentSpec({"config_file": {"type": "path", "default": "/etc/lifeboat/main.yml"}})


def past_spec() -> ArgumentSpec:
    """:func:`cluster_spec`, and the option of the doc fragment ``lifeboat.postgres.past``."""
    return cluster_spec().merged(ArgumentSpec({"as_of": {"type": "str"}}))


def repository_spec() -> ArgumentSpec:
    """The option of the doc fragment ``lifeboat.postgres.repository``; the engine has the defaults."""
    texts = ("name", "bucket", "prefix", "endpoint_url", "region", "access_key_id", "profile", "storage_class")
    secrets = ("secret_access_key", "session_token", "account_key", "sas_token", "service_account_key", "access_token")
    options: dict[str, Any] = {
        "type": {"type": "str", "choices": ["s3", "directory", "azure", "gcs"], "required": True},
        "required": {"type": "bool"},
        "path": {"type": "path"},
        "addressing_style": {"type": "str", "choices": ["auto", "path", "virtual"]},
        "access_tier": {"type": "str", "choices": ["Hot", "Cool", "Cold"]},
        "credentials_file": {"type": "path"},
        "ca_bundle": {"type": "path"},
        "validate_certs": {"type": "bool"},
        "allow_http": {"type": "bool"},
        "sse": {"type": "str", "choices": ["AES256", "aws:kms"]},
        "sse_kms_key_id": {"type": "str", "no_log": False},
        "object_lock": {"type": "str", "choices": ["governance", "compliance"]},
        "connect_timeout": {"type": "float"},
        "read_timeout": {"type": "float"},
        **{name: {"type": "int"} for name in ("max_attempts", "part_size", "parallel")},
        **{name: {"type": "str"} for name in (*texts, "account", "container")},
        **{name: {"type": "str", "no_log": True} for name in secrets},
    }
    return ArgumentSpec({"repository": {"type": "dict", "required": True, "options": options}})
