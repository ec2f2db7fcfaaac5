# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A store's traits describe what it can do: nothing outside of ``store`` checks its kind."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import socket
import threading
from pathlib import Path
from typing import Any, Iterator, List

import lifeboat
import pytest
from lifeboat.base.errors import LifeboatError
from lifeboat.config.load import STORE_TYPES, parse
from lifeboat.repository.hasty import open_hasty

ENGINE = Path(lifeboat.__file__).resolve().parent
NEEDED = {
    "s3": {"bucket": "b", "access_key_id": "id", "secret_access_key": "key"},
    "azure": {"account": "a", "container": "c", "account_key": "a2V5"},
    "gcs": {"bucket": "b", "access_token": "token"},
    "directory": {"path": "/mnt"},
}
OVER_HTTP = sorted(kind for kind, cls in STORE_TYPES.items() if cls.TRAITS.network)


def asked_kinds(tree: ast.AST) -> List[str]:
    """The calls that check the kind of a store's options."""
    names = {cls.__name__ for cls in STORE_TYPES.values()}
    return [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("isinstance", "issubclass")
        and names & {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node.args[1])}
    ]


def test_nothing_outside_of_store_asks_of_which_kind_a_store_is() -> None:
    sources = [*ENGINE.rglob("*.py"), *(ENGINE.parents[1] / "modules").glob("*.py")]
    assert len(sources) > 100
    found = {
        str(path): asked
        for path in sources
        if ENGINE / "store" not in path.parents and (asked := asked_kinds(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found == {}
    assert asked_kinds(ast.parse("isinstance(a, config.S3Options) or isinstance(b, (int, GcsOptions))"))


def test_every_kind_says_what_it_can_do() -> None:
    assert OVER_HTTP == ["azure", "gcs", "s3"]
    for kind, cls in STORE_TYPES.items():
        options = cls(**NEEDED[kind])
        assert options.traits.name == kind and options.lock_mode == ""
        assert options.traits.network is hasattr(options, "max_attempts")
    assert STORE_TYPES["s3"](bucket="b", object_lock="governance").lock_mode == "governance"


@contextlib.contextmanager
def dead_end() -> Iterator[Any]:
    """A port that accepts every connection and never responds; ``taken`` holds the connections."""
    listener = socket.create_server(("127.0.0.1", 0))
    taken: List[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1], taken
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in taken:
            connection.close()


@pytest.mark.parametrize("kind", OVER_HTTP)
def test_a_store_that_never_answers_is_given_up_soon(kind: str) -> None:
    with dead_end() as (port, taken):
        entry = {**NEEDED[kind], "type": kind, "endpoint_url": f"http://127.0.0.1:{port}", "read_timeout": 0.3}
        (hasty,) = open_hasty(parse({"cluster": "main", "repositories": [entry]}), 2)
        with pytest.raises(LifeboatError) as found:
            hasty.store.get("main/repository.json")
        hasty.store.close()
        assert found.value.error_code == "store_unavailable" and len(taken) == 2


@pytest.mark.parametrize("kind", sorted(STORE_TYPES))
def test_hasty_options_are_bounded_and_never_more_patient(kind: str) -> None:
    options = STORE_TYPES[kind](**NEEDED[kind])
    hasty = options.hasty(1, 3.0, 10.0)
    if not options.traits.network:
        assert hasty == options
        return
    assert (hasty.max_attempts, hasty.connect_timeout, hasty.read_timeout) == (1, 3.0, 10.0)
    short = dataclasses.replace(options, max_attempts=1, connect_timeout=0.5, read_timeout=1.0)
    assert short.hasty(4, 3.0, 10.0) == short
