# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How to restore a backup with nothing but an S3 client (or ``cp``), ``zstd`` and ``tar``."""

from __future__ import annotations

import shlex
from typing import List

from .model import BackupManifest
from .postgres.wal_names import format_lsn
from .repository.layout import SERVER_MANIFEST
from .repository.repository import Repository


def restore_by_hand(repository: Repository, backup: BackupManifest) -> str:
    """A shell script, ready to be read and run as the ``postgres`` user: it recovers to the end of the archived WAL.

    Set ``PGDATA`` (and where there are tablespaces, the directories named in it) first; ``FETCH`` prints an object.
    """
    location = repository.store.location
    fetch = 'aws s3 cp "$1" -' if location.startswith("s3://") else 'cat "$1"'
    root = f"{location}/{repository.layout.cluster}"
    prefix = f"{root}/backups/{backup.label}"
    lines: List[str] = [
        "set -eu",
        ': "${PGDATA:?name an empty directory}"',
        f"fetch() {{ {fetch}; }}",
        'mkdir -p "$PGDATA" && chmod 700 "$PGDATA"',
        f'fetch {shlex.quote(prefix + "/base.tar.zst")} | zstd -d | tar -x -C "$PGDATA" --exclude "pg_tblspc/*"',
    ]
    for space in backup.tablespaces:
        variable = f"TABLESPACE_{space.oid}"
        lines += [
            f"{variable}=${{{variable}:-{shlex.quote(space.location)}}}",
            f'mkdir -p "${variable}" && chmod 700 "${variable}"',
            f'fetch {shlex.quote(f"{prefix}/{space.oid}.tar.zst")} | zstd -d | tar -x -C "${variable}"',
            f'ln -s "${variable}" "$PGDATA/pg_tblspc/{space.oid}"',
        ]
    lines += [
        f'fetch {shlex.quote(f"{prefix}/{SERVER_MANIFEST}")} > "$PGDATA/backup_manifest"',
        'pg_verifybackup --no-parse-wal --ignore=tablespace_map "$PGDATA"',
    ]
    if backup.tablespaces:
        maps = " ".join(f'"{t.oid} $TABLESPACE_{t.oid}"' for t in backup.tablespaces)
        lines.append(f"printf '%s\\n' {maps} > \"$PGDATA/tablespace_map\"")
    wal = f"{root}/wal/{backup.system_identifier}"
    lines += [
        "# A WAL file: its timeline and log are the first two groups of 8 digits of its name.",
        "cat > \"$PGDATA/fetch_wal\" <<'END'",
        "#!/bin/sh",
        (
            "# An object that is not there ends recovery; look at this script's messages"
            " before you trust the end it finds."
        ),
        f"fetch() {{ {fetch}; }}",
        'case "$1" in',
        f'*.history) fetch {shlex.quote(wal)}/"$1" > "$2" || {{ rm -f "$2"; exit 1; }} ;;',
        '*) t=$(echo "$1" | cut -c1-8) l=$(echo "$1" | cut -c9-16)',
        f'   fetch {shlex.quote(wal)}/"$t/$l/$1.zst" > "$2.zst" || {{ rm -f "$2.zst"; exit 1; }}',
        '   zstd -q -d --rm -f "$2.zst" -o "$2" || exit 255 ;;',
        "esac",
        "END",
        'chmod 700 "$PGDATA/fetch_wal"',
        (
            f"# Recovers from {format_lsn(backup.start_lsn)} to the end of the archive."
            " For another target add recovery_target_time etc. here."
        ),
        'printf "restore_command = \'./fetch_wal %%f %%p\'\\narchive_mode = off\\n" >> "$PGDATA/postgresql.auto.conf"',
        'touch "$PGDATA/recovery.signal"',
        'pg_ctl -D "$PGDATA" -w start',
    ]
    return "\n".join(lines)
