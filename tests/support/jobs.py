# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat-job`` as root of a user namespace, with other directories."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Optional

_ENGINE = Path(__file__).parents[2] / ".build" / "lib"
_SCRIPT = Path(__file__).parents[2] / "roles" / "agent" / "files" / "lifeboat-job"
NAMESPACE = ["unshare", "--user", "--map-root-user", "--"]


class Job:
    """The script with its directories below ``root``, without systemd; a notification is a line of ``told``."""

    def __init__(self, root: Path) -> None:
        self.etc, self.log, self.state, self.told = root / "etc", root / "log", root / "state", root / "told"
        self.begun, self.jobs, self.broken = root / "begun", root / "jobs", root / "broken"
        for directory, mode in ((self.etc, 0o755), (self.log, 0o755), (self.state, 0o700), (self.jobs, 0o755)):
            directory.mkdir()
            directory.chmod(mode)
        (self.etc / "main.yml").write_text("cluster: main\n")
        self._command, self.script = root / "lifeboat", root / "lifeboat-job"
        text = _SCRIPT.read_text(encoding="utf-8")
        places: Dict[str, Path] = {
            "etc": self.etc, "log": self.log, "state": self.state, "command": self._command, "booted": root / "none",
            "jobs": self.jobs,
        }  # fmt: skip
        for name, place in places.items():
            text = re.sub(rf"(?m)^{name}=/.*$", f"{name}={shlex.quote(str(place))}", text)
        self.script.write_text(text)
        self.script.chmod(0o755)
        self.contacts()
        self.does("exit 0")

    def contacts(self, more: str = "") -> None:
        notify = f"""{{ printf '%s ' "$LIFEBOAT_STATUS"; tr '\\n' ' '; echo; }} >>{shlex.quote(str(self.told))}"""
        notify += f"; ! [ -e {shlex.quote(str(self.broken))} ]"
        path = self.etc / "main.job"
        path.write_text(f"owner=root\nmail=''\nnotify={shlex.quote(notify)}\n{more}")
        path.chmod(0o600)

    def does(self, words: str) -> None:
        """Set what the job does from now on."""
        real = f"PYTHONPATH={shlex.quote(str(_ENGINE))} exec {shlex.quote(sys.executable)} -m lifeboat.run"
        notify = f"""case " $* " in *' notify '*) {real} "$@" ;; esac"""
        self._command.write_text(f"#!/bin/sh\n{notify}\n: >{shlex.quote(str(self.begun))}\n{words}\n")
        self._command.chmod(0o755)

    def start(self, *words: str, environment: Optional[Dict[str, str]] = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*NAMESPACE, str(self.script), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env={**os.environ, **(environment or {})},
        )  # fmt: skip

    def __call__(self, *words: str, environment: Optional[Dict[str, str]] = None) -> int:
        with self.start(*words, environment=environment) as process:
            _, self.errors = process.communicate()
        return process.returncode

    def notified(self) -> List[str]:
        """The status of each notification."""
        return [line.split()[0] for line in self.told.read_text().splitlines()] if self.told.exists() else []
