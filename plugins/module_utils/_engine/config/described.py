# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of a configuration as data: for the argument specification of modules, and for tools/options.py."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Dict, List, Mapping, Optional, Tuple

from .load import RepositoryConfig
from .notifications import CHANNEL_TYPES, ChannelConfig
from .option import secret_fields
from .store_options import STORE_TYPES

_NONE = type(None)
_TYPES = {str: "str", bool: "bool", int: "int", float: "float", datetime: "str"}


@dataclass(frozen=True)
class Option:
    """One option: ``kind`` is its Ansible type, ``elements`` that of the items of a list."""

    name: str
    kind: str
    elements: str
    default: Any
    required: bool
    docs: Tuple[str, ...]
    choices: Tuple[str, ...]
    secret: bool
    options: Tuple[Option, ...] = ()

    @property
    def no_log(self) -> Optional[bool]:
        """``no_log`` for an argument specification; None if not needed. Ansible guesses secrets from some names."""
        taken = any(word in self.name for word in ("key", "token", "secret", "password"))
        return self.secret if self.secret or taken else None


def options_of(cls: Any) -> Tuple[Option, ...]:
    """The options of a dataclass, in the order of its fields; those without documentation cannot be set."""
    if cls is ChannelConfig:
        return channel_options()
    return _fields_of(cls)


def _fields_of(cls: Any) -> Tuple[Option, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_option(f, hints[f.name]) for f in dataclasses.fields(cls) if f.metadata.get("doc"))


def _option(field: dataclasses.Field[Any], hint: Any) -> Option:
    inner = [t for t in typing.get_args(hint) if t is not _NONE]
    if typing.get_origin(hint) is typing.Union and len(inner) == 1:
        hint = inner[0]
    path, of, elements = field.metadata["path"], None, ""
    if typing.get_origin(hint) is tuple:
        item = typing.get_args(hint)[0]
        of = item if dataclasses.is_dataclass(item) else None
        kind, elements = "list", "dict" if of else "path" if path else _TYPES[item]
    elif dataclasses.is_dataclass(hint):
        kind, of = "dict", hint
    else:
        kind = "path" if path else _TYPES.get(hint, "dict")
    missing = dataclasses.MISSING
    required = field.default is missing and field.default_factory is missing
    default = None if of or required or field.default is missing else field.default
    return Option(
        field.name, kind, elements, default, required, (field.metadata["doc"],), tuple(field.metadata["choices"]),
        bool(field.metadata["secret"]), options_of(of) if of else (),
    )  # fmt: skip


def repository_options() -> Tuple[Option, ...]:
    """The options of an entry of ``repositories``, for all kinds of stores."""
    kind = Option("type", "str", "", None, True, ("Kind of store.",), tuple(STORE_TYPES), False)
    ours = [dataclasses.replace(o, required=False) for o in options_of(RepositoryConfig) if o.name != "store"]
    return (kind, *ours, *_merged(STORE_TYPES, 3))


def channel_options() -> Tuple[Option, ...]:
    """The options of an entry of ``notifications.channels``, for all kinds of channels."""
    kind = Option("type", "str", "", None, True, ("Kind of channel.",), tuple(CHANNEL_TYPES), False)
    name, *others = (o for o in _fields_of(ChannelConfig) if o.name != "options")
    return (name, kind, *others, *_merged(CHANNEL_TYPES, len(CHANNEL_TYPES)))


def _merged(types: Mapping[str, Any], common: int) -> List[Option]:
    """The options of all kinds, each listed once; with its kinds if fewer than ``common`` have it."""
    kinds = {name: options_of(cls) for name, cls in types.items()}
    found: Dict[str, Option] = {}
    for name, options in kinds.items():
        for option in options:
            said = option.docs[0] if len(kinds) == 1 else f"V({name}) - {option.docs[0]}"
            known = found.get(option.name, dataclasses.replace(option, docs=()))
            found[option.name] = dataclasses.replace(known, docs=(*known.docs, said), required=False)
    merged = []
    for option in found.values():
        texts = {text.split(" - ", 1)[1] for text in option.docs}
        own = next(iter(texts)) if len(texts) == 1 else ""
        some = [text.split(" - ", 1)[0] for text in option.docs]
        last = " and ".join(filter(None, (", ".join(some[:-1]), some[-1])))
        said = own if len(some) >= common else f"{own} For {last}."
        merged.append(dataclasses.replace(option, docs=(said,) if own else option.docs))
    return merged


def shown(value: Any) -> Any:
    """A configuration or a part of it as plain data; of secrets, only whether they are set."""
    if dataclasses.is_dataclass(value):
        hidden = secret_fields(value)
        return {
            f.name: "(set)" if f.name in hidden and getattr(value, f.name) else shown(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if f.metadata.get("shown", True)
        }
    return [shown(item) for item in value] if isinstance(value, tuple) else value
