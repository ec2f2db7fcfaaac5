# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit trail in real stores: operations are recorded everywhere, and every kind of tampering is detected."""

from __future__ import annotations

import concurrent.futures
import json
import resource
import shutil
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any, Dict, List

import pytest
from lifeboat.audit.event import Event, chain_name, digest, load_event
from lifeboat.audit.scope import Note, record, take_warnings
from lifeboat.base import clock
from lifeboat.config.load import DirectoryOptions, S3Options
from support.installations import Installation
from support.postgres import Site, Sites, restore_arguments
from support.processes import run_program
from support.stores import client_of

pytestmark = pytest.mark.integration

NOTHING = {"full_days": 0, "wal_days": 0, "keep_last": 1, "settle_hours": 0}


@pytest.fixture
def site(newest_postgres: Installation, sites: Sites, s3_options: S3Options, tmp_path: Path) -> Site:
    """A cluster with two repositories, S3 and a directory, and a local audit file."""
    (tmp_path / "cold").mkdir()
    return sites(
        newest_postgres, s3_options, DirectoryOptions(str(tmp_path / "cold")), segment_mb=1,
        options={"retention": NOTHING, "audit": {"file": str(tmp_path / "audit.jsonl"), "syslog": ""}},
    )  # fmt: skip


@pytest.fixture
def trail(site: Site) -> Site:
    """The same with four recorded events: hold and release of two labels of a backup."""
    label = site.backup()["label"]
    site.lifeboat("hold", label, "--reason", "legal hold 7")
    site.lifeboat("hold", label, "--release")
    site.lifeboat("verify")
    return site


def events(site: Site, *arguments: str, **options: Any) -> List[Dict[str, Any]]:
    return list(site.lifeboat("audit", "list", *arguments, **options).data["events"])


def stored(site: Site, repository: int = 1) -> List[Path]:
    """The events in a repository that is a directory, oldest first."""
    return sorted(Path(site.repositories[repository]["path"]).glob("main/audit/*/*/*.json"))


def faults(site: Site) -> List[str]:
    done = site.lifeboat("audit", "verify", status=1).data
    assert not done["intact"]
    return [f["message"] for f in done["faults"]]


def test_a_full_disk_under_the_local_file_is_reported_and_nothing_more(site: Site, tmp_path: Path) -> None:
    """The event is recorded in the stores, and a later one adds it to the file."""
    site.repositories = site.repositories[:1]
    site.write()
    site.cluster.switch_wal()
    file = tmp_path / "audit.jsonl"
    record(site.config, "first", Note())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = file.stat().st_size
    take_warnings()
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 10, limits[1]))
    try:
        written = record(site.config, "backup", Note())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert written is not None and written.durable and not written.local
    (said,) = take_warnings()
    assert said.startswith("the local file (audit.file) has no record of the backup: ") and "File too large" in said
    record(site.config, "third", Note())
    assert take_warnings() == []
    assert [e["what"] for e in events(site)][-2:] == ["backup", "third"]
    assert site.lifeboat("audit", "verify").data["intact"]


def rewrite(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


def the_chain() -> str:
    return chain_name(socket.gethostname(), run_program("id", "-un").strip())


def test_what_is_done_is_on_record_everywhere(site: Site, tmp_path: Path) -> None:
    first = site.backup()["label"]
    second = site.backup()["label"]
    site.lifeboat("hold", first, "--reason", "legal hold 7")
    site.lifeboat("hold", first, "--release")
    site.lifeboat("verify", env={"LIFEBOAT_CONTROLLER": "ops1", "LIFEBOAT_RUN": "run-4711", "SUDO_USER": "anna"})
    clone = site.clone("clone")
    site.lifeboat(*restore_arguments(clone))
    assert site.lifeboat("restore", "--label", "20200101T000000Z-full", "--data-dir", "/nowhere", status=1)
    site.lifeboat("hold", "20200101T000000Z-full", "--reason", "x", status=1)
    site.lifeboat("prune", "--plan", "--allow", "share")
    site.lifeboat("prune", "--allow", "share")

    found = events(site)
    told = [(e["what"], e["result"], e["error_code"], e["objects"]) for e in found]
    assert told == [
        ("backup", "ok", None, [first]),
        ("backup", "ok", None, [second]),
        ("hold", "ok", None, [first]),
        ("release", "ok", None, [first]),
        ("verify", "ok", None, sorted([first, second])),
        ("restore", "ok", None, [second]),
        ("hold", "failed", "backup_missing", ["20200101T000000Z-full"]),
        ("prune", "ok", None, [first]),
    ]
    assert [e["number"] for e in found] == list(range(1, 9))
    who = found[4]["who"]
    assert (who["controller"], who["run"], who["login"]) == ("ops1", "run-4711", "anna")
    assert who["via"] == "lifeboat verify" and who["host"] == socket.gethostname()
    assert found[2]["details"]["reason"] == "legal hold 7"

    # The same bytes in both repositories, the same events in the file.
    (near, far) = (entry_.get("name") for entry_ in site.repositories)
    done = site.lifeboat("audit", "verify").data
    assert done["intact"] and done["events"] == {near: 8, far: 8, str(tmp_path / "audit.jsonl"): 8}
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["what"] for line in lines] == [e["what"] for e in found]
    secret = site.repositories[0]["secret_access_key"]
    assert not any(secret in path.read_text() for path in [*stored(site), tmp_path / "audit.jsonl"])

    # By kind and by time, and for people.
    assert [e["objects"] for e in events(site, "--what", "prune")] == [[first]]
    assert len(events(site, "--since", found[6]["at"])) == 2
    words = run_program(str(site.command), "--config", str(site.config_file), "audit", "list", "--what", "hold")
    assert "failed (backup_missing)" in words and first in words


def test_each_kind_of_tampering_is_named(trail: Site, tmp_path: Path, s3_options: S3Options) -> None:
    chain, paths, file = the_chain(), stored(trail), tmp_path / "audit.jsonl"
    whole, lines = {p: p.read_bytes() for p in paths}, file.read_bytes()

    def again() -> None:
        for path, content in whole.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists() or path.read_bytes() != content:
                path.unlink(missing_ok=True)
                path.write_bytes(content)
        file.write_bytes(lines)
        assert trail.lifeboat("audit", "verify").data["intact"]

    # A bit of one that flipped; then another content with a checksum that is right.
    rewrite(paths[1], whole[paths[1]].replace(b"legal hold 7", b"legal hold 8"))
    assert f"repo1: event 2 of {chain} was changed: it does not match its own checksum" in faults(trail)
    forged = load_event(whole[paths[1]], "it").__class__(**{**vars(load_event(whole[paths[1]], "it")), "objects": ()})
    rewrite(paths[1], forged.record())
    assert f"repo1: event 2 of {chain} was changed: it is not the one that event 3 names as its previous one" in (
        faults(trail)
    )
    again()
    # One in the middle, the first, and the newest ones.
    paths[1].unlink()
    assert faults(trail) == [f"repo1: event 2 of {chain} is missing"]
    again()
    paths[0].unlink()
    assert f"repo1: event 1 of {chain} is missing, and no prune recorded its removal" in faults(trail)
    again()
    paths[3].unlink()
    assert faults(trail) == [f"repo1: event 4 of {chain} is missing at the end; repo0 has it"]
    again()
    # Two that changed places.
    rewrite(paths[1], whole[paths[2]])
    rewrite(paths[2], whole[paths[1]])
    assert f"repo1: event 2 of {chain} was reordered: event 3 of {chain} is in its place" in faults(trail)
    again()
    # The newest one, forged: only another place knows it.
    last = load_event(whole[paths[3]], "it")
    rewrite(paths[3], Event(**{**vars(last), "result": "failed"}).record())
    assert faults(trail) == [f"event 4 of {chain} differs between repo1 and repo0"]
    again()

    # The local file: a line that is gone, lines that changed places, an edited one, a cut end.
    rows = lines.splitlines(keepends=True)
    file.write_bytes(b"".join([rows[0], *rows[2:]]))
    assert faults(trail) == [f"{file}: event 2 of {chain} is missing"]
    file.write_bytes(b"".join([rows[0], rows[2], rows[1], rows[3]]))
    assert f"{file}: event 2 of {chain} was reordered: it comes after event 3" in faults(trail)
    file.write_bytes(lines.replace(b"legal hold 7", b"legal hold 8"))
    assert f"{file}: event 2 of {chain} was changed: it does not match its own checksum" in faults(trail)
    file.write_bytes(b"".join(rows[:2]))
    assert f"{file}: event 4 of {chain} is missing at the end; repo0 has it" in faults(trail)
    again()

    # In the S3 repository, by whoever may delete.
    client = client_of(s3_options, "s3")
    prefix = f"{s3_options.prefix}/main/audit/{chain}/"
    names = sorted(o["Key"] for o in client.list_objects_v2(Bucket=s3_options.bucket, Prefix=prefix)["Contents"])
    client.delete_object(Bucket=s3_options.bucket, Key=names[2])
    assert faults(trail) == [f"repo0: event 3 of {chain} is missing"]
    trail.lifeboat("sync", "--from", "repo1", "--to", "repo0")
    assert trail.lifeboat("audit", "verify").data["intact"]


def test_a_repository_that_is_unreachable_is_reported_and_catches_up(site: Site, tmp_path: Path) -> None:
    label = site.backup()["label"]
    site.repositories[1]["required"] = False
    site.write()
    cold, away = tmp_path / "cold", tmp_path / "away"
    cold.rename(away)
    held = site.lifeboat("hold", label, "--reason", "a trial", status=None)
    # The operation's own business with that repository may fail; what matters here is the note of it.
    assert "lifeboat: repository repo1 has no record of the hold:" in held.stderr
    away.rename(cold)
    assert any("is missing at the end; repo0 has it" in words for words in faults(site))
    site.lifeboat("verify")
    assert [e["details"].get("caught_up") for e in events(site)] == [None, None, {"repo1": 1}]
    assert site.lifeboat("audit", "verify").data["intact"]

    # Without a local file, sync brings it.
    cold.rename(away)
    site.lifeboat("audit", "note", "configuration", "--object", "x", status=None)
    (tmp_path / "audit.jsonl").unlink()
    away.rename(cold)
    assert faults(site)
    site.lifeboat("sync", "--to", "repo1")
    assert site.lifeboat("audit", "verify").data["intact"]


def test_access_to_contents_and_copies_are_on_record(site: Site, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.write_text("kept")
    site.backup()
    site.write(file_sets=[{"name": "notes", "paths": [str(notes)]}])
    (copy,) = site.lifeboat("files", "backup", "notes").data["file_sets"]
    notes.unlink()
    site.lifeboat("files", "restore", "notes", "--plan")
    site.lifeboat("files", "restore", "notes")
    site.lifeboat("files", "restore", "notes", "--label", "none", status=1)
    shutil.rmtree(tmp_path / "cold" / "main" / "files")
    site.lifeboat("sync", "--plan")
    site.lifeboat("sync")
    site.lifeboat("sync")
    name = f"notes/{copy['label']}"
    assert [(e["what"], e["result"], e["error_code"], e["objects"]) for e in events(site)[1:]] == [
        ("files-backup", "ok", None, [name]),
        ("files-restore", "ok", None, [name]),
        ("files-restore", "failed", "backup_missing", ["notes"]),
        ("sync", "ok", None, ["repo1"]),
    ]
    assert events(site)[-1]["details"]["copied"] == {"repo1": 3}


def test_nothing_is_put_below_a_mount_point_without_its_mount(site: Site, tmp_path: Path) -> None:
    label = site.backup()["label"]
    # A server that archives would begin a repository there.
    site.cluster.stop()
    (tmp_path / "cold").rename(tmp_path / "away")
    (tmp_path / "cold").mkdir()
    done = site.lifeboat("audit", "note", "configuration", "--object", "x")
    assert "no record of the configuration: Repository repo1" in done.stderr and not any((tmp_path / "cold").iterdir())
    (tmp_path / "cold").rmdir()
    (tmp_path / "away").rename(tmp_path / "cold")
    site.lifeboat("hold", label, "--reason", "back")
    assert site.lifeboat("audit", "verify").data["intact"] and events(site)[-1]["details"]["caught_up"] == {"repo1": 1}


def test_an_event_that_cannot_be_stored_stops_nothing(site: Site, tmp_path: Path) -> None:
    label = site.backup()["label"]
    for repository in site.repositories[1:]:
        shutil.rmtree(Path(repository["path"]) / "main" / "audit")
        (Path(repository["path"]) / "main" / "audit").write_text("in the way")
    only = site.write(
        site.root / "only.yml", repositories=site.repositories[1:], audit={"file": "/proc/nowhere", "syslog": ""}
    )
    done = site.lifeboat("verify", label, config_file=only)
    assert done.data["intact"]
    assert "the verify is not on record: no repository and no local file (audit.file) accepted it" in done.stderr


def test_the_system_log_gets_every_event(site: Site, tmp_path: Path) -> None:
    site.backup()
    lines = (tmp_path / "audit.jsonl").read_bytes()
    address = str(site.cluster.socket_dir / "log")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(address)
        log.settimeout(30)
        site.write(audit={"file": "", "syslog": address})
        site.lifeboat("audit", "note", "configuration", "--object", "/etc/lifeboat/main.yml", "--detail", "after=ab12")
        words = log.recv(65536).decode()
    assert words.startswith("<86>lifeboat-audit: ")
    data = json.loads(words.split(": ", 1)[1])
    assert (data["what"], data["objects"], data["details"]) == (
        "configuration", ["/etc/lifeboat/main.yml"], {"after": "ab12"},
    )  # fmt: skip
    assert (tmp_path / "audit.jsonl").read_bytes() == lines


def test_hosts_and_processes_that_write_at_once_lose_nothing(trail: Site) -> None:
    def note(number: int) -> None:
        trail.lifeboat("audit", "note", "configuration", "--object", f"file {number}")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(8)))
    assert trail.lifeboat("audit", "verify").data["intact"]
    assert len(events(trail, "--what", "configuration")) == 8
    assert sorted(e["number"] for e in events(trail)) == list(range(1, 13))


def test_retention_keeps_a_year_and_the_chain_knows_where_it_begins(trail: Site, tmp_path: Path) -> None:
    # Four events of more than a year ago, by another host: as if it had been there then.
    before, old = None, clock.now() - timedelta(days=400)
    for number in range(1, 5):
        event = Event("old-host.postgres", number, before, old, "backup", "ok", "main", {"user": "postgres"})
        before = digest(event.record())
        for repository in trail.repositories[1:]:
            path = Path(repository["path"]) / "main" / "audit" / event.chain / f"{old:%Y%m%d}" / f"{number:010d}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(event.record())
    trail.lifeboat("sync", "--from", "repo1", "--to", "repo0")
    assert trail.lifeboat("audit", "verify").data["intact"]
    done = trail.lifeboat("prune", "--allow", "share").data["repositories"]
    for repository in done:
        gone = [r["key"].rsplit("/", 1)[1] for r in repository["removals"] if r["kind"] == "audit"]
        assert gone == [f"{n:010d}.json" for n in (1, 2, 3)]
    assert trail.lifeboat("audit", "verify").data["intact"]
    assert events(trail, "--what", "prune")[-1]["details"]["audit_removed"] == {
        "repo0": {"old-host.postgres": 3}, "repo1": {"old-host.postgres": 3},
    }  # fmt: skip
    # One more is more than the prune told.
    (path,) = Path(trail.repositories[1]["path"]).glob("main/audit/old-host.postgres/*/*.json")
    path.unlink()
    assert any("repo1: event 4 of old-host.postgres is missing" in words for words in faults(trail))
