# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels by the role ``agent``: in the configuration and the job's file, with secrets that root alone can read.

The role's own tasks and variables, as root of a user namespace, with /etc/lifeboat elsewhere.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
import yaml
from lifeboat.config.load import parse
from lifeboat.config.notifications import SmtpOptions

_ROLE = Path(__file__).parents[3] / "roles" / "agent"
_ROOT = ["unshare", "--user", "--map-root-user", "--"]


@pytest.fixture(scope="module", autouse=True)
def _namespaces() -> None:
    if subprocess.run([*_ROOT, "true"], capture_output=True, check=False).returncode:
        pytest.skip("user namespaces are forbidden here")


def play(place: Path, **variables: Any) -> str:
    """Run the tasks for one cluster; the output."""
    etc = place / "etc"
    etc.mkdir(exist_ok=True)
    written = {
        "main.yml": "{{ __agent_yaml }}",
        "main.job": "{{ lookup('ansible.builtin.template', '%s') }}" % (_ROLE / "templates" / "job.j2"),
    }
    tasks = [
        {"ansible.builtin.copy": {"content": content, "dest": str(etc / name), "mode": "0640"}, "no_log": True}
        for name, content in written.items()
    ]
    given = {
        "ansible_python_interpreter": sys.executable,
        "lifeboat_clusters": [{"name": "main"}],
        "lifeboat_repositories": [{"name": "primary", "type": "directory", "path": "/mnt"}],
        "agent_cluster": {"name": "main"},
        "role_path": str(_ROLE),
        "__agent_newest": 0,
        "__agent_owners": {},
        "__agent_socket_dir": "/run/postgresql",
        **variables,
    }
    book = {
        "hosts": "localhost", "connection": "local", "gather_facts": False,
        "tasks": [{"ansible.builtin.import_tasks": str(_ROLE / "tasks" / "notify.yml")}, *tasks],
        "vars_files": [str(_ROLE / "defaults" / "main.yml"), str(_ROLE / "vars" / "main.yml")],
    }  # fmt: skip
    (place / "play.yml").write_text(json.dumps([book]), encoding="utf-8")
    (place / "given.json").write_text(json.dumps({**given, "__agent_config_dir": str(etc)}), encoding="utf-8")
    argv = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-e", f"@{place}/given.json"]
    collections = _ROLE.parents[1] / ".build" / "collections"
    environment = {
        **os.environ, "ANSIBLE_HOME": str(place), "ANSIBLE_LOCAL_TEMP": str(place), "ANSIBLE_REMOTE_TMP": str(place),
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
    }  # fmt: skip
    done = subprocess.run(
        [*_ROOT, *argv, "-v", "--diff", str(place / "play.yml")],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


CHANNEL: Dict[str, Any] = {
    "name": "mail", "type": "smtp", "relays": ["mx.example.com"], "sender": "a@example.com", "to": ["b@example.com"],
    "username": "u", "password_file": "/etc/lifeboat/notify/mail",
}  # fmt: skip


def test_channels_reach_the_configuration_and_secrets_root_alone_until_they_are_not_given(tmp_path: Path) -> None:
    secrets = {"mail": "hidden-password", "apprise.conf": "json://localhost/hidden-path\nmailto://hidden-host"}
    variables = {"lifeboat_notifications": {"channels": [CHANNEL]}, "lifeboat_notification_secrets": secrets}
    said = play(tmp_path, **variables)
    assert "hidden-" not in said
    etc, place = tmp_path / "etc", tmp_path / "etc" / "notify"
    config = parse(yaml.safe_load((etc / "main.yml").read_text()))
    (channel,) = config.notifications.channels
    assert isinstance(channel.options, SmtpOptions) and channel.options.password_file == "/etc/lifeboat/notify/mail"
    assert "hidden-" not in (etc / "main.yml").read_text()
    assert "channels=yes" in (etc / "main.job").read_text().splitlines()
    assert place.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in place.iterdir()} == dict.fromkeys(secrets, 0o600)
    assert (place / "mail").read_text() == "hidden-password\n"
    del secrets["apprise.conf"]
    assert "changed=1 " in play(tmp_path, **variables)
    assert [path.name for path in place.iterdir()] == ["mail"]
    play(tmp_path)
    assert "notifications" not in (etc / "main.yml").read_text()
    assert "channels=''" in (etc / "main.job").read_text().splitlines()
    assert not list(place.iterdir())
