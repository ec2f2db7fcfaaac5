# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mapping of options made a dataclass: what is wrong is told by its path."""

from __future__ import annotations

import collections.abc
import dataclasses
import typing
from typing import Any, Mapping, Optional, Tuple

from .errors import ConfigError

_NONE = type(None)
#: An option with such a word in its name may hold a secret, which no message shows.
_SECRET = ("secret", "password", "token", "account_key")


def build(cls: Any, data: Any, path: str, where: str) -> Any:
    """Make the dataclass ``cls`` of a mapping: unknown, missing and ill-typed keys are errors that name their path."""
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"{where}: {path} must be a mapping, not {type(data).__name__}.", "See the documented options."
        )
    values = {k: v for k, v in data.items() if v is not None}
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    dot = f"{path}." if path else ""
    for key in values:
        if key not in fields:
            raise ConfigError(f"{where}: unknown option {dot}{key}.", f"Known here: {', '.join(sorted(fields))}.")
    for name, f in fields.items():
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: {dot}{name} is missing.", "It has no default.")
    out = {k: _coerce(v, hints[k], f"{dot}{k}", where) for k, v in values.items()}
    for key, allowed in getattr(cls, "CHOICES", {}).items():
        if out.get(key) is not None and out[key] not in allowed:
            raise ConfigError(f"{where}: {dot}{key} is {out[key]!r}.", f"Choose one of: {', '.join(allowed)}.")
    return cls(**out)


def _coerce(value: Any, hint: Any, path: str, where: str) -> Any:
    if typing.get_origin(hint) is collections.abc.Mapping:
        if isinstance(value, Mapping):
            return dict(value)
        raise ConfigError(f"{where}: {path} is {value!r} ({type(value).__name__}).", "It must be a mapping.")
    allowed = [t for t in (typing.get_args(hint) or (hint,)) if isinstance(t, type)]
    if float in allowed and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    for kind in allowed:
        if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
            return value
    may_be_tuple = tuple in (typing.get_origin(hint), *map(typing.get_origin, typing.get_args(hint)))
    if (may_be_tuple and isinstance(value, tuple)) or typing.get_origin(hint) is tuple or not allowed:
        return value
    names = " or ".join(t.__name__ for t in allowed if t is not _NONE)
    shown = "a value" if any(word in path for word in _SECRET) else repr(value)
    raise ConfigError(f"{where}: {path} is {shown} ({type(value).__name__}).", f"It must be {names}.")


def require_int(value: Any, path: str, where: str, least: int) -> Optional[int]:
    """The number, or None where it is not given; ConfigError where it is no integer or less than ``least``."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise ConfigError(f"{where}: {path} is {value!r}.", f"It must be an integer from {least} on.")
    return value


def with_tuples(item: Any, keys: Tuple[str, ...], path: str, where: str) -> Mapping[str, Any]:
    """A mapping in which the lists of words under ``keys`` are tuples."""
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{where}: {path} must be a mapping, not {type(item).__name__}.", "See the documented options."
        )
    values = dict(item)
    for key in keys:
        given = values.get(key)
        if given is not None and not (isinstance(given, (list, tuple)) and all(isinstance(g, str) for g in given)):
            raise ConfigError(f"{where}: {path}.{key} must be a list of words.", "Put each on a line of its own.")
        if given is not None:
            values[key] = tuple(given)
    return values
