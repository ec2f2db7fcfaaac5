# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every command in a message, a hint or a page exists, and accepts the options given with it."""

from __future__ import annotations

import argparse
import ast
import re
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest
from lifeboat.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[2]
_GLOBAL = ("--config", "--as-of", "--json", "--quiet")
_CALL = re.compile(
    r"(?<![\w./@-])lifeboat((?: --(?:json|quiet)| --(?:config|as-of)[ =]\S+)*) ([a-z][a-z-]*)([^.;:()`'\"|\n]*)"
)
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_FOLDED = re.compile(r"\\\n\s*")


def commands() -> Dict[str, argparse.ArgumentParser]:
    """The parser of every command, and of every action of one as "command action"."""

    def below(parser: argparse.ArgumentParser) -> Dict[str, argparse.ArgumentParser]:
        actions = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        return {name: sub for action in actions for name, sub in action.choices.items()}

    found = below(build_parser())
    return {**found, **{f"{c} {name}": sub for c, p in found.items() for name, sub in below(p).items()}}


COMMANDS = commands()


def spoken(path: Path) -> Iterator[str]:
    """The strings of a program, or the code in a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        yield from (_FOLDED.sub("", code) for code in _CODE.findall(text))
        return
    if path.suffix != ".py":
        yield text
        return
    tree = ast.parse(text)
    parts = {id(v) for n in ast.walk(tree) if isinstance(n, ast.JoinedStr) for v in n.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def calls(text: str) -> List[Tuple[str, List[str], str]]:
    """The command, its options, and the text that was read."""
    return [
        (match.group(2), _OPTION.findall(match.group(1)) + _OPTION.findall(match.group(3)), match.group(0))
        for match in _CALL.finditer(text)
    ]


def faults(text: str) -> List[str]:
    """The errors in the commands of a text."""
    found = []
    for name, options, read in calls(text):
        if name not in COMMANDS:
            found.append(f"no command {name}: {read}")
            continue
        action = read.split(f" {name} ", 1)[-1].split(" ", 1)[0]
        known = {*COMMANDS.get(f"{name} {action}", COMMANDS[name])._option_string_actions, *_GLOBAL}
        found += [f"{name} has no option {option}: {read}" for option in options if option not in known]
    return found


PAGES = [
    *(p for top in ("plugins", "roles", "playbooks") for p in (ROOT / top).rglob("*") if p.suffix in (".py", ".yml")),
    *(p for p in ROOT.glob("docs/*.md")),
    *(p for p in ROOT.glob("roles/*/README.md")),
    ROOT / "README.md",
]


@pytest.mark.parametrize("path", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_what_is_named_is_there(path: Path) -> None:
    assert [fault for text in spoken(path) for fault in faults(text)] == []


def test_what_is_not_there_is_found() -> None:
    assert faults("Run lifeboat mend now.") and faults("lifeboat verify --everything tells")
    assert faults("`lifeboat --config /etc/x.yml dump create app --jbos 4`")
    assert not faults("lifeboat dump create app --jobs 4") and not faults("/var/lib/lifeboat is there")
