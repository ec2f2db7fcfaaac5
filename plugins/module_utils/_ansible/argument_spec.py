# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specifications that can be merged; ``doc_fragments`` document the same groups of options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from .._engine.config.described import Option, repository_options


@dataclass(frozen=True)
class ArgumentSpec:
    """Options and the rules between them, as ``AnsibleModule`` takes them."""

    options: dict[str, Any] = field(default_factory=dict)
    required_if: tuple[tuple[Any, ...], ...] = ()
    mutually_exclusive: tuple[tuple[str, ...], ...] = ()
    supports_check_mode: bool = True

    def merged(self, other: ArgumentSpec) -> ArgumentSpec:
        """Both groups of options merged; a name in both is an error."""
        twice = set(self.options) & set(other.options)
        if twice:
            raise ValueError(f"options declared twice: {', '.join(sorted(twice))}")
        return ArgumentSpec(
            {**self.options, **other.options},
            self.required_if + other.required_if,
            self.mutually_exclusive + other.mutually_exclusive,
            self.supports_check_mode and other.supports_check_mode,
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


def restore_spec() -> ArgumentSpec:
    """:func:`past_spec`, and the option of the doc fragment ``lifeboat.postgres.restore``."""
    return past_spec().merged(ArgumentSpec({"confirm_erasures": {"type": "list", "elements": "str", "default": []}}))


def target_spec() -> ArgumentSpec:
    """The options of the doc fragment ``lifeboat.postgres.restore.target``."""
    return ArgumentSpec(
        {
            "target_value": {"type": "str"},
            "target_inclusive": {"type": "bool", "default": True},
            "target_timeline": {"type": "str", "default": "latest"},
        }
    )


def owners_spec() -> ArgumentSpec:
    """The options of the doc fragment ``lifeboat.postgres.restore.owners``."""
    return ArgumentSpec({name: {"type": "bool", "default": True} for name in ("owner", "privileges")})


def repository_spec() -> ArgumentSpec:
    """The option of the doc fragment ``lifeboat.postgres.repository``; the engine has the defaults."""
    options = {option.name: _argument(option) for option in repository_options()}
    return ArgumentSpec({"repository": {"type": "dict", "required": True, "options": options}})


def _argument(option: Option) -> dict[str, Any]:
    found: dict[str, Any] = {"type": option.kind, "required": option.required}
    if option.choices:
        found["choices"] = list(option.choices)
    if option.no_log is not None:
        found["no_log"] = option.no_log
    return found
