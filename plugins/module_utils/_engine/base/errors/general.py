# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a host and its configuration, and the base of all errors."""

from __future__ import annotations

from typing import Any, ClassVar


class LifeboatError(Exception):
    """Base of all errors.

    :param message: what went wrong, with the names and values that matter, never a secret
    :param hint: what the reader can do about it
    :param details: JSON-serialisable facts for programs (keys, LSNs, times)
    """

    error_code: ClassVar[str] = "lifeboat_error"

    def __init__(self, message: str, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message

    def as_dict(self) -> dict[str, Any]:
        """The error as plain data: ``error_code``, ``message``, ``hint``, ``details``."""
        return {"error_code": self.error_code, "message": self.message, "hint": self.hint, "details": self.details}


class ConfigError(LifeboatError):
    """An option is missing, unknown or has a value that cannot work."""

    error_code = "config_invalid"


class DependencyMissing(LifeboatError):
    """A Python library or a program that the operation needs is not installed."""

    error_code = "dependency_missing"


class ProcessFailed(LifeboatError):
    """A program ended with a non-zero status or by a signal."""

    error_code = "process_failed"


class UntrustedPath(LifeboatError):
    """Root would have used a file or directory that somebody else may have placed; ``details`` has ``path``."""

    error_code = "path_untrusted"


class DiskFull(LifeboatError):
    """There is not enough free space."""

    error_code = "disk_full"
