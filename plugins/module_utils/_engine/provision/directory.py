# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a directory as a repository and report which promises it keeps."""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from typing import Sequence, Tuple

from ..base.errors import BucketMissing, StoreAccessDenied, UntrustedPath
from ..base.files import make_directory, open_directory
from ..base.tree import Tree
from ..config.load import DirectoryOptions
from .features import HOLDS, PLANNED, WEAKER, Feature, Prepared


@dataclass(frozen=True)
class DirectoryRequest:
    """A directory to check as the user that will write into it; ``apart_from``: paths that it should outlive."""

    options: DirectoryOptions
    create: bool = False
    apart_from: Tuple[str, ...] = ()


def plan(request: DirectoryRequest) -> Prepared:
    """What :func:`apply` would do: BucketMissing if the directory does not exist and may not be created."""
    path, exists = _found(request)
    writable = _writable(path) if exists else Feature("directory", PLANNED)
    return _prepared(request, path, exists, writable)


def apply(request: DirectoryRequest) -> Prepared:
    """Create the directory if need be; test that it can be written, and is on a file system of its own."""
    path, exists = _found(request)
    if not exists:
        try:
            make_directory(path, 0o750)
        except OSError as exc:
            raise StoreAccessDenied(
                f"The directory {path} cannot be created: {exc.strerror}.",
                "Create it for the user that runs PostgreSQL.",
                store=path,
            ) from exc
    return _prepared(request, path, exists, _writable(path))


def _found(request: DirectoryRequest) -> Tuple[str, bool]:
    path = os.path.abspath(request.options.path)
    exists = os.path.isdir(path)
    if not exists and not request.create:
        raise BucketMissing(
            f"The directory {path} does not exist.",
            "Mount or create it; the account that runs PostgreSQL must be able to write there.",
            store=path,
        )
    return path, exists


def _prepared(request: DirectoryRequest, path: str, exists: bool, writable: Feature) -> Prepared:
    changes = () if exists else (f"directory {path} made",)
    features = (writable, _apart(path, request.apart_from))
    return Prepared(features, changes, {"directory": path if exists else None}, {"directory": path})


def _writable(path: str) -> Feature:
    name = f".lifeboat-trial-{secrets.token_hex(8)}"
    try:
        top = open_directory(path)
        try:
            os.close(Tree(top).create(top, name))
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=top)
        finally:
            os.close(top)
    except OSError as exc:
        return Feature("directory", WEAKER, f"{path} cannot be written by uid {os.geteuid()}: {exc.strerror}")
    except UntrustedPath as exc:
        return Feature("directory", WEAKER, exc.message)
    return Feature("directory", HOLDS)


def _apart(path: str, others: Sequence[str]) -> Feature:
    device = os.stat(_there(path)).st_dev
    shared = [other for other in others if os.stat(_there(other)).st_dev == device]
    if shared:
        return Feature("apart", WEAKER, f"{path} is on the same file system as {', '.join(shared)}")
    return Feature("apart", HOLDS)


def _there(path: str) -> str:
    """The nearest directory above that exists."""
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return path
