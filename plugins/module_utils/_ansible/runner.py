# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one engine operation as an Ansible module: the only place where an engine error becomes ``fail_json``."""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping, NoReturn, Optional

from ansible.module_utils.basic import AnsibleModule

from .._engine.audit.scope import called_by, take_warnings
from .._engine.base.ending import end_in_order
from .._engine.base.errors import LifeboatError
from .._engine.config.load import Config, load
from .._engine.config.option import secret_values
from .argument_spec import ArgumentSpec

# What an operation returns: the module's result, always with ``changed``.
Operation = Callable[[AnsibleModule, Config], Mapping[str, Any]]
Loader = Callable[[str, Optional[str]], Config]


def run(spec: ArgumentSpec, operation: Operation, load: Loader = load) -> NoReturn:
    """Parse the options, load the cluster's configuration, run the operation, and end the module."""

    def with_config(module: AnsibleModule) -> Mapping[str, Any]:
        config = load(module.params["config_file"], module.params.get("as_of") or None)
        module.no_log_values.update(secret_values(config))
        return operation(module, config)

    run_without_config(spec, with_config)


def run_without_config(spec: ArgumentSpec, operation: Callable[[AnsibleModule], Mapping[str, Any]]) -> NoReturn:
    """Parse the options, run an operation that needs no configuration of a cluster, and end the module."""
    module = spec.create_module()
    end_in_order()
    called_by(f"module {getattr(module, '_name', 'lifeboat').rsplit('.', 1)[-1]}")
    try:
        try:
            result = operation(module)
        finally:
            for words in take_warnings():
                module.warn(words)
    except LifeboatError as exc:
        module.fail_json(
            msg=" ".join(filter(None, (exc.message, exc.hint))),
            error_code=exc.error_code,
            hint=exc.hint,
            details=plain(exc.details),
        )
    except KeyboardInterrupt:
        module.fail_json(msg="Interrupted: what was begun was dropped. Run it again.", error_code="interrupted")
    module.exit_json(**plain(result))


def plain(data: Any) -> Any:
    """JSON-serializable data: tuples become lists, anything else its text."""
    return json.loads(json.dumps(data, default=str))


def text(data: Mapping[str, Any]) -> str:
    """A record as lines, for ``--diff``."""
    return json.dumps(data, indent=2, sort_keys=True, default=str) + "\n"
