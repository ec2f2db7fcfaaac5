# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values that the role ``server`` takes from a backup's record for root's files, commands and packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List

import pytest

_VARIABLES = Path(__file__).parents[3] / "roles" / "server" / "vars"
_GOOD: Dict[str, Any] = {
    "label": "20260101T000000Z-full",
    "server_version_num": 170002,
    "tablespaces": [{"oid": "1", "location": "/srv/tablespaces/it's fast"}],
    "requirements": {
        "databases": {
            "postgres": {"collate": "en_US.UTF-8", "ctype": "sr_RS.utf8@latin", "encoding": "UTF8"},
            "it's": {"collate": "C", "ctype": "POSIX", "encoding": "SQL_ASCII"},
        },
        "extensions": {"uuid-ossp": "1.1", "pg_stat_statements": "1.11"},
        "settings": {
            "max_connections": "100", "max_wal_senders": 10,
            "shared_preload_libraries": '$libdir/pg_cron, "auto_explain"',
        },
    },
}  # fmt: skip


def requirements(**changes: Any) -> Dict[str, Any]:
    return {"requirements": {**_GOOD["requirements"], **changes}}


def database(**changes: str) -> Dict[str, Any]:
    return requirements(databases={"x": {"collate": "C", "ctype": "C", "encoding": "UTF8", **changes}})


_STRANGE: Dict[str, Dict[str, Any]] = {
    "label": {"label": "20260101T000000Z-full\nx"},
    "locale or encoding: a package by its address": database(collate="en_US,http://evil.test/x.rpm"),
    "locale or encoding: a second line": database(ctype="en_US.UTF-8\n* * * * * root x"),
    "locale or encoding: an option": database(collate="--datadir=/etc"),
    "locale or encoding: none": database(encoding=""),
    "extension: another directory": requirements(extensions={"../../../root/x": "1"}),
    "extension: an option": requirements(extensions={"-x": "1"}),
    "preload library: the end of its quotes": requirements(
        settings={"shared_preload_libraries": "x'\narchive_command = 'id"}
    ),
    "setting: a second line": requirements(settings={"max_connections": "999\narchive_command = 'id'"}),
    "setting: another number": requirements(settings={"max_connections": "1e9"}),
    **{
        f"place of a tablespace: {place!r}": {"tablespaces": [{"oid": "1", "location": place}]}
        for place in ("relative", "/", "/srv/../etc", "/srv/.", "//srv", "/srv/", "/srv\n/etc", "/srv/a\x00b")
    },
}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, List[str]]:
    """The implausible values, by record, from a single run of Ansible for all of them."""
    place, records = (
        tmp_path_factory.mktemp("ansible"),
        {"good": _GOOD, **{k: {**_GOOD, **v} for k, v in _STRANGE.items()}},
    )
    task = {
        "ansible.builtin.set_fact": {"found": "{{ found | default({}) | combine({item.key: told}) }}"},
        "vars": {
            "__server_backup": "{{ item.value }}",
            "told": "{{ __server_strange | selectattr('strange') | map(attribute='what') | list }}",
        },
        "loop": "{{ records | dict2items }}",
        "loop_control": {"label": "{{ item.key }}"},
    }
    write = {"ansible.builtin.copy": {"content": "{{ found | to_json }}", "dest": str(place / "found"), "mode": "0600"}}
    play = {
        "hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": [task, write],
        "vars_files": [str(_VARIABLES / "main.yml"), str(_VARIABLES / "Debian.yml")],
        "vars": {
            "ansible_python_interpreter": sys.executable,
            "server_cluster": {"name": "main"}, "server_tablespace_mapping": {},
            "server_extension_packages": {},
            "server_packages": [], "server_configuration_dir": "/etc/lifeboat",
        },
    }  # fmt: skip
    (place / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    # As data, so that nothing of it is taken for a template.
    (place / "records.json").write_text(json.dumps({"records": records}), encoding="utf-8")
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-e", f"@{place}/records.json"]
    environment = {**os.environ, "ANSIBLE_HOME": str(place), "ANSIBLE_LOCAL_TEMP": str(place)}
    done = subprocess.run(
        [*argv, str(place / "play.yml")], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads((place / "found").read_text(encoding="utf-8")))


def test_a_genuine_record_passes(found: Dict[str, List[str]]) -> None:
    assert found["good"] == []


@pytest.mark.parametrize("name", _STRANGE)
def test_words_that_no_server_has_are_refused(found: Dict[str, List[str]], name: str) -> None:
    assert found[name] == [name.partition(":")[0]]
