# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A database host mails that a backup has failed, and that it is well again: by the channels of its variables."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, Dict

import pytest
from steps import CHECKOUT, PREFIX, Playbooks, podman
from testinfra.host import Host

sys.path.insert(0, str(CHECKOUT / "tests"))

from support.sinks import Certificate, MailSink

JOB = "/usr/lib/lifeboat/bin/lifeboat-job db13 full"
UNREADABLE = "/var/lib/postgresql/17/main/unreadable"
AUTHORITY = "/etc/ssl/lifeboat-test-mail.pem"
#: This machine, as the hosts of the scenario reach it.
HERE = f"10.{os.environ['LIFEBOAT_HOSTS']}.0.1"
PASSWORD = "correct-horse-battery"
pytestmark = pytest.mark.timeout(1800)


def notified(port: int) -> Dict[str, Any]:
    """What a user writes into the variables of a host."""
    channel = {
        "name": "mail", "type": "smtp", "relays": [f"{HERE}:{port}"], "sender": "lifeboat@lifeboat.test",
        "to": ["dba@lifeboat.test"], "username": "lifeboat", "password_file": "/etc/lifeboat/notify/mail",
        "ca_bundle": AUTHORITY,
    }  # fmt: skip
    return {
        "lifeboat_notifications": {"channels": [channel], "patience": 5},
        "lifeboat_notification_secrets": {"mail": PASSWORD},
    }


def test_a_backup_that_fails_is_mailed_and_so_is_its_end(
    machines: Dict[str, Host], playbook: Playbooks, tmp_path: Path
) -> None:
    host = machines["db13"]
    certificate = Certificate.make(tmp_path, HERE)
    # No other job is to have anything to tell meanwhile.
    host.check_output("systemctl stop cron")
    podman("cp", str(certificate.pem), f"{PREFIX}-db13:{AUTHORITY}")
    with MailSink(certificate, ("lifeboat", PASSWORD), address=HERE) as sink:
        playbook.role("agent", "db13", "-e", json.dumps(notified(sink.port)))
        secret = host.file("/etc/lifeboat/notify/mail")
        assert (secret.mode, secret.user, secret.content_string.strip()) == (0o600, "root", PASSWORD)
        host.check_output("lifeboat --config /etc/lifeboat/db13.yml notify test")
        assert [str(mail["Subject"]) for mail in sink.mails] == [
            "[lifeboat] db13: test of channel mail for cluster db13"
        ]

        host.check_output(f"install -d -m 0 {UNREADABLE}")
        assert host.run(JOB).rc not in (0, 10)
        host.check_output(f"rmdir {UNREADABLE}")
        broken = sink.mails[1]
        assert str(broken["Subject"]).startswith("[lifeboat] db13: full of cluster db13 ended with status ")
        assert str(broken["To"]) == "dba@lifeboat.test" and "unreadable" in broken.get_content()
        assert host.run(JOB).rc == 0
        assert [str(mail["Subject"]) for mail in sink.mails[2:]] == [
            "[lifeboat] db13: full of cluster db13 works again"
        ]
        assert sink.encrypted == [True, True, True]

    host.check_output("systemctl start lifeboat-metrics@db13.service")
    written = host.file("/var/lib/node_exporter/lifeboat-db13.prom").content_string
    assert 'lifeboat_notification_failures_total{channel="mail",cluster="db13"} 0.0' in written
    assert 'lifeboat_notification_last_success_timestamp_seconds{channel="mail",cluster="db13"} ' in written
    # The password is nowhere but in its file.
    assert PASSWORD not in written + host.file("/etc/lifeboat/db13.yml").content_string
    assert PASSWORD not in host.check_output("journalctl --no-pager --output=verbose")
    assert all(PASSWORD not in mail.as_string() for mail in sink.mails)

    playbook.role("agent", "db13")
    host.check_output("systemctl start cron")
    assert not host.file("/etc/lifeboat/notify/mail").exists
