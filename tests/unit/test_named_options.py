# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every configuration option in a message or a hint (``seal.identity_file``) exists."""

from __future__ import annotations

import ast
import dataclasses
import re
import typing
from pathlib import Path
from typing import Any, Dict, Iterator, List, Set

import pytest
from lifeboat.config.load import Config

ENGINE = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_engine"
_NAMED = re.compile(r"(?<![\w./-])([a-z_]+)\.([a-z_]+)(?!\.?\w|[(/])")
_FILES = ("json", "jsonl", "signal", "yml")


def below(hint: Any) -> Iterator[Any]:
    """The type and its components."""
    yield hint
    for part in typing.get_args(hint):
        yield from below(part)


def sections() -> Dict[str, Set[str]]:
    """The options of each section of the configuration."""
    hints = typing.get_type_hints(Config)
    return {
        name: {f.name for part in below(hint) if dataclasses.is_dataclass(part) for f in dataclasses.fields(part)}
        for name, hint in hints.items()
    }


SECTIONS = sections()


def faults(text: str) -> List[str]:
    """The unknown options in a text."""
    return [
        m.group()
        for m in _NAMED.finditer(text)
        if m.group(1) in SECTIONS and m.group(2) not in SECTIONS[m.group(1)] and m.group(2) not in _FILES
    ]


def spoken(path: Path) -> Iterator[str]:
    """The strings of a program, except its docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            node.value.value = ""
    yield from (n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))


@pytest.mark.parametrize("path", sorted(ENGINE.rglob("*.py")), ids=lambda p: str(p.relative_to(ENGINE)))
def test_what_is_named_is_an_option(path: Path) -> None:
    assert [fault for text in spoken(path) for fault in faults(text)] == []


def test_unknown_options_are_found() -> None:
    assert faults("Set seal.identity.") == ["seal.identity"] and faults("verify.scratch: see there")
    assert not faults("Set seal.identity_file or retention.max_share; backup.json and docs/verify.md are files.")
