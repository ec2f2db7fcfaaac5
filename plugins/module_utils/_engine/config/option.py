# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a dataclass from a mapping of options; errors name the path of the option."""

from __future__ import annotations

import collections.abc
import dataclasses
import difflib
import typing
from typing import Any, Mapping, Optional, Set, Tuple

from ..base.errors import ConfigError

_NONE = type(None)
_HIDDEN = "secret"
# Shorter words of a command are options or verbs, which Ansible would then hide everywhere.
_SHORTEST = 8


def option(
    doc: str,
    default: Any = dataclasses.MISSING,
    *,
    choices: Tuple[str, ...] = (),
    path: bool = False,
    secret: bool = False,
    factory: Any = dataclasses.MISSING,
) -> Any:
    """A field of a configuration: the single definition of an option's default, choices and documentation.

    ``doc`` is in Ansible's markup (``C()``, ``V()``); ``path``: it names a file of the host. ``repr``,
    messages, ``lifeboat config`` and Ansible's output hide the value of a ``secret``. ``factory`` makes a default that
    cannot be shared. What is generated from this: tools/options.py.
    """
    about = {"doc": doc, "choices": choices, "path": path, _HIDDEN: secret}
    # pylint: disable-next=invalid-field-call  # all callers are bodies of dataclasses
    return dataclasses.field(default=default, default_factory=factory, repr=not secret, metadata=about)


def choices_of(cls: Any, name: str) -> Tuple[str, ...]:
    """The values that an option may have; empty if it has no choices."""
    return tuple(next(f.metadata.get("choices", ()) for f in dataclasses.fields(cls) if f.name == name))


def secret_fields(cls: Any) -> Tuple[str, ...]:
    """The names of the secret fields of a dataclass."""
    return tuple(f.name for f in dataclasses.fields(cls) if f.metadata.get(_HIDDEN))


def secret_values(value: Any) -> Set[str]:
    """Every secret in a dataclass or tuple. Of a command, only words that are long enough to be one, and no paths."""
    if isinstance(value, tuple):
        return {word for item in value for word in secret_values(item)}
    if not dataclasses.is_dataclass(value):
        return set()
    hidden = secret_fields(value)
    found: Set[str] = set()
    for f in dataclasses.fields(value):
        held = getattr(value, f.name)
        if f.name not in hidden:
            found |= secret_values(held)
        elif isinstance(held, str):
            found.add(held)
        elif held:
            found |= {w for w in map(str, held) if len(w) >= _SHORTEST and not w.startswith("/")}
    return found - {""}


def build(cls: Any, data: Any, path: str, where: str) -> Any:
    """Build the dataclass ``cls`` from a mapping: errors for unknown, missing and ill-typed keys name their path."""
    if not isinstance(data, Mapping):
        raise ConfigError(
            f"{where}: {path} must be a mapping, not {type(data).__name__}.", "See the documented options."
        )
    values = {k: v for k, v in data.items() if v is not None}
    fields = {f.name: f for f in dataclasses.fields(cls)}
    hints, hidden = typing.get_type_hints(cls), secret_fields(cls)
    dot = f"{path}." if path else ""
    for key in values:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, 1)
            meant = f"Did you mean {dot}{near[0]}? " if near else ""
            raise ConfigError(
                f"{where}: unknown option {dot}{key}.", f"{meant}Known options: {', '.join(sorted(fields))}."
            )
    for name, f in fields.items():
        if name not in values and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: {dot}{name} is missing.", "Set it; it has no default.")
    out = {k: _coerce(v, hints[k], f"{dot}{k}", where, k in hidden) for k, v in values.items()}
    for key, given in out.items():
        allowed = fields[key].metadata.get("choices")
        if allowed and given is not None and given not in allowed:
            raise ConfigError(f"{where}: {dot}{key} is {given!r}.", f"Choose one of: {', '.join(allowed)}.")
    return cls(**out)


def _coerce(value: Any, hint: Any, path: str, where: str, hidden: bool) -> Any:
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
    shown = "a value" if hidden else repr(value)
    raise ConfigError(f"{where}: {path} is {shown} ({type(value).__name__}).", f"It must be {names}.")


def require_int(value: Any, path: str, where: str, least: int) -> Optional[int]:
    """The number, or None if it is not given; ConfigError if it is not an integer or less than ``least``."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise ConfigError(f"{where}: {path} is {value!r}.", f"It must be an integer, at least {least}.")
    return value


def with_tuples(item: Any, keys: Tuple[str, ...], path: str, where: str) -> Mapping[str, Any]:
    """The mapping with the lists of strings under ``keys`` as tuples."""
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{where}: {path} must be a mapping, not {type(item).__name__}.", "See the documented options."
        )
    values = dict(item)
    for key in keys:
        given = values.get(key)
        if given is not None and not (isinstance(given, (list, tuple)) and all(isinstance(g, str) for g in given)):
            raise ConfigError(f"{where}: {path}.{key} must be a list of strings.", "Write it as a YAML list.")
        if given is not None:
            values[key] = tuple(given)
    return values
