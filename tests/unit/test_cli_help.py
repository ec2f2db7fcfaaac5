# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The help of each command, and options before or after its name."""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set, Tuple

import pytest
from lifeboat.cli import main as cli
from lifeboat.cli.verbs import VERBS, verb_in


def commands(
    parser: argparse.ArgumentParser, path: Tuple[str, ...] = ()
) -> Iterator[Tuple[str, argparse.ArgumentParser]]:
    """Every command and action, as words."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield " ".join((*path, name)), inner
                yield from commands(inner, (*path, name))


COMMANDS: Dict[str, argparse.ArgumentParser] = dict(commands(cli.build_parser()))
# What PostgreSQL or a drill calls, not a person.
INNER = {name for name in COMMANDS if name.startswith("drill-")} | {"wal-prefetch"}


@pytest.mark.parametrize("name", sorted(set(COMMANDS) - INNER))
def test_the_help_is_a_sentence_and_examples_that_are_valid(name: str) -> None:
    parser = COMMANDS[name]
    assert parser.description and parser.description[0].isupper() and parser.description.endswith(".")
    examples = [line.strip().replace("%%", "%") for line in (parser.epilog or "").splitlines()[1:]]
    assert len(examples) >= (1 if name in ("wal-push", "wal-fetch") else 2)
    for example in examples:
        words = shlex.split(example.split("<")[0])
        assert words[0] == "lifeboat" and all(word in words for word in name.split())
        cli.build_parser().parse_args(words[1:])


def test_internal_commands_are_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    assert not [name for name in INNER if name in told] and "drill-" not in told
    assert all(name in told for name in COMMANDS if name not in INNER and " " not in name)


@pytest.mark.parametrize(
    "argv",
    [
        ["--json", "--quiet", "--config", "/x.yml", "--as-of", "then", "dump", "list"],
        ["dump", "--json", "--quiet", "list", "--config", "/x.yml", "--as-of", "then"],
        ["--config", "/y.yml", "dump", "list", "--json", "--quiet", "--as-of=then", "--config=/x.yml"],
    ],
)
def test_the_options_of_every_command_stand_anywhere(argv: List[str]) -> None:
    args = cli.build_parser().parse_args(argv)
    assert (args.json, args.quiet, args.config, args.as_of) == (True, True, "/x.yml", "then")
    assert args.database is None


def test_without_them_there_are_defaults() -> None:
    args = cli.build_parser().parse_args(["list"])
    assert (args.json, args.quiet, args.config, args.as_of) == (False, False, "/etc/lifeboat/main.yml", None)


@pytest.mark.parametrize("name", [name for name, parser in COMMANDS.items() if "--plan" in parser.format_usage()])
def test_a_plan_is_a_dry_run(name: str) -> None:
    assert "--dry-run" in COMMANDS[name].format_help()


def loaded(*argv: str) -> Set[str]:
    """The modules that a fresh interpreter has loaded after this command."""
    script = "import sys; from lifeboat.cli.main import main; main(sys.argv[1:]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *argv], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


def test_a_command_imports_what_it_uses(tmp_path: Path) -> None:
    heavy = {"boto3", "botocore", "psycopg2", "yaml", "lifeboat.config.load", "lifeboat.audit.scope"}
    assert not heavy & loaded("--version") and not heavy & loaded("--help")
    (tmp_path / "store").mkdir()
    config = tmp_path / "main.yml"
    store = {"name": "near", "type": "directory", "path": str(tmp_path / "store")}
    config.write_text(json.dumps({"cluster": "main", "repositories": [store]}))
    assert not {"boto3", "botocore", "psycopg2"} & loaded("--config", str(config), "list")


def test_the_table_of_commands_names_their_files() -> None:
    top = cli.build_parser()
    (action,) = (a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    assert list(action.choices) == list(VERBS)
    assert {c.dest: c.help for c in action._choices_actions} == {n: words for n, (_f, words) in VERBS.items() if words}
    for name, (file, _words) in VERBS.items():
        handler = action.choices[name].get_default("handler")
        actions = [a for a in action.choices[name]._actions if isinstance(a, argparse._SubParsersAction)]
        handlers = [handler] if handler else [p.get_default("handler") for a in actions for p in a.choices.values()]
        assert {h.__module__ for h in handlers} == {f"lifeboat.cli.commands.{file}"}


@pytest.mark.parametrize(
    ("argv", "verb"),
    [
        (["--config", "list", "check"], "check"),
        (["--json", "--as-of=then", "restore", "list"], "restore"),
        (["nonsense", "list"], None),
        (["--help"], None),
        (["--config"], None),
    ],
)
def test_the_command_is_known_before_anything_is_imported(argv: List[str], verb: Optional[str]) -> None:
    assert verb_in(argv) == verb


def test_a_shortened_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--conf", "/x.yml", "list"]) == 2
    assert cli.main(["--conf", "/x.yml", "wal-fetch"]) == 254
