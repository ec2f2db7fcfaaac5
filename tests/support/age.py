# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the real ``age``."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from .processes import run_program

#: On every test that needs the command.
needs_age = pytest.mark.skipif(
    not (shutil.which("age") and shutil.which("age-keygen")),
    reason="age is not installed: what is sealed is not tested",
)

#: How every sealed object begins (https://age-encryption.org/v1).
INTRO = b"age-encryption.org/v1\n"


@dataclass(frozen=True)
class Key:
    """A pair of keys; ``file`` is the identity."""

    file: Path
    recipient: str

    @property
    def secret(self) -> str:
        return next(line for line in self.file.read_text().splitlines() if line.startswith("AGE-SECRET-KEY"))


def make_key(file: Path) -> Key:
    """A new pair of keys."""
    run_program("age-keygen", "-o", str(file))
    return Key(file, run_program("age-keygen", "-y", str(file)).strip())


def make_ssh_key(file: Path) -> Key:
    """A new pair of keys of ssh."""
    run_program("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a person", "-f", str(file))
    return Key(file, Path(f"{file}.pub").read_text().strip())
