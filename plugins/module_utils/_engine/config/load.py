# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of one cluster: ``/etc/lifeboat/<cluster>.yml``, or the same mapping from a module's options.

The YAML keys are exactly the field names below. An unknown key, a missing one or a value of the wrong type is a
``ConfigError`` that names the key by its path (``repositories[0].bucket``). Secrets are fields that ``repr`` hides.
"""

from __future__ import annotations

import os
import re
import typing
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import IO, Any, Mapping, Optional, Tuple

from ..base.errors import ConfigError
from ..base.libraries import library
from ..records.model import read_aware
from .dump import DumpsConfig, parse_dumps
from .file_sets import FileSetConfig, parse_file_set
from .git import GitConfig, parse_git
from .incidents import IncidentsConfig, parse_incidents, require_reachable
from .logs import LogsConfig, parse_logs
from .notifications import NotificationsConfig, parse_notifications
from .option import build, option, require_int, with_tuples
from .recipients import refuse_clear_pieces, require_public
from .retention import RetentionConfig, require_possible, with_data_sets
from .sections import (
    AuditConfig,
    BackupConfig,
    ConnectionConfig,
    ObjectivesConfig,
    RestoreConfig,
    SealConfig,
    WalConfig,
)
from .signing import SigningConfig, parse_signing
from .standby import StandbyConfig, parse_standby
from .store_options import STORE_TYPES, DirectoryOptions, S3Options, StoreOptions
from .traits import MIB
from .verify import VerifyConfig, parse_verify

#: The options of stores are part of the configuration, but defined in a file of their own.
__all__ = ["MIB", "FileSetConfig", "STORE_TYPES", "DirectoryOptions", "S3Options", "StoreOptions"]

_CLUSTER_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


# The range of PostgreSQL's BASE_BACKUP; level 0 is the default of the method.
_LEVELS = {"zstd": (-7, 22), "lz4": (0, 12)}


@dataclass(frozen=True)
class RepositoryConfig:
    """One repository. A *required* one must have a segment before it is acknowledged to PostgreSQL as archived.

    An optional one may lag ``max_lag`` seconds behind before ``lifeboat check`` warns. With ``as_of`` (aware) it is
    read as it was at that time, and cannot be written; with ``read_only`` it is read as it is.
    ``max_upload_kb`` and ``max_download_kb`` limit the rate of each process, in units of 1024 bytes per second.
    """

    name: str = option("Name for messages and options. Default: C(repo) and its position in the list.")
    store: StoreOptions = option("Kind of store, and the options of that kind.")
    required: bool = option(
        "Acknowledge a segment only once it is in this repository, and fail a backup that cannot be stored there.", True
    )
    max_upload_kb: Optional[int] = option(
        "Limit of uploads per process, in units of 1024 bytes per second. Default: none.", None
    )
    max_download_kb: Optional[int] = option(
        "Limit of downloads per process, in units of 1024 bytes per second. Default: none.", None
    )
    max_lag: float = option(
        "Seconds that a repository with C(required=false) may lag behind before C(lifeboat check) warns.", 7200.0
    )
    as_of: Optional[datetime] = option("Time with a zone. Read a versioned bucket as it was then, read-only.", None)
    read_only: bool = option(
        "Write nothing there, not even the note of a restore. For a rehearsal, and a reader's credentials.", False
    )
    quota_bytes: Optional[int] = option(
        "Bytes that the cluster may use there, for C(lifeboat usage) and its forecast; it is not enforced. "
        "Default: none; for a directory, the size of its file system.",
        None,
    )
    # Copied from the configuration, so that no repository is opened without it.
    signing: SigningConfig = field(default=SigningConfig(), metadata={"shown": False})

    @property
    def writable(self) -> bool:
        """Whether anything is ever written there."""
        return self.as_of is None and not self.read_only


@dataclass(frozen=True)
class Config:
    """The configuration of one cluster, its server and its repositories.

    ``data_dir`` is the data directory that this configuration protects: a server that runs in another one is a
    clone and may not archive. ``config_file`` is ``postgresql.conf``, if it is outside the data directory.
    ``as_of`` (aware) shows every repository as it was at that time, to read only.
    ``command`` is the host command that PostgreSQL calls to archive and restore WAL. ``spool_dir`` is a directory
    of this host, outside the data directory, that the WAL agent and PostgreSQL's commands share.
    With ``files_apart``, file sets are stored with credentials kept elsewhere (:mod:`.file_credentials`).
    """

    cluster: str = option("Name of the cluster, part of every key: letters, digits, C(.), C(_), C(-).")
    repositories: Tuple[RepositoryConfig, ...] = option("Repositories, tried in this order when reading.")
    data_dir: Optional[str] = option(
        "Data directory to protect. A server running in another one may not archive.", None, path=True
    )
    bin_dir: Optional[str] = option("Directory of PostgreSQL's programs. Default: PATH.", None, path=True)
    config_file: Optional[str] = option("C(postgresql.conf), if it is outside the data directory.", None, path=True)
    connection: ConnectionConfig = option(
        "How to connect to the server; options have libpq's names.", ConnectionConfig()
    )
    backup: BackupConfig = option("How base backups are made.", BackupConfig())
    wal: WalConfig = option("How WAL is archived.", WalConfig())
    spool_dir: Optional[str] = option(
        "Directory outside the data directory, shared by the WAL agent and PostgreSQL's commands. Its owner must be "
        "that of the cluster.",
        None,
        path=True,
    )
    restore: RestoreConfig = option("How a restore fetches WAL.", RestoreConfig())
    standby: StandbyConfig = option("What a standby streams from besides.", StandbyConfig())
    seal: SealConfig = option("Who can decrypt stored objects. Empty: nothing is encrypted.", SealConfig())
    signing: SigningConfig = option(
        "Key that signs records, and keys whose signatures count. Empty: nothing is signed, and all records count.",
        SigningConfig(),
    )
    objectives: ObjectivesConfig = option("Recovery objectives, for C(lifeboat check).", ObjectivesConfig())
    retention: RetentionConfig = option("How long each kind of data is kept.", RetentionConfig())
    verify: VerifyConfig = option("What verification and restore tests check.", VerifyConfig())
    audit: AuditConfig = option("Where audit events are written besides the repositories.", AuditConfig())
    logs: LogsConfig = option("Which logs C(lifeboat log-ship) stores.", LogsConfig())
    notifications: NotificationsConfig = option("Who is notified, and how.", NotificationsConfig())
    incidents: IncidentsConfig = option("Who is notified of an incident, and how long it may take.", IncidentsConfig())
    git: Optional[GitConfig] = option("Where to push configuration, without secrets.", None)
    dumps: DumpsConfig = option("How databases are dumped.", DumpsConfig())
    file_sets: Tuple[FileSetConfig, ...] = option("Named lists of files to keep.", ())
    site: str = option(
        "Name of the site (region) of this host, the same on all hosts there: letters, digits, C(.), C(_), C(-). Only "
        "the leading site archives, see docs/regions.md. Empty: leadership is not tracked.",
        "",
    )
    command: str = option("Host command, as PostgreSQL calls it.", "lifeboat")
    as_of: Optional[datetime] = option("Time with a zone. Read every repository as it was then, read-only.", None)
    source: Optional[str] = None
    files_apart: bool = False

    @property
    def required(self) -> Tuple[RepositoryConfig, ...]:
        """The repositories that must have every object before it counts as stored."""
        return tuple(r for r in self.repositories if r.required)


_SECTIONS: Tuple[Tuple[str, Any], ...] = (
    ("connection", ConnectionConfig),
    ("backup", BackupConfig),
    ("wal", WalConfig),
    ("restore", RestoreConfig),
    ("objectives", ObjectivesConfig),
    ("retention", RetentionConfig),
    ("audit", AuditConfig),
)

_PARSED: Tuple[Tuple[str, typing.Callable[[Any, str], Any]], ...] = (
    ("verify", parse_verify),
    ("logs", parse_logs),
    ("notifications", parse_notifications),
    ("incidents", parse_incidents),
    ("git", parse_git),
    ("dumps", parse_dumps),
    ("signing", parse_signing),
    ("standby", parse_standby),
)


def load(path: str, as_of: Optional[str] = None) -> Config:
    """Read and check a configuration file (YAML 1.1 by PyYAML's safe loader); ``as_of`` overrides the one in it."""
    try:
        with open(path, encoding="utf-8") as stream:
            data = read_yaml(stream, path)
    except OSError as exc:
        raise ConfigError(
            f"Cannot read the configuration file {path}: {exc.strerror}.",
            "Check the path and its owner, or name another file with --config.",
            path=path,
        ) from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is not a YAML mapping.", "Set at least 'cluster' and 'repositories'.", path=path)
    if as_of is not None:
        data = {**data, "as_of": as_of}
    config = parse(data, source=os.path.abspath(path))
    return replace(config, files_apart=os.path.lexists(files_apart_beside(path)))


def files_apart_beside(path: str) -> str:
    """The path of the file with the credentials of file sets: ``main.files.yml`` beside ``main.yml``."""
    return f"{os.path.splitext(path)[0]}.files.yml"


def read_yaml(stream: IO[str], path: str) -> Any:
    """The contents of a YAML file; ConfigError never quotes them."""
    yaml = library("PyYAML", "python3-yaml", "PyYAML", "yaml")
    try:
        return yaml.safe_load(stream)
    except (yaml.YAMLError, ValueError) as exc:
        # No cause: PyYAML's message may quote a secret.
        raise ConfigError(
            f"{path} is not valid YAML{_yaml_problem(exc)}.",
            "Correct the file at that place; quote values with special characters.",
            path=path,
        ) from None


def _yaml_problem(exc: Exception) -> str:
    """The position and the problem, without the text that PyYAML quotes from the file."""
    mark, problem = getattr(exc, "problem_mark", None), getattr(exc, "problem", None)
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    words = re.sub(r"'.*'", "'...'", problem, flags=re.DOTALL) if problem else ""
    return f"{place}: {words}" if words else place


def parse(data: Mapping[str, Any], source: Optional[str] = None) -> Config:
    """Check a mapping and return it as a :class:`Config`. None counts as not given."""
    where = source or "configuration"
    values = {k: v for k, v in data.items() if v is not None}
    raw = values.pop("repositories", None)
    if not isinstance(raw, (list, tuple)) or not raw:
        raise ConfigError(
            f"{where}: 'repositories' must be a list with at least one repository.",
            f"Give each a type ({', '.join(STORE_TYPES)}) and the options of that type.",
        )
    repositories = tuple(_repository(item, f"repositories[{i}]", where) for i, item in enumerate(raw))
    names = [r.name for r in repositories]
    if len(set(names)) != len(names):
        raise ConfigError(
            f"{where}: two repositories share a name ({', '.join(names)}).", "Give each repository its own 'name'."
        )
    if not any(r.required for r in repositories):
        raise ConfigError(
            f"{where}: no repository is required, so nothing would be guaranteed to be stored.",
            "Set 'required: true' on at least one.",
        )
    for key in ("source", "files_apart"):
        values.pop(key, None)
    for key, cls in _SECTIONS:
        if key in values:
            values[key] = build(cls, values[key], key, where)
    if "seal" in values:
        values["seal"] = _seal(values["seal"], where)
    if "as_of" in values:
        values["as_of"] = read_aware(values["as_of"], f"{where}: as_of")
        repositories = tuple(replace(r, as_of=values["as_of"]) for r in repositories)
    for key, parse_section in _PARSED:
        if key in values:
            values[key] = parse_section(values[key], where)
    if "signing" in values:
        repositories = tuple(replace(r, signing=values["signing"]) for r in repositories)
    if "file_sets" in values:
        values["file_sets"] = tuple(
            parse_file_set(item, f"file_sets[{i}]", where) for i, item in enumerate(values["file_sets"])
        )
    config: Config = build(Config, {**values, "repositories": repositories, "source": source}, "", where)
    if not _CLUSTER_NAME.match(config.cluster):
        raise ConfigError(
            f"{where}: cluster is {config.cluster!r}.",
            "Use at most 63 letters, digits, '.', '_' and '-': it becomes part of every key.",
        )
    if config.site and not _CLUSTER_NAME.match(config.site):
        raise ConfigError(
            f"{where}: site is {config.site!r}.",
            "Use at most 63 letters, digits, '.', '_' and '-', such as 'east' or 'fra1'.",
        )
    refuse_clear_pieces(where, config.seal.recipients, config.wal.stream)
    _require_level(config.backup, where)
    require_possible(config.retention, where)
    for name, value, least in (
        ("wal.parallel", config.wal.parallel, 1),
        ("backup.parallel", config.backup.parallel, 0),
        ("backup.volume_size", config.backup.volume_size, 0),
        ("restore.parallel", config.restore.parallel, 0),
    ):
        if value < least:
            raise ConfigError(f"{where}: {name} is {value}.", f"It must be at least {least}.")
    if not 0.1 <= config.wal.stream_interval <= 3600:
        raise ConfigError(
            f"{where}: wal.stream_interval is {config.wal.stream_interval:g}.", "Use seconds, from 0.1 to 3600."
        )
    require_reachable(config.incidents, config.notifications, where)
    of_data = [s.name for s in config.file_sets if s.kind == "data"]
    return replace(config, retention=with_data_sets(config.retention, of_data))


def _require_level(backup: BackupConfig, where: str) -> None:
    bounds = _LEVELS.get(backup.compression)
    if bounds and not bounds[0] <= backup.compression_level <= bounds[1]:
        raise ConfigError(
            f"{where}: backup.compression_level is {backup.compression_level}.",
            f"Use {bounds[0]} to {bounds[1]} for {backup.compression}.",
        )


def _seal(item: Any, where: str) -> SealConfig:
    """Check the section ``seal``; the error for a secret key among the recipients does not quote it."""
    values = with_tuples(item, ("recipients", "identity_command"), "seal", where)
    found: SealConfig = build(SealConfig, values, "seal", where)
    require_public(where, found.recipients, found.identity_file)
    if found.identity_file and found.identity_command:
        raise ConfigError(f"{where}: seal has both identity_file and identity_command.", "Set only one of them.")
    return found


def parse_repository(data: Mapping[str, Any]) -> RepositoryConfig:
    """Check the mapping of a single repository outside of a configuration."""
    return _repository(data, "repository", "repository")


def _repository(item: Any, path: str, where: str) -> RepositoryConfig:
    if not isinstance(item, Mapping):
        raise ConfigError(
            f"{where}: {path} must be a mapping, not {type(item).__name__}.", "Give it a type and its options."
        )
    values = {k: v for k, v in item.items() if v is not None}
    kind = values.pop("type", None)
    if not isinstance(kind, str) or kind not in STORE_TYPES:
        raise ConfigError(f"{where}: {path}.type is {kind!r}.", f"Choose one of: {', '.join(sorted(STORE_TYPES))}.")
    name = str(values.pop("name", "") or path.replace("repositories[", "repo").rstrip("]"))
    required, read_only = values.pop("required", True), values.pop("read_only", False)
    for key, value in (("required", required), ("read_only", read_only)):
        if not isinstance(value, bool):
            raise ConfigError(f"{where}: {path}.{key} is {value!r}.", "Use true or false.")
    up, down, quota = (
        require_int(values.pop(k, None), f"{path}.{k}", where, 1)
        for k in ("max_upload_kb", "max_download_kb", "quota_bytes")
    )
    past = values.pop("as_of", None)
    lag = values.pop("max_lag", RepositoryConfig.max_lag)
    if isinstance(lag, bool) or not isinstance(lag, (int, float)) or lag <= 0:
        raise ConfigError(f"{where}: {path}.max_lag is {lag!r}.", "Use seconds, more than 0.")
    store: StoreOptions = build(STORE_TYPES[kind], values, path, where)
    store.require_private(f"{where}: {path}")
    as_of = None if past is None else read_aware(past, f"{where}: {path}: as_of")
    if as_of is not None and required:
        raise ConfigError(
            f"{where}: {path} has as_of, but is required.",
            "Set required: false, because a repository with as_of is read-only. For all repositories, use --as-of,"
            " or as_of at the top of the file.",
        )
    if read_only and required:
        raise ConfigError(
            f"{where}: {path} is read_only, but required.",
            "Set required: false: what is required is written to.",
        )
    return RepositoryConfig(name, store, required, up, down, float(lag), as_of, read_only, quota)
