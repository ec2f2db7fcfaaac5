# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat-metrics`` as root of a user namespace, with other directories: what is published, and what is not."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from support.jobs import NAMESPACE

_SCRIPT = Path(__file__).parents[3] / "roles" / "monitoring" / "files" / "lifeboat-metrics"


class Script:
    """The script, with a test's /etc/lifeboat and command."""

    def __init__(self, root: Path) -> None:
        self.etc, self.out, self.command = root / "etc", root / "out", root / "lifeboat"
        self.etc.mkdir()
        self.out.mkdir()
        (self.etc / "main.yml").write_text("cluster: main\n")
        (self.etc / "main.job").write_text("owner=root\nmail=''\n")
        text = _SCRIPT.read_text(encoding="utf-8")
        text = text.replace("/etc/lifeboat", str(self.etc)).replace("/usr/bin/lifeboat", shlex.quote(str(self.command)))
        # A namespace has one user, and no groups to set.
        text = re.sub(r"setpriv .* -- \\\n", "", text)
        self.path = root / "lifeboat-metrics"
        self.path.write_text(text)
        self.path.chmod(0o755)
        self.does("echo lifeboat_server_up 1")

    def does(self, words: str) -> None:
        self.command.write_text(f"#!/bin/sh\n{words}\n")
        self.command.chmod(0o755)

    def __call__(self, cluster: str = "main") -> subprocess.CompletedProcess[str]:
        argv = [*NAMESPACE, str(self.path), cluster, str(self.out)]
        return subprocess.run(argv, capture_output=True, text=True, check=False)


@pytest.fixture
def script(tmp_path: Path, namespaces: None) -> Script:
    return Script(tmp_path)


def test_the_file_is_whole_and_readable(script: Script) -> None:
    assert script().returncode == 0
    (path,) = script.out.iterdir()
    assert (path.name, path.read_text()) == ("lifeboat-main.prom", "lifeboat_server_up 1\n")
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_file_before_stays_where_gathering_fails(script: Script) -> None:
    script()
    script.does("echo half; exit 3")
    assert script().returncode == 3
    (path,) = script.out.iterdir()
    assert path.read_text() == "lifeboat_server_up 1\n"


def test_more_than_anybody_needs_is_not_published(script: Script) -> None:
    script.does("head -c 9000000 /dev/zero")
    assert script().returncode != 0
    assert list(script.out.iterdir()) == []


def test_a_link_in_its_place_is_replaced_and_never_followed(script: Script, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (script.out / "lifeboat-main.prom").symlink_to(secret)
    assert script().returncode == 0
    assert secret.read_text() == "secret" and not (script.out / "lifeboat-main.prom").is_symlink()


@pytest.mark.parametrize("cluster", ["../main", "", "main;id", "other"])
def test_a_name_that_is_none_is_refused(script: Script, cluster: str) -> None:
    done = script(cluster)
    assert done.returncode == 64 and "lifeboat-metrics: " in done.stderr
