# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rewind an old primary with ``pg_rewind``, so that it follows the new one without a restore.

It copies the blocks that the old primary changed after the fork from the new primary, over the connection of
``standby.primary_conninfo``. What it undoes is stored before (:mod:`.diverged`).
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional

from ..base.errors import LifeboatError, RewindFailed, StandbyRefused
from ..base.process import run
from ..config.load import Config
from ..postgres.controldata import ControlData, program, read_control
from ..postgres.recovery import STANDBY, restore_command, rewrite, set_signal
from ..postgres.server import refuse_root, setting_of
from ..restore import apply_follow, plan_follow, write_standby_settings
from . import diverged
from .site import data_dir_of, refuse_serving

_DBNAME = re.compile(r"(?:^|\s)dbname\s*=")
_DENIED = re.compile(r"permission denied for function")
# pg_rewind says so before it changes anything.
_BEGUN = "rewinding from last common checkpoint"
_SECRET = (".crt", ".key", ".pem", ".crl")
# The directory conf.d too, which often is included.
_OWN = (".conf", "conf.d", *_SECRET)
_TOLD = 2000
_INSTEAD = "Restore it instead: lifeboat restore --action standby --delta keeps unchanged files."
#: What a role other than a superuser needs on the new primary (PostgreSQL manual, "pg_rewind").
GRANTS = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)


@dataclass(frozen=True)
class Rewound:
    """``changed`` is false if nothing diverged: the server can follow as it is. ``kept`` is what was undone."""

    changed: bool
    kept: diverged.Kept

    def as_dict(self) -> Dict[str, Any]:
        return {**self.kept.as_dict(), "changed": self.changed}


def refusal(control: ControlData, wal_log_hints: bool, conninfo: Optional[str]) -> Optional[str]:
    """Why ``pg_rewind`` cannot work here; None if it can. Pure."""
    if not conninfo:
        return "standby.primary_conninfo is not set, and pg_rewind copies from the new primary"
    if not control.checksums and not wal_log_hints:
        return "the cluster has neither data checksums nor wal_log_hints, so a changed page may have left no WAL"
    return None


def failure(data_dir: str, said: str) -> LifeboatError:
    """The error for what ``pg_rewind`` said when it failed. Pure."""
    last = said.strip()[-_TOLD:]
    if _BEGUN in said:
        return RewindFailed(
            f"{data_dir} was not rewound to the end, so no server may start there: {last}",
            "What it wrote after the fork is stored. Fix the cause, and restore it: lifeboat restore --action standby"
            " --delta, or dr_rejoin with standby_rejoin=delta.",
            data_dir=data_dir,
        )
    hint = f"Nothing was rewound. {_INSTEAD}"
    if _DENIED.search(said):
        grants = " ".join(f"GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO role;" for name in GRANTS)
        hint = f"On the new primary, allow the role of standby.primary_conninfo to read files: {grants}"
    return StandbyRefused(f"{data_dir} cannot be rewound: {last}", hint, data_dir=data_dir)


def plan(config: Config) -> Rewound:
    """What :func:`apply` would undo; nothing is written, on either side."""
    _prepare(config)
    kept = diverged.plan(config)
    return Rewound(kept.found.diverged, kept)


def apply(config: Config) -> Rewound:
    """Store what diverged, rewind the data directory, and make it a standby. Starts and stops no server.

    StandbyRefused before anything is changed if ``pg_rewind`` cannot work here. RewindFailed if it did not finish: then
    the data directory is to be restored (``restore --action standby --delta``).
    """
    data_dir = _prepare(config)
    kept = diverged.apply(config)
    if not kept.found.diverged:
        # Without its settings it would start as a primary; one that was not shut down cleanly is refused.
        return Rewound(apply_follow(config, plan_follow(config)).changed, kept)
    with _own_files(data_dir):
        # pg_rewind calls it for WAL that the old primary has removed (--restore-target-wal).
        rewrite(data_dir, {"restore_command": restore_command(config.command, config.source or "", pieces=True)})
        done = run(_argv(config, data_dir), check=False, cwd=data_dir)
        if _BEGUN in done.stderr:
            # Whatever happens from here on, no primary may start there.
            set_signal(data_dir, STANDBY)
        if done.status:
            raise failure(data_dir, done.stderr)
        if _BEGUN not in done.stderr:
            raise _not_yet(data_dir)
    write_standby_settings(config, data_dir)
    return Rewound(True, kept)


def _not_yet(data_dir: str) -> StandbyRefused:
    """Up to PostgreSQL 15, pg_rewind takes the new primary's timeline from its last checkpoint."""
    return StandbyRefused(
        f"pg_rewind found nothing to do in {data_dir}, although it diverged: the new primary has made no checkpoint"
        " since its promotion.",
        "Nothing was rewound. Run CHECKPOINT on the new primary, and repeat this.",
        data_dir=data_dir,
    )


@contextmanager
def _own_files(data_dir: str) -> Iterator[None]:
    """Keep this server's configuration and certificates: ``pg_rewind`` replaces them by those of the new primary.

    They are copied beside the data directory, and the copies are removed once all are back, also after a failure.
    """
    names = [n for n in sorted(os.listdir(data_dir)) if n.endswith(_OWN)]
    for name in names:
        _require_own(os.path.join(data_dir, name))
    beside = os.path.dirname(data_dir.rstrip("/"))
    kept = tempfile.mkdtemp("", ".lifeboat-rewind-", beside if os.access(beside, os.W_OK) else None)
    for name in names:
        _copy(os.path.join(data_dir, name), os.path.join(kept, name))
    for name in names:
        # The server refuses keys that others can read, and pg_rewind stops at a file that it cannot write.
        if name.endswith(_SECRET):
            os.unlink(os.path.join(data_dir, name))
    try:
        yield
    finally:
        try:
            for name in names:
                _put_back(os.path.join(kept, name), os.path.join(data_dir, name))
        except OSError as exc:
            raise RewindFailed(
                f"The configuration of {data_dir} could not be put back: {exc}.",
                f"It is kept in {kept}. Free some space, copy it back, and restore the server: standby_rejoin=delta.",
                kept=kept,
            ) from exc
        shutil.rmtree(kept)


def _require_own(path: str) -> None:
    """StandbyRefused for a file of somebody else: as it is, it could not be put back."""
    if not os.path.islink(path) and os.lstat(path).st_uid != os.geteuid():
        raise StandbyRefused(
            f"{path} belongs to another user, and pg_rewind would replace it.",
            f"Move it out of the data directory, or give it to the server's user. {_INSTEAD}",
            path=path,
        )


def _copy(source: str, target: str) -> None:
    if os.path.isdir(source) and not os.path.islink(source):
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)


def _put_back(source: str, target: str) -> None:
    """Replace ``target``, which stays as it is if there is no space."""
    fresh = f"{target}.lifeboat"
    _copy(source, fresh)
    if os.path.isdir(target) and not os.path.islink(target):
        shutil.rmtree(target)
    os.replace(fresh, target)


def _prepare(config: Config) -> str:
    """The data directory, if it can be rewound."""
    refuse_root()
    data_dir = data_dir_of(config)
    refuse_serving(data_dir)
    control = read_control(config.bin_dir, data_dir)
    hints = setting_of(config.bin_dir, data_dir, config.config_file, "wal_log_hints")
    why = refusal(control, hints == "on", config.standby.primary_conninfo)
    if why:
        raise StandbyRefused(f"{data_dir} cannot be rewound: {why}.", _INSTEAD, data_dir=data_dir)
    return data_dir


def _argv(config: Config, data_dir: str) -> List[str]:
    conninfo = config.standby.primary_conninfo or ""
    if not _DBNAME.search(conninfo):
        conninfo = f"{conninfo} dbname=postgres"
    words = [program(config.bin_dir, "pg_rewind"), "--target-pgdata", data_dir, "--source-server", conninfo]
    where = ["--config-file", config.config_file] if config.config_file else []
    return [*words, *where, "--restore-target-wal"]
