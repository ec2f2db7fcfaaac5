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
from typing import Any, Mapping, Optional, Tuple

from .dump.policy import DumpsConfig, parse_dumps
from .errors import ConfigError
from .file_set_config import FileSetConfig, parse_file_set
from .gitcopy.policy import GitConfig, parse_git
from .libraries import library
from .logs.policy import LogsConfig, parse_logs
from .mapping import build, require_int, with_tuples
from .model import read_aware
from .recipients import refuse_clear_pieces, require_public
from .restore_test.policy import VerifyConfig, parse_verify
from .retention.policy import RetentionConfig, require_possible, with_data_sets
from .store_options import MIB, STORE_TYPES, DirectoryOptions, S3Options, StoreOptions
from .transit import refuse_clear_text

#: The options of stores belong to the configuration; they have a file of their own.
__all__ = ["MIB", "FileSetConfig", "STORE_TYPES", "DirectoryOptions", "S3Options", "StoreOptions"]

_CLUSTER_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z")


# What PostgreSQL's BASE_BACKUP takes too; level 0 is the method's own default.
_LEVELS = {"zstd": (-7, 22), "lz4": (0, 12)}


@dataclass(frozen=True)
class RepositoryConfig:
    """One repository. A *required* one must have a segment before PostgreSQL is told that it is archived.

    Another one may lag ``max_lag`` seconds behind before ``lifeboat check`` warns. With ``as_of`` (aware) it is read as
    it was at that time, and cannot be written.
    ``max_upload_kb`` and ``max_download_kb`` are what one process moves at most in a second, in units of 1024 bytes.
    """

    name: str
    store: StoreOptions
    required: bool = True
    max_upload_kb: Optional[int] = None
    max_download_kb: Optional[int] = None
    max_lag: float = 7200.0
    as_of: Optional[datetime] = None


@dataclass(frozen=True)
class ConnectionConfig:
    """How the server is reached, in libpq's words. ``host`` may be a socket directory."""

    host: Optional[str] = None
    port: int = 5432
    user: Optional[str] = None
    dbname: str = "postgres"
    password: Optional[str] = field(default=None, repr=False)
    passfile: Optional[str] = None
    sslmode: Optional[str] = None
    sslrootcert: Optional[str] = None
    connect_timeout: int = 10


@dataclass(frozen=True)
class BackupConfig:
    """How base backups are made.

    ``compression`` is that of the archives, WAL and file sets are always zstd; ``compress_at`` is ``server``,
    ``client`` or ``auto`` (server when it can); ``wal_timeout`` is how many seconds a backup waits for the next segment
    to be archived; ``summary_timeout`` how many an incremental one waits for a WAL summarizer that makes no progress.
    ``fallback`` ``full`` makes a full backup where a differential or incremental one cannot be made.
    """

    compression: str = "zstd"
    compression_level: int = 1
    compress_at: str = "auto"
    checkpoint: str = "fast"
    max_rate_kb: Optional[int] = None
    wal_timeout: float = 300.0
    summary_timeout: float = 120.0
    fallback: str = "none"

    @property
    def zstd_level(self) -> int:
        """The level of WAL and its pieces, which are always compressed by zstd."""
        return self.compression_level if self.compression == "zstd" else 1

    CHOICES: typing.ClassVar[Mapping[str, Tuple[str, ...]]] = {
        "compression": ("zstd", "lz4", "none"),
        "compress_at": ("auto", "server", "client"),
        "checkpoint": ("fast", "spread"),
        "fallback": ("none", "full"),
    }


@dataclass(frozen=True)
class WalConfig:
    """How WAL is archived. ``parallel`` is how many files the agent reads, compresses and stores at once.

    ``stream`` also stores the unfinished segment, piece by piece, every ``stream_interval`` seconds.
    """

    parallel: int = 4
    stream: bool = False
    stream_interval: float = 2.0


@dataclass(frozen=True)
class RestoreConfig:
    """``prefetch`` is how many segments a restore fetches ahead of replay at most (in all 1 GiB; 0: none).

    ``prefetch_dir`` is where they wait: beside the data directory where it is None.
    """

    prefetch: int = 16
    prefetch_dir: Optional[str] = None


@dataclass(frozen=True)
class SealConfig:
    """Who can open what is stored: ``recipients`` of ``age`` (public; none: nothing is sealed).

    The identity that opens it comes from a file or from the output of a command; a host that only backs up has none.
    """

    recipients: Tuple[str, ...] = ()
    identity_file: Optional[str] = None
    identity_command: Tuple[str, ...] = field(default=(), repr=False)

    @property
    def has_identity(self) -> bool:
        """Whether it is said where an identity is."""
        return bool(self.identity_file or self.identity_command)


@dataclass(frozen=True)
class ObjectivesConfig:
    """What was promised: ``rpo`` and ``rto`` in seconds, ``window`` in days of point-in-time recovery.

    ``max_verify_age`` is how many days the newest verification may be old.
    """

    rpo: Optional[float] = None
    rto: Optional[float] = None
    window: Optional[float] = None
    max_backup_age: Optional[float] = None
    max_verify_age: Optional[float] = None


@dataclass(frozen=True)
class AuditConfig:
    """Where events go beside the repositories: ``file`` (JSON lines; "": none; None: a default place) and ``syslog``.

    ``syslog`` is the socket of the system's log, which journald reads too; "": none.
    """

    file: Optional[str] = None
    syslog: str = "/dev/log"


@dataclass(frozen=True)
class Config:
    """One cluster with its server and its repositories.

    ``data_dir`` is the data directory that this configuration protects: a server that runs in another one is a
    clone and may not archive. ``config_file`` is ``postgresql.conf`` where it lies outside the data directory.
    ``as_of`` (aware) shows every repository as it was at that time, to read only.
    ``command`` is the host command that PostgreSQL calls to archive and to restore WAL. ``spool_dir`` is a directory
    of this host, outside of the data directory, where the WAL agent and PostgreSQL's commands meet.
    """

    cluster: str
    repositories: Tuple[RepositoryConfig, ...]
    data_dir: Optional[str] = None
    bin_dir: Optional[str] = None
    config_file: Optional[str] = None
    connection: ConnectionConfig = ConnectionConfig()
    backup: BackupConfig = BackupConfig()
    wal: WalConfig = WalConfig()
    spool_dir: Optional[str] = None
    restore: RestoreConfig = RestoreConfig()
    seal: SealConfig = SealConfig()
    objectives: ObjectivesConfig = ObjectivesConfig()
    retention: RetentionConfig = RetentionConfig()
    verify: VerifyConfig = VerifyConfig()
    audit: AuditConfig = AuditConfig()
    logs: LogsConfig = LogsConfig()
    git: Optional[GitConfig] = None
    dumps: DumpsConfig = DumpsConfig()
    file_sets: Tuple[FileSetConfig, ...] = ()
    command: str = "lifeboat"
    as_of: Optional[datetime] = None
    source: Optional[str] = None

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
    ("git", parse_git),
    ("dumps", parse_dumps),
)


def load(path: str, as_of: Optional[str] = None) -> Config:
    """Read and check a configuration file (YAML 1.1 by PyYAML's safe loader); ``as_of`` overrules the one in it."""
    yaml = library("PyYAML", "python3-yaml", "PyYAML", "yaml")
    try:
        with open(path, encoding="utf-8") as stream:
            data = yaml.safe_load(stream)
    except OSError as exc:
        raise ConfigError(
            f"Cannot read the configuration file {path}: {exc.strerror}.",
            "Check the path and its owner; --config names another one.",
            path=path,
        ) from exc
    except (yaml.YAMLError, ValueError) as exc:
        # No cause: what PyYAML says may quote a secret.
        raise ConfigError(
            f"{path} is not valid YAML{_yaml_problem(exc)}.",
            "Correct the file there; put a value with special characters into quotes.",
            path=path,
        ) from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} holds no mapping.", "It must at least have 'cluster' and 'repositories'.", path=path)
    if as_of is not None:
        data = {**data, "as_of": as_of}
    return parse(data, source=os.path.abspath(path))


def _yaml_problem(exc: Exception) -> str:
    """Where and what, without the words that PyYAML quotes from the file."""
    mark, problem = getattr(exc, "problem_mark", None), getattr(exc, "problem", None)
    place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    words = re.sub(r"'.*'", "'...'", problem, flags=re.DOTALL) if problem else ""
    return f"{place}: {words}" if words else place


def parse(data: Mapping[str, Any], source: Optional[str] = None) -> Config:
    """Check a mapping and make it a :class:`Config`. Values of None count as not given."""
    where = source or "configuration"
    values = {k: v for k, v in data.items() if v is not None}
    raw = values.pop("repositories", None)
    if not isinstance(raw, (list, tuple)) or not raw:
        raise ConfigError(
            f"{where}: 'repositories' must be a list with at least one repository.",
            f"Give each a type ({', '.join(STORE_TYPES)}) and its options.",
        )
    repositories = tuple(_repository(item, f"repositories[{i}]", where) for i, item in enumerate(raw))
    names = [r.name for r in repositories]
    if len(set(names)) != len(names):
        raise ConfigError(
            f"{where}: two repositories share a name ({', '.join(names)}).", "Give each repository a 'name' of its own."
        )
    if not any(r.required for r in repositories):
        raise ConfigError(
            f"{where}: no repository is required, so nothing would ever be durable.",
            "Set 'required: true' on at least one.",
        )
    values.pop("source", None)
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
    if "file_sets" in values:
        values["file_sets"] = tuple(
            parse_file_set(item, f"file_sets[{i}]", where) for i, item in enumerate(values["file_sets"])
        )
    config: Config = build(Config, {**values, "repositories": repositories, "source": source}, "", where)
    if not _CLUSTER_NAME.match(config.cluster):
        raise ConfigError(
            f"{where}: cluster is {config.cluster!r}.",
            "Use letters, digits, '.', '_' and '-', at most 63: it becomes part of every key.",
        )
    refuse_clear_pieces(where, config.seal.recipients, config.wal.stream)
    _require_level(config.backup, where)
    require_possible(config.retention, where)
    if config.wal.parallel < 1:
        raise ConfigError(f"{where}: wal.parallel is {config.wal.parallel}.", "It must be at least 1.")
    if not 0.1 <= config.wal.stream_interval <= 3600:
        raise ConfigError(
            f"{where}: wal.stream_interval is {config.wal.stream_interval:g}.", "It is seconds, from 0.1 to 3600."
        )
    of_data = [s.name for s in config.file_sets if s.kind == "data"]
    return replace(config, retention=with_data_sets(config.retention, of_data))


def _require_level(backup: BackupConfig, where: str) -> None:
    bounds = _LEVELS.get(backup.compression)
    if bounds and not bounds[0] <= backup.compression_level <= bounds[1]:
        raise ConfigError(
            f"{where}: backup.compression_level is {backup.compression_level}.",
            f"For {backup.compression} it is from {bounds[0]} to {bounds[1]}.",
        )


def _seal(item: Any, where: str) -> SealConfig:
    """The seal; a secret key among the recipients is refused without a word of it."""
    values = with_tuples(item, ("recipients", "identity_command"), "seal", where)
    found: SealConfig = build(SealConfig, values, "seal", where)
    require_public(where, found.recipients, found.identity_file)
    if found.identity_file and found.identity_command:
        raise ConfigError(
            f"{where}: seal has both identity_file and identity_command.", "Say in one way where the identity is."
        )
    return found


def parse_repository(data: Mapping[str, Any]) -> RepositoryConfig:
    """Check the mapping of one repository, without a configuration around it."""
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
    required = values.pop("required", True)
    if not isinstance(required, bool):
        raise ConfigError(f"{where}: {path}.required is {required!r}.", "Use true or false.")
    up, down = (require_int(values.pop(k, None), f"{path}.{k}", where, 1) for k in ("max_upload_kb", "max_download_kb"))
    past = values.pop("as_of", None)
    lag = values.pop("max_lag", RepositoryConfig.max_lag)
    if isinstance(lag, bool) or not isinstance(lag, (int, float)) or lag <= 0:
        raise ConfigError(f"{where}: {path}.max_lag is {lag!r}.", "It is seconds, more than 0.")
    store = build(STORE_TYPES[kind], values, path, where)
    if isinstance(store, S3Options):
        refuse_clear_text(store.endpoint_url, store.allow_http, f"{where}: {path}")
    as_of = None if past is None else read_aware(past, f"{where}: {path}: as_of")
    if as_of is not None and required:
        raise ConfigError(
            f"{where}: {path} has as_of and is required.", "The past cannot be written: set required: false."
        )
    return RepositoryConfig(name, store, required, up, down, float(lag), as_of)
