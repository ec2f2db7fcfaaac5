# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter ``directory_makers``: what root creates, what the owner creates, and what is refused."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path
from typing import Any, Dict, List

import pytest
from ansible.errors import AnsibleFilterError

_PATH = Path(__file__).parents[3] / "plugins" / "filter" / "directory_makers.py"
_SPEC = importlib.util.spec_from_file_location("directory_makers", _PATH)
assert _SPEC and _SPEC.loader
plugin = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(plugin)

HOST = [
    "root 755 directory|/",
    "root 755 directory|/etc",
    "root 755 directory|/srv",
    "root 755 directory|/srv/fast",
    "root 775 directory|/srv/group",
    "root 1777 directory|/tmp",
    "alice 755 directory|/srv/alice",
    "postgres 755 directory|/srv/taken",
    "root 755 directory|/var",
    "root 755 directory|/var/lib",
    "postgres 755 directory|/var/lib/postgresql",
    "root 644 regular file|/srv/file",
]


def decided(*paths: str, allowed: Any = ("/srv",), **options: Any) -> List[Dict[str, Any]]:
    decide = plugin.FilterModule().filters()["directory_makers"]
    found = decide(paths, HOST, owner="postgres", allowed=allowed, **options)
    assert [item["path"] for item in found] == list(paths)
    return list(found)


def makers(*paths: str, **options: Any) -> List[str]:
    found = decided(*paths, **options)
    assert not any(item["refused"] for item in found), found
    return [item["maker"] for item in found]


def refused(path: str, **options: Any) -> str:
    (found,) = decided(path, **options)
    assert found["refused"] and not found["maker"], found
    return str(found["refused"])


def test_root_makes_what_is_allowed_below_directories_of_its_own() -> None:
    assert makers("/srv/fast/history", "/srv/new/and/deep", allowed=["/srv/fast", "/srv/new"]) == ["root", "root"]
    assert makers("/srv/new", allowed=["/srv/new"]) == ["root"]
    assert makers("/usr/local/pgsql/data", allowed=["/usr/local/pgsql"]) == ["root"]


def test_what_the_owner_can_make_he_makes_whatever_is_allowed() -> None:
    assert makers("/var/lib/postgresql/17/main", allowed=[]) == ["postgres"]
    assert makers("/srv/taken/history", allowed=["/srv"]) == ["postgres"]


def test_below_a_directory_that_is_given_to_the_owner_root_makes_nothing() -> None:
    assert makers("/srv/new", "/srv/new/history") == ["root", "postgres"]
    assert makers("/srv/new/history", "/srv/new") == ["postgres", "root"]


def test_what_is_there_is_left_alone() -> None:
    assert makers("/srv/taken", allowed=[]) == [""]


@pytest.mark.parametrize(
    ("path", "allowed", "words"),
    [
        ("/srv/fast/history", [], "not allowed by the configuration"),
        ("/srv/fast/history", ["/srv/fas"], "not allowed by the configuration"),
        ("/etc/cron.d", ["/"], "in a system directory"),
        ("/root/.ssh", ["/root"], "in a system directory"),
        ("/usr/bin/x", ["/usr"], "in a system directory"),
        ("/srv/group/history", ["/srv"], "only root can write to (directory of root, mode 0775)"),
        ("/tmp/history", ["/tmp"], "/tmp above /tmp/history must be a directory that only root can write to"),
        ("/srv/alice/history", ["/srv"], "/srv/alice above /srv/alice/history must be"),
        ("/srv/file/history", ["/srv"], "regular file of root"),
        ("/srv/alice", ["/srv"], "/srv/alice belongs to alice"),
        ("/srv/file", ["/srv"], "/srv/file is a regular file"),
        ("/srv/fast", ["/srv"], "/srv/fast belongs to root"),
    ],
)
def test_everything_else_is_refused(path: str, allowed: List[str], words: str) -> None:
    assert words in refused(path, allowed=allowed)


def test_root_gives_a_directory_of_its_own_only_where_it_may_make_it() -> None:
    assert makers("/srv/fast", adopt=True) == ["root"]
    assert "belongs to root" in refused("/srv/fast", allowed=[], adopt=True)
    assert "belongs to root" in refused("/etc", allowed=["/"], adopt=True)
    assert "belongs to alice" in refused("/srv/alice", adopt=True)


@pytest.mark.parametrize("path", ["relative", "/", "//srv", "/srv/", "/srv/../etc", "/srv/./x", ""])
def test_a_path_that_is_not_normal_is_a_mistake(path: str) -> None:
    with pytest.raises(AnsibleFilterError):
        decided(path)


def test_it_reads_what_stat_prints(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/nowhere")
    (tmp_path / "a|b").mkdir()
    words = ["stat", "--format=%U %a %F|%n", "--", "/", str(tmp_path), str(tmp_path / "link"), str(tmp_path / "a|b")]
    told = subprocess.run(words, check=True, capture_output=True, text=True, env={"LC_ALL": "C"}).stdout.splitlines()
    known = plugin._parsed(told)
    assert known["/"].kind == known[str(tmp_path / "a|b")].kind == "directory"
    assert known[str(tmp_path / "link")].kind == "symbolic link"
