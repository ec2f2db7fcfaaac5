# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No task of root creates, writes, reads or executes anything where somebody else can write.

Each place that a task names begins with a variable or a directory of the tables below. What is not there fails, so that
whoever adds a task says whose its place is. A place of the owner's needs a ``become_user`` in the task or a block
around it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Set

import pytest
import yaml

_ROLES = Path(__file__).parents[3] / "roles"

# Modules that write, or bring the contents of a file to the controller, and where they say which.
_PLACES: Dict[str, List[str]] = {
    "assemble": ["dest"], "blockinfile": ["path"], "copy": ["dest"], "fetch": ["src"], "file": ["path", "dest"],
    "get_url": ["dest"], "lineinfile": ["path"], "replace": ["path"], "slurp": ["src"], "tempfile": ["path"],
    "template": ["dest"], "unarchive": ["dest"], "wait_for": ["path"],
}  # fmt: skip
_HARMLESS: Set[str] = {
    "apt", "assert", "async_status", "debug", "dnf", "fail", "find", "import_role", "import_tasks",
    "include_role", "include_tasks",
    "include_vars", "meta", "package", "pause", "set_fact", "setup", "stat", "systemd_service", "uri", "user",
    "wait_for_connection",
}  # fmt: skip

# Directories that root alone can write, and variables that name a place in one; and nobody else decides which.
_ROOTS = {
    "/etc/locale.gen", "/etc/logrotate.d", "/etc/nginx/sites-enabled", "/etc/postgresql-common", "/etc/systemd/system",
    "/usr/bin", "/usr/share/i18n",
    "__agent_completions", "__agent_config", "__agent_config_dir", "__agent_engines", "__agent_files_config",
    "__agent_home",
    "__agent_identity_file", "__agent_job_state", "__agent_link", "__agent_notify_dir", "__agent_notify_found",
    "__agent_place", "__agent_signing_keys",
    "__application_marker", "__schedule_cron_file", "__schedule_intervals_file", "__schedule_units", "incident_record",
    "log_archive_state_dir",
    "__server_configuration",
    "/usr/lib/lifeboat/bin", "__monitoring_units", "monitoring_rules_dir", "__monitoring_textfile_dir",
    # The spool itself lies in a directory of root's; what is in it is the owner's.
    "__agent_spool",
    # HAProxy's configuration, which the inventory names.
    "repoint_proxy",
    # A report's directory likewise, in /var/log/lifeboat.
    "verify_host_dir",
    # Made by root in this run, for root alone; what was found in a directory of root's; what directory_makers allowed.
    "__incident_place", "__incident_desk", "__plan_desk", "__rehearsal_desk", "__rehearsal_left_over",
    "__rehearsal_configurations", "__rehearsal_units",
    "__rehearsal_marker", "__server_makers",
}  # fmt: skip
# Places that PostgreSQL's owner can write, or that the server, a backup or a test names.
_OWNERS = {
    "__restore_data_dir", "__restore_job", "__restore_progress", "__server_config_dir", "__server_config_file",
    "__server_data_dir", "__server_recovery_file", "__standby_data_dir", "__wal_archive_conf_path",
    "__wal_archive_state", "repoint_item",
}  # fmt: skip
# Files in a directory of root's that is given to the owner.
_OWNERS_BELOW = {"verify_host_dir": "/restore-test-", "__agent_spool": "/"}
# Programs by their bare name or path; those that are root's by their variable; those that work on the owner's files.
_PROGRAMS = re.compile(r"[a-z][a-z0-9_.-]*|/usr/s?bin/[a-z0-9.-]+")
_ROOTS_PROGRAMS = {
    "/usr/lib/lifeboat/bin/lifeboat-metrics",
    "ansible_facts",
    "__agent_python",
    "__agent_venv",
    "__agent_pip",
    "__agent_query",
    "__agent_pip_detector",
}
_OWNERS_PROGRAMS = {"__server_os", "__restore_os", "__restore_psql", "__server_read_setting", "__standby_psql"}
# These begin with runuser.
_AS_OWNER = {"__agent_as_owner", "__wal_archive_as_owner", "__wal_archive_psql"}
# Programs that write where their words say.
_WRITERS = {
    "chgrp", "chmod", "chown", "cp", "dd", "find", "flock", "install", "ln", "mkdir", "mv", "pg_createcluster", "rm",
    "tar", "tee", "touch",
}  # fmt: skip


class Task(NamedTuple):
    where: str
    module: str
    arguments: Any
    user: str
    loop: str


def tasks(path: Path) -> Iterator[Task]:
    """The tasks of a file that run on the host, with the user that they become."""

    def walk(found: Any, user: str) -> Iterator[Task]:
        for entry in found or []:
            mine = str(entry.get("become_user", user))
            blocks = [entry[key] for key in ("block", "rescue", "always") if key in entry]
            for block in blocks:
                yield from walk(block, mine)
            if not blocks and entry.get("delegate_to") != "localhost":
                names = [key for key in entry if key.startswith(("ansible.builtin.", "lifeboat.postgres."))]
                assert len(names) == 1, entry
                where = f"{path.parts[-3]}: {entry.get('name')}"
                yield Task(where, names[0], entry[names[0]], mine, str(entry.get("loop", "")))

    yield from walk(yaml.safe_load(path.read_text(encoding="utf-8")), "")


def begins(place: str) -> str:
    """The variable or the directory that a path starts with."""
    found = re.match(r"\{\{\s*\(?\s*\[?\s*'?([a-zA-Z_]+|/[^'{]*)", place)
    return found[1] if found else place


def owner_decides(place: str, loop: str) -> bool:
    """Whether the path is in the owner's directories; fails if this test does not know whose it is."""
    start = begins(loop if begins(place) == "item" else place)
    if start in _OWNERS:
        return True
    known = start in _ROOTS or any(start.startswith(f"{root}/") for root in _ROOTS if root[0] == "/")
    assert known, f"say in this test whose {place} is: root's alone, or somebody else's"
    below = place.partition("}}")[2]
    return start in _OWNERS_BELOW and _OWNERS_BELOW[start] in below and below.count("/") > 1


def check_command(task: Task, words: List[str]) -> None:
    program = begins(words[0])
    if program in _AS_OWNER or program == "runuser":
        return
    literal = "{{" not in words[0] or re.match(r"\{\{ \['", words[0])
    known = program in _ROOTS_PROGRAMS | _OWNERS_PROGRAMS or (literal and _PROGRAMS.fullmatch(program))
    assert known, f"{task.where}: say in this test whose {program} is"
    if program in _OWNERS_PROGRAMS:
        assert task.user, f"{task.where}: as root, on the owner's files"
    if program in _WRITERS and not task.user:
        places = [word for word in words[1:] if "/" in word or "{{" in word]
        assert not any(owner_decides(place, task.loop) for place in places), f"{task.where}: as root"


def check(task: Task) -> None:
    name = task.module.rpartition(".")[2]
    if task.module.startswith("lifeboat.postgres.") or name in _HARMLESS:
        return
    if name == "command":
        words = task.arguments["argv"]
        check_command(task, [words] if isinstance(words, str) else [str(word) for word in words])
        return
    assert name in _PLACES, f"{task.where}: say in this test what {name} writes and reads"
    for key in _PLACES[name]:
        if isinstance(task.arguments, dict) and key in task.arguments:
            assert not owner_decides(str(task.arguments[key]), task.loop) or task.user, f"{task.where}: as root"


_FILES = sorted(path for path in _ROLES.glob("*/tasks/*.yml") if path.parts[-3] != "drill")


def test_the_drill_is_never_root() -> None:
    text = (_ROLES / "drill" / "tasks" / "preflight.yml").read_text(encoding="utf-8")
    assert "ansible_facts.user_uid | int != 0" in text


@pytest.mark.parametrize("path", _FILES, ids=lambda path: f"{path.parts[-3]}/{path.name}")
def test_root_leaves_alone_what_others_can_write(path: Path) -> None:
    for task in tasks(path):
        check(task)


@pytest.mark.parametrize(
    "line",
    [
        "- {name: x, ansible.builtin.template: {src: a, dest: '{{ __wal_archive_conf_path }}'}}",
        "- {name: x, ansible.builtin.slurp: {src: '{{ __wal_archive_state.config_file }}'}}",
        "- {name: x, ansible.builtin.fetch: {src: '{{ verify_host_dir }}/restore-test-{{ item }}/report.html'}}",
        "- {name: x, ansible.builtin.copy: {dest: '{{ somebody_says }}/file', content: x}}",
        "- {name: x, ansible.builtin.shell: echo}",
        "- {name: x, ansible.builtin.command: {argv: [find, '{{ __server_data_dir }}', -delete]}}",
        "- {name: x, ansible.builtin.command: {argv: ['{{ __server_os.bin_dir }}/postgres', -C, port]}}",
        "- {name: x, ansible.builtin.command: {argv: ['{{ item.program }}']}}",
    ],
)
def test_it_finds_a_task_that_does(tmp_path: Path, line: str) -> None:
    path = tmp_path / "role" / "tasks" / "main.yml"
    path.parent.mkdir(parents=True)
    path.write_text(line, encoding="utf-8")
    with pytest.raises(AssertionError):
        check(*tasks(path))
