# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Separate credentials for file sets, which root can read but PostgreSQL's account cannot.

Root writes the contents of a copy to disk. So if ``/etc/lifeboat/<cluster>.files.yml`` exists beside the
configuration, file sets are stored and read with its credentials, and the store lets nobody else write them.
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import asdict, replace
from typing import Any, Dict, Mapping, Optional

from ..base.errors import ConfigError, UntrustedPath
from ..base.files import open_to_read
from ..config.load import Config, RepositoryConfig, StoreOptions, files_apart_beside, load, read_yaml
from ..config.option import build, secret_fields

#: Options of a store's credentials besides its secrets.
_BESIDE = ("access_key_id", "profile", "credentials_file")
#: First words of keys. A policy that allows them by a wildcard would let the writer store a set of such a name.
_AREAS = frozenset(
    ("backups", "wal", "dumps", "holds", "verifications", "restore_tests", "restores", "writes", "audit", "erasures",
     "leadership", "incidents", "diverged", "logs", "drills", "damaged", "systems", "releases")
)  # fmt: skip


def load_for_files(path: str, as_of: Optional[str] = None) -> Config:
    """The configuration for operations on file sets: with their own credentials if these exist and can be read."""
    config = load(path, as_of)
    beside = files_apart_beside(path)
    data = _read(beside)
    return config if data is None else with_credentials(config, data, beside)


def has_own(config: Config) -> bool:
    """Whether this configuration has separate credentials for file sets."""
    return not config.files_apart and bool(config.source) and os.path.lexists(files_apart_beside(str(config.source)))


def with_credentials(config: Config, data: Mapping[str, Any], where: str) -> Config:
    """The configuration with the credentials in ``repositories``, by name; ConfigError for any other content. Pure."""
    given: Dict[str, Mapping[str, Any]] = {}
    entries = data.get("repositories")
    for entry in entries if isinstance(entries, list) else [None]:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise ConfigError(f"{where}: 'repositories' must be a list of mappings with a name.", "See docs/files.md.")
        given[entry["name"]] = {key: value for key, value in entry.items() if key != "name" and value is not None}
    unknown = sorted(set(given) - {r.name for r in config.repositories})
    if unknown or set(data) != {"repositories"}:
        more = unknown or sorted(set(data) - {"repositories"})
        raise ConfigError(
            f"{where}: unknown keys: {', '.join(map(str, more))}.", "Put only credentials of repositories there."
        )
    taken = sorted(_AREAS & {s.name for s in config.file_sets})
    if taken:
        raise ConfigError(
            f"File set {taken[0]} has the name of a part of the repository that PostgreSQL's account can write to.",
            "Give it another name.",
        )
    ours = (replace(r, store=_store(r, given[r.name], where)) if r.name in given else r for r in config.repositories)
    return replace(config, repositories=tuple(ours), files_apart=False)


def _store(entry: RepositoryConfig, given: Mapping[str, Any], where: str) -> StoreOptions:
    """The store with these credentials instead of all its own."""
    options, place = entry.store, f"repositories[{entry.name}]"
    known = {f for f in (*secret_fields(options), *_BESIDE) if hasattr(options, f)}
    wrong = sorted(set(given) - known)
    if wrong or not given:
        raise ConfigError(
            f"{where}: {place} has {', '.join(wrong) or 'no credentials'}.",
            f"Use the credentials of a repository of type {options.traits.name}: {', '.join(sorted(known)) or 'none'}.",
        )
    others = {key: value for key, value in asdict(options).items() if key not in known}
    found: StoreOptions = build(type(options), {**others, **given}, place, where)
    return found


def _read(path: str) -> Optional[Mapping[str, Any]]:
    """The content of the file; None if it does not exist, or this user cannot read it.

    ConfigError if another user can write or read it: it decides whose files root writes.
    """
    hint = "Make it a regular file of root with mode 0600."
    if os.path.islink(path):
        raise ConfigError(f"{path} is a symbolic link.", hint)
    try:
        opened = open_to_read(path)
    except (FileNotFoundError, PermissionError):
        return None
    except UntrustedPath as exc:
        raise ConfigError(exc.message, hint) from exc
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}.", hint) from exc
    with io.TextIOWrapper(opened, encoding="utf-8") as stream:
        info = os.fstat(opened.fileno())
        if info.st_uid not in (0, os.geteuid()) or info.st_mode & 0o077:
            raise ConfigError(
                f"{path} is accessible to others (owner {info.st_uid}, mode {stat.S_IMODE(info.st_mode):04o}).",
                f"Find out who wrote it, then run: chown root: {path} && chmod 0600 {path}.",
            )
        data = read_yaml(stream, path)
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is not a YAML mapping.", "Give 'repositories', a list of names and credentials.")
    return data
