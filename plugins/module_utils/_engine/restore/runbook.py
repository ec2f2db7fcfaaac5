# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script to restore a backup with only an S3 client (or ``cat``), ``zstd``, ``tar``, PostgreSQL's programs and what
every system has (``find``, ``sed``).

Objects compressed by lz4 need ``lz4``. Sealed objects need ``age`` as well, and a file with the identity.
"""

from __future__ import annotations

import shlex
from typing import List, Mapping, Optional

from ..base.wal_names import format_lsn
from ..records.model import BackupManifest
from ..records.tablespace import Tablespace
from ..repository.chain import Chain
from ..repository.layout import SERVER_MANIFEST, compression_of, is_sealed, sealed_name, server_manifest
from ..repository.repository import Repository

#: Commands that print an object with the store's own tool, by the prefix of its location; anything else is a file.
_FETCH = {
    "s3://": 'aws s3 cp "$1" -',
    "gs://": 'gcloud storage cat "$1"',
    "http": 'az storage blob download --only-show-errors --no-progress --blob-url "$1"',
}
_VERIFY = "pg_verifybackup --no-parse-wal --ignore=tablespace_map"


def restore_by_hand(repository: Repository, chain: Chain, sealed_wal: bool = False) -> str:
    """A shell script to read and run as the ``postgres`` user: it recovers to the end of the archived WAL.

    Set ``PGDATA`` first, and the directories of tablespaces; its function ``fetch`` prints an object. The links of a
    chain are unpacked beside ``PGDATA`` and combined by ``pg_combinebackup``. If a link is sealed, or WAL is
    (``sealed_wal``), ``IDENTITY`` is the file of an identity; objects that are not sealed are read as they are.
    """
    backup = chain[-1]
    sealed = sealed_wal or any(is_sealed(f.name) for link in chain for f in link.files)
    location = repository.store.location
    fetch = next((how for scheme, how in _FETCH.items() if location.startswith(scheme)), 'cat "$1"')
    root = f"{location}/{repository.layout.cluster}"
    lines: List[str] = [
        "set -eu",
        ': "${PGDATA:?name an empty directory by its whole path}"',
        f"fetch() {{ {fetch}; }}",
    ]
    if sealed:
        lines += [
            ': "${IDENTITY:?name the file with the identity of age by its whole path}"',
            "# The server inherits it for its restore_command.",
            "export IDENTITY",
        ]
    outside = [t for t in backup.tablespaces if not t.in_place]
    lines += [f"{_variable(t)}=${{{_variable(t)}:-{shlex.quote(t.location)}}}" for t in outside]
    if len(chain) == 1:
        lines += _unpack(root, backup, '"$PGDATA"', {t.oid: f'"${_variable(t)}"' for t in outside})
    else:
        lines += _combine(root, chain)
    lines.append(f'{_VERIFY} "$PGDATA"')
    if outside:
        maps = " ".join(f'"{t.oid} ${_variable(t)}"' for t in outside)
        # tablespace_map has a backslash before each backslash of a path.
        lines.append(f"printf '%s\\n' {maps} | sed 's/\\\\/&&/g' > \"$PGDATA/tablespace_map\"")
    wal = f"{root}/wal/{backup.system_identifier}"
    lines += [
        "# A WAL file: its timeline and log are the first two groups of 8 digits of its name.",
        "cat > \"$PGDATA/fetch_wal\" <<'END'",
        "#!/bin/sh",
        ("# A missing object ends recovery: read this script's messages before you trust that end."),
        f"fetch() {{ {fetch}; }}",
        'case "$1" in',
        f'*.history) fetch {shlex.quote(wal)}/"$1" > "$2" || {{ rm -f "$2"; exit 1; }} ;;',
        '*) t=$(echo "$1" | cut -c1-8) l=$(echo "$1" | cut -c9-16)',
        *(_fetch_sealed_wal(wal) if sealed else ()),
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
        *(
            [
                "# Recovery refuses tablespaces in the data directory without it.",
                'echo "allow_in_place_tablespaces = on" >> "$PGDATA/postgresql.auto.conf"',
            ]
            if len(outside) < len(backup.tablespaces)
            else []
        ),
        'touch "$PGDATA/recovery.signal"',
        'pg_ctl -D "$PGDATA" -w start',
    ]
    return "\n".join(lines)


def _fetch_sealed_wal(wal: str) -> List[str]:
    """The lines of the script that try the sealed form of a WAL file first."""
    return [
        f'   if fetch {shlex.quote(wal)}/"$t/$l/$1.zst.age" > "$2.age"; then',
        '     { age -d -i "$IDENTITY" < "$2.age" > "$2.zst" && zstd -q -d --rm -f "$2.zst" -o "$2"; } || exit 255',
        '     rm -f "$2.age"; exit 0',
        "   fi",
        '   rm -f "$2.age"',
    ]


def _opened(word: str, sealed: bool) -> str:
    """The pipeline that prints the stored file of this shell word, opened if it is sealed."""
    return f"fetch {word}" + (' | age -d -i "$IDENTITY"' if sealed else "")


def _archive(word: str, name: str) -> str:
    """The pipeline that prints the stored archive ``name``, whose whole path is the shell word, as a tar file."""
    opened = _opened(word, is_sealed(name))
    return opened + {"zstd": " | zstd -d", "lz4": " | lz4 -d", "none": ""}[compression_of(name)]


def _variable(space: Tablespace) -> str:
    return f"TABLESPACE_{space.oid}"


def _inside(word: str, name: str) -> str:
    """A path below the directory ``word``, which is in double quotes."""
    return f'{word[:-1]}/{name}"'


def _unpack(root: str, backup: BackupManifest, target: str, spaces: Mapping[str, str]) -> List[str]:
    """The lines that fill ``target`` and the directories of ``spaces`` (by OID), all given as shell words."""
    url = f"{root}/backups/{backup.label}"
    sealed = is_sealed(server_manifest(backup.files).name)
    manifest = shlex.quote(f"{url}/{sealed_name(SERVER_MANIFEST, sealed)}")
    archives = [file for file in backup.files if file != server_manifest(backup.files)]

    def unpacked(tablespace: Optional[str], into: str, more: str = "") -> List[str]:
        """A line, or a loop over the volumes."""
        names = sorted(file.name for file in archives if file.tablespace == tablespace)
        if len(names) == 1:
            return [f"{_archive(shlex.quote(f'{url}/{names[0]}'), names[0])} | tar -x -p -C {into}{more}"]
        base, _number, ending = names[0].split(".", 2)
        word = f'{shlex.quote(f"{url}/{base}")}."$volume".{ending}'
        return [
            f"for volume in $(seq -f %05.0f {len(names)}); do",
            f"  {_archive(word, names[0])} | tar -x -p -C {into}{more} || exit 1",
            "done",
        ]

    lines = [f"mkdir -p {target} && chmod 700 {target}", *unpacked(None, target, ' --exclude "pg_tblspc/*"')]
    used = [target]
    for space in backup.tablespaces:
        link = _inside(target, f"pg_tblspc/{space.oid}")
        if space.oid not in spaces and not space.in_place:
            continue
        place = link if space.in_place else spaces[space.oid]
        used.append(place)
        lines += [
            f"mkdir -p {place} && chmod 700 {place}",
            *unpacked(space.oid, place),
            *([] if space.in_place else [f"ln -s {place} {link}"]),
        ]
    # If the group may read the files (initdb --allow-group-access), it may enter the directories.
    readable = f"$(find {_inside(target, 'PG_VERSION')} -perm -040)"
    lines.append(f'if [ -n "{readable}" ]; then chmod 750 {" ".join(used)}; fi')
    return [*lines, f"{_opened(manifest, sealed)} > {_inside(target, SERVER_MANIFEST)}"]


def _combine(root: str, chain: Chain) -> List[str]:
    """The lines that unpack every link beside ``PGDATA``, combine them into it, and remove them."""
    last = len(chain) - 1
    outside = [t for t in chain[-1].tablespaces if not t.in_place]
    wanted = [t.oid for t in outside]
    lines = [
        "# Each link of the chain, beside the result: this needs disk space for all of them.",
        'links="$PGDATA.links"',
        *(
            ["# Escape a path for pg_combinebackup.", "escaped() { printf '%s' \"$1\" | sed 's/=/\\\\=/g'; }"]
            if outside
            else []
        ),
    ]
    for number, link in enumerate(chain):
        spaces = {oid: f'"$links/{number}.{oid}"' for oid in wanted}
        here = {*wanted, *(t.oid for t in link.tablespaces if t.in_place)}
        gone = "".join(f" --ignore=pg_tblspc/{t.oid}" for t in link.tablespaces if t.oid not in here)
        lines += _unpack(root, link, f'"$links/{number}"', spaces)
        lines.append(f'{_VERIFY}{gone} "$links/{number}"')
    maps = "".join(f' -T "$(escaped "$links/{last}.{t.oid}")=$(escaped "${_variable(t)}")"' for t in outside)
    links = " ".join(f'"$links/{number}"' for number in range(len(chain)))
    return [*lines, f'pg_combinebackup{maps} -o "$PGDATA" {links}', 'rm -rf "$links"']
