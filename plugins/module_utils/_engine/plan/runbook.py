# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a cluster is recovered by hand, without Lifeboat and without this collection: a text to be printed. Pure."""

from __future__ import annotations

import shlex
import textwrap
from typing import Any, Iterator, List, Mapping, Tuple

from ..records.fields import printable
from .blocks import one_line
from .company import Company, day, newest, read

#: How what a repository has is listed, and what its tool reads its credentials from, by the kind of its store.
_TOOLS = {
    "s3": (
        "aws s3 ls {url}/backups/",
        "export AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=...   # a key that may read; from your vault",
        "awscli",
    ),
    "azure": ("az storage blob list --container-name ... --prefix ...", "az login", "azure-cli"),
    "gcs": ("gcloud storage ls {url}/backups/", "gcloud auth login", "google-cloud-cli"),
    "directory": ("ls {url}/backups/", "# mount it, or go to the host that has it", ""),
}
_WIDTH = 118


def runbook(told: Company, facts: Mapping[str, Any]) -> str:
    """The text for one cluster."""
    name = str(facts["cluster"])
    lines = [
        f"RECOVERY OF CLUSTER {name} BY HAND",
        "",
        *_words(
            "Without Lifeboat and without Ansible: with the store's own tool, zstd, tar and PostgreSQL's programs."
            " Print this text, and keep it with the keys."
        ),
    ]
    backup = newest(facts)
    if backup is None:
        return "\n".join([*lines, "", "No repository has a backup that can be restored.", ""])
    lines += ["", "WHOM TO CALL", "", *_people(facts)]
    lines += ["", "1. MAKE SURE THAT THE OLD SERVER IS OFF", "", *_words(_off(told, name))]
    lines += ["", "2. THE NEW HOST MUST HAVE", "", *_needs(facts, backup)]
    lines += ["", "3. CHOOSE A REPOSITORY, AND RUN ITS SCRIPT", "", *_words(_how(facts))]
    for repository in facts["repositories"]:
        lines += ["", *_repository(name, repository)]
    lines += ["", "4. AFTERWARDS", "", *_after()]
    # A name from a backup may hold what a terminal obeys.
    return "\n".join(printable(line).rstrip() for line in lines) + "\n"


def script_of(text: str, repository: str) -> str:
    """The script of a repository in such a text, as a person copies it."""
    begin, end = _fence(repository)
    return text.split(begin + "\n", 1)[1].split(end + "\n", 1)[0]


def _fence(repository: str) -> Tuple[str, str]:
    return f"#----- begin: repository {repository}", f"#----- end: repository {repository}"


def _words(text: str) -> List[str]:
    return textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _people(facts: Mapping[str, Any]) -> Iterator[str]:
    if not facts["contacts"]:
        yield "Nobody is named: write names and phone numbers here."
    for contact in facts["contacts"]:
        roles = ", ".join(contact["roles"])
        yield f"  {contact['name']} ({roles}): {contact['phone'] or '-'}, {contact['mail'] or '-'}"


def _entries(claimed: Any) -> Mapping[str, Any]:
    """What a record claims as names and values; a record of another shape has none."""
    return claimed if isinstance(claimed, Mapping) else {}


def _off(told: Company, name: str) -> str:
    host = told.primary(name)
    return (
        f"{host['name']} ({host['address']}): cut its power or its network, or revoke its keys. If it comes back and"
        " archives to the same place, it ruins the archive."
    )


def _needs(facts: Mapping[str, Any], backup: Mapping[str, Any]) -> Iterator[str]:
    needs = backup["requirements"]
    by_hand = [r["by_hand"] for r in read(facts) if r["by_hand"]]
    tools = {_TOOLS[r["kind"]][2] for r in facts["repositories"]}
    tools |= {"zstd", "tar"} | ({"age"} if any(b["sealed"] for b in by_hand) else set())
    tools |= {"lz4"} if any(b["lz4"] for b in by_hand) else set()
    yield f"  PostgreSQL {backup['server_version']} (the same major version) with its programs in PATH"
    yield f"  Programs: {', '.join(sorted(filter(None, tools)))}"
    for key, words in (("os", "System"), ("libc", "C library"), ("machine", "Machine")):
        if needs.get(key):
            yield f"  {words}: {one_line(needs[key])}"
    yield f"  Room: {backup['restored_bytes'] / 1e9:.1f} GB for the data, more for WAL and for each link of a chain"
    extensions = _entries(needs.get("extensions"))
    if extensions:
        named = (one_line(f"{name} {version}") for name, version in sorted(extensions.items()))
        yield f"  Extensions: {', '.join(named)}"
    for name, value in sorted(_entries(needs.get("settings")).items()):
        yield f"  {one_line(f'{name} = {value}')}"
    for space in backup["tablespaces"]:
        if not space["in_place"]:
            yield f"  Tablespace {space['oid']}: {space['location']}, empty, or TABLESPACE_{space['oid']}=/another/path"


def _how(facts: Mapping[str, Any]) -> str:
    sealed = any(r["by_hand"] and r["by_hand"]["sealed"] for r in read(facts))
    seal = " IDENTITY=/path/of/the/identity" if sealed else ""
    return (
        "As the user postgres, with the credentials in the environment: save the lines between begin and end as"
        f" by-hand.sh, then PGDATA=/var/lib/postgresql/restored{seal} sh by-hand.sh. It restores the newest backup and"
        " replays WAL to the end of the archive. For an earlier moment add, before the last line,"
        " recovery_target_time = '2026-11-22 14:01:59+00' and recovery_target_action = 'pause' to"
        ' "$PGDATA/postgresql.auto.conf".'
    )


def _repository(cluster: str, repository: Mapping[str, Any]) -> Iterator[str]:
    listing, credentials, _tool = _TOOLS[repository["kind"]]
    yield f"Repository {repository['name']}: {repository['location']}"
    if repository["error"]:
        yield f"  could not be read when this was written: {repository['error']}"
        return
    if not repository["by_hand"]:
        yield "  has no backup that can be restored."
        return
    yield f"  {credentials}"
    if repository["kind"] == "s3" and repository["endpoint"] != "AWS":
        yield f"  export AWS_ENDPOINT_URL={shlex.quote(repository['endpoint'])}"
    if repository["kind"] == "s3" and repository["region"]:
        yield f"  export AWS_DEFAULT_REGION={shlex.quote(repository['region'])}"
    yield "  " + listing.format(url=shlex.quote(f"{repository['location']}/{cluster}")) + "   # what there is"
    yield f"  Backup {repository['by_hand']['label']}, consistent {day(repository['newest']['finished_at'])}:"
    yield ""
    begin, end = _fence(repository["name"])
    yield begin
    yield from repository["by_hand"]["script"].splitlines()
    yield end


def _after() -> Iterator[str]:
    yield "  psql -c 'SELECT pg_is_in_recovery()'       # f: it is open. t: it replays, or paused at the target"
    yield "  psql -c 'SELECT pg_wal_replay_resume()'    # opens one that paused"
    yield "  psql -c 'SELECT * FROM pg_last_committed_xact()'   # the last commit, with track_commit_timestamp"
    yield "  pg_amcheck --all --heapallindexed          # finds damaged tables and indexes"
    yield "  psql -c 'REINDEX DATABASE NAME'            # in each database, if the C library or ICU is another one"
    yield "  Look at the messages of fetch_wal in the log before you trust where recovery ended."
    yield "  Remove restore_command, archive_mode and fetch_wal from the cluster only when it archives to a new place."
    yield "  It is not protected until it is backed up again: install Lifeboat, and run lifeboat.postgres.protect."
