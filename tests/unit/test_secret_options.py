# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options with secrets are marked only at their fields, and everything that hides secrets uses that mark."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import re
import typing
from pathlib import Path
from typing import Any, Dict, Iterator, Set, Tuple

import pytest
import yaml
from lifeboat.base.errors import ConfigError
from lifeboat.cli.commands.configuration import run
from lifeboat.cli.terminal import Terminal
from lifeboat.config.load import STORE_TYPES, Config, parse
from lifeboat.config.notifications import CHANNEL_TYPES
from lifeboat.config.option import secret_fields, secret_values

ROOT = Path(__file__).resolve().parents[2]
SPEC = "ansible_collections.lifeboat.postgres.plugins.module_utils._ansible.argument_spec"
SPEAKS = re.compile(r"secret|passw|passphrase|token|credential|private|(^|_)(key|pin|sas|pass|command)$")
#: Names that speak of secrets, and what they hold instead.
NO_SECRETS = {
    "Config.command": "the host command",
    "DumpsConfig.secret_names": "patterns of names",
    "FileSetConfig.allow_unsealed_secrets": "a choice",
    "GcsOptions.credentials_file": "a path",
    "GitConfig.credentials": "a path",
    "GitConfig.secret_names": "patterns of names",
    "GitConfig.ssh_key": "a path",
    "SignerConfig.key": "a public key",
    "SmtpOptions.password_file": "a path",
    "WebhookOptions.secret_file": "a path",
}


def sections(cls: Any, seen: Set[Any]) -> Iterator[Any]:
    """The dataclasses of a configuration."""
    if cls in seen or not dataclasses.is_dataclass(cls):
        for inner in typing.get_args(cls):
            yield from sections(inner, seen)
        return
    seen.add(cls)
    yield cls
    for hint in typing.get_type_hints(cls).values():
        yield from sections(hint, seen)


CLASSES = list(sections(Config, set()))
FIELDS = [(cls, f) for cls in CLASSES for f in dataclasses.fields(cls)]


def test_an_option_whose_name_speaks_of_a_secret_is_marked_as_one() -> None:
    assert {*STORE_TYPES.values(), *CHANNEL_TYPES.values()} <= set(CLASSES)
    unmarked = {
        f"{cls.__name__}.{f.name}" for cls, f in FIELDS if SPEAKS.search(f.name) and f.name not in secret_fields(cls)
    }
    assert unmarked - set(NO_SECRETS) == set()


def test_what_repr_hides_is_marked_and_what_is_marked_repr_hides() -> None:
    assert {(c, f.name) for c, f in FIELDS if not f.repr} == {(c, n) for c in CLASSES for n in secret_fields(c)}
    assert secret_fields(type(parse(given()).seal)) == ("identity_command",)


def given() -> Dict[str, Any]:
    """A configuration in which every secret is set."""
    others = {"bucket": "b", "account": "a", "container": "c", "path": "/mnt"}
    repositories = []
    for kind, cls in STORE_TYPES.items():
        names = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING]
        hidden = {name: f"hidden-{kind}-{name}" for name in secret_fields(cls)}
        repositories.append({"type": kind, "name": kind, **{n: others[n] for n in names}, **hidden})
    own: Dict[str, Dict[str, Any]] = {
        "smtp": {"relays": ["mx"], "sender": "a@b", "to": ["c@d"], "username": "u"},
        "apprise": {"config_file": "/etc/apprise"},
        "command": {"argv": ["true"]},
    }
    channels = []
    for kind, cls in CHANNEL_TYPES.items():
        hidden = {name: f"hidden-{kind}-{name}" for name in secret_fields(cls)}
        if "webhook_url" in hidden:
            hidden["webhook_url"] = f"https://example.com/hidden-{kind}"
        channels.append({"type": kind, "name": kind, **own.get(kind, {}), **hidden})
    return {
        "cluster": "main",
        "repositories": repositories,
        "notifications": {
            "channels": channels,
            "pings": [{"job": "full", "ping_url": "https://example.com/hidden-ping"}],
        },
        "connection": {"password": "hidden-password"},
        "seal": {"recipients": ["age1xyz"], "identity_command": ["/bin/vault", "get", "hidden-command-word"]},
    }


def test_every_secret_is_hidden_from_repr_config_and_ansible(tmp_path: Path) -> None:
    config = parse(given())
    assert "hidden-" not in repr(config)
    found = secret_values(config)
    assert {v for v in found if "hidden-" not in v} == set()
    marked = sum(len(secret_fields(cls)) for cls in CLASSES)
    assert len(found) == marked
    path = tmp_path / "main.yml"
    path.write_text(yaml.safe_dump(given()))
    said = run(argparse.Namespace(config=str(path), as_of=None), Terminal(show_progress=False))
    assert "hidden-" not in said.text + repr(said.data) and said.text.count("(set)") == marked


def test_a_module_never_shows_the_secret_of_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / ".build" / "collections"))
    spec = importlib.import_module(SPEC).repository_spec().options["repository"]["options"]
    marked = {name for cls in STORE_TYPES.values() for name in secret_fields(cls)}
    assert {name for name, option in spec.items() if option.get("no_log")} == marked


@pytest.mark.parametrize("section,key", [("connection", "password"), ("seal", "identity_command")])
def test_a_secret_of_the_wrong_type_is_not_quoted(section: str, key: str) -> None:
    wrong = given()
    wrong[section][key] = {"oops": "hidden-value"}
    with pytest.raises(ConfigError, match=key) as refused:
        parse(wrong)
    assert "hidden-" not in refused.value.message + refused.value.hint


def options_of(node: Any, path: Tuple[str, ...] = ()) -> Iterator[Tuple[Tuple[str, ...], Dict[str, Any]]]:
    for name, option in (node or {}).items():
        yield (*path, name), option
        yield from options_of(option.get("options"), (*path, name))


def test_roles_hide_their_secrets() -> None:
    marked = {name for cls in CLASSES for name in secret_fields(cls)} - {"identity_command"}
    shown = []
    for spec in sorted((ROOT / "roles").glob("*/meta/argument_specs.yml")):
        for entry in yaml.safe_load(spec.read_text(encoding="utf-8"))["argument_specs"].values():
            for path, option in options_of(entry.get("options")):
                hidden = any(path[-1] == name or path[-1].endswith(f"_{name}") for name in marked)
                if hidden and not option.get("no_log"):
                    shown.append("/".join((spec.parts[-3], *path)))
    assert shown == []
