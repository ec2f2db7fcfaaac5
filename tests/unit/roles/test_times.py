# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The times of an incident do not depend on the controller's time zone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
PLAY = """
- hosts: localhost
  gather_facts: false
  vars_files: [{vars}]
  tasks:
    - ansible.builtin.copy:
        content: "{{{{ {{'began': __incident_epoch | float, 'words': words}} | to_json }}}}"
        dest: {out}
        mode: "0600"
      vars:
        words: "{{{{ '%Y-%m-%dT%H:%M:%SZ' | strftime(__incident_epoch, utc=true) }}}}"
"""


def test_the_clock_of_an_incident_is_not_the_controllers_local_one(tmp_path: Path) -> None:
    play, out = tmp_path / "play.yml", tmp_path / "out.json"
    play.write_text(PLAY.format(vars=ROOT / "roles/incident/vars/main.yml", out=out))
    before = time.time()
    command = [Path(sys.executable).parent / "ansible-playbook", "-i", "localhost,", "-c", "local", play]
    done = subprocess.run(
        [*command, "-e", f"ansible_python_interpreter={sys.executable}"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        env={**os.environ, "TZ": "America/New_York", "ANSIBLE_HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(out.read_text())
    assert before - 1 <= told["began"] <= time.time()
    assert told["words"][:13] in {time.strftime("%Y-%m-%dT%H", time.gmtime(at)) for at in (before, time.time())}


def test_no_time_without_a_zone_becomes_a_timestamp() -> None:
    naive = re.compile(r"now\([^()]*\)\s*\.timestamp\(|\btoday\.timestamp\(")
    files = [p for d in ("roles", "playbooks") for p in (ROOT / d).rglob("*") if p.suffix in (".yml", ".j2")]
    assert len(files) > 50
    assert not [str(p) for p in files if naive.search(p.read_text())]
