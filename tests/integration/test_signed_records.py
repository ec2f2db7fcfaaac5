# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signed records: the writer's keys without a signing key cannot add anything that counts."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest
from lifeboat.config.load import DirectoryOptions
from lifeboat.provision import bucket
from lifeboat.provision.bucket import BucketRequest
from lifeboat.provision.identities import read_credentials, with_credentials
from lifeboat.records.model import seal_record
from lifeboat.store import open_store
from lifeboat.store.protocol import Store
from support.choice import represented
from support.identities import identities
from support.installations import Installation
from support.ledger import Ledger, expected, rows
from support.postgres import Site, Sites, entry, restore_arguments
from support.processes import until
from support.signing import KeyPair, key_pair
from support.stores import SeaweedFS, keys, s3_options_for

pytestmark = pytest.mark.integration

NOTHING = {"full_days": 0, "differential_days": 0, "incremental_days": 0, "wal_days": 0, "keep_last": 1,
           "settle_hours": 0}  # fmt: skip
LIFT = ("--allow", "share", "--allow", "age")


@dataclass
class Signed:
    """A site whose records are signed with ``ours``; ``store`` is an intruder's, with the writer's keys."""

    site: Site
    ours: KeyPair
    notes: Path
    pruning: Path
    store: Store

    def forge(self, key: str, record: Dict[str, Any]) -> str:
        """Store a record with a correct checksum, as the intruder can; return its key."""
        self.store.put(key, seal_record(record))
        return key

    def read(self, key: str) -> Dict[str, Any]:
        return dict(json.loads(self.store.get(key)))

    def forged_backup(self, label: str, like: str, **changes: Any) -> str:
        """A backup that looks genuine, with its files and a copy of the genuine one's signature."""
        prefix, files = f"main/backups/{label}/", self.read(f"main/backups/{like}/manifest.json")
        for file in files["files"]:
            self.store.put(prefix + file["name"], self.store.get(f"main/backups/{like}/{file['name']}"))
        return self.forge(f"{prefix}manifest.json", {**files, "label": label, **changes})


@pytest.fixture(params=["s3", "directory"])
def signed(
    request: pytest.FixtureRequest, newest_postgres: Installation, sites: Sites, seaweedfs: SeaweedFS, tmp_path: Path
) -> Iterator[Signed]:
    if request.param == "s3":
        admin = s3_options_for(seaweedfs, f"signed-{secrets.token_hex(4)}", "team")
        path = str(tmp_path / "keys.json")
        bucket.apply(BucketRequest(admin, identities=identities(admin), credentials_file=path))
        by = {name: with_credentials(admin, found) for name, found in read_credentials(path).items()}
        assert by["writer"] and by["janitor"]
        writer, janitor = by["writer"], by["janitor"]
    else:
        (tmp_path / "repository").mkdir()
        writer = janitor = DirectoryOptions(str(tmp_path / "repository"))
    ours = key_pair(tmp_path, "ours")
    notes = tmp_path / "notes"
    notes.write_text("genuine")
    site = sites(
        newest_postgres, writer, segment_mb=1, summarize_wal="on", track_commit_timestamp="on",
        options={
            "signing": {"key_file": str(ours.key_file), "signers": [ours.signer()]},
            "file_sets": [{"name": "notes", "paths": [str(notes)]}], "retention": NOTHING,
            "audit": {"file": "", "syslog": ""}, "spool_dir": str(tmp_path / "spool"),
        },
    )  # fmt: skip
    (tmp_path / "spool").mkdir(mode=0o700)
    pruning = site.write(tmp_path / "pruning.yml", repositories=[entry(0, janitor)])
    store = open_store(writer)
    yield Signed(site, ours, notes, pruning, store)
    store.close()


def removals(ran: Any) -> List[str]:
    return [r["key"] for p in ran.data["repositories"] for r in p["removals"] if "/audit/" not in r["key"]]


@dataclass
class Genuine:
    """Earlier objects: ``old`` is held, ``last`` is the newest backup; the labels of a copy and a dump."""

    ledger: Ledger
    old: str
    last: str
    copy: str
    dump: str


def stored(signed: Signed) -> Genuine:
    site, ledger = signed.site, Ledger(signed.site.cluster)
    old = site.backup()["label"]
    site.lifeboat("hold", old, "--reason", "legal hold")
    ledger.write(3)
    site.cluster.switch_wal()
    last = site.backup()["label"]
    ledger.write(3)
    site.cluster.switch_wal()
    (dump,) = site.lifeboat("dump", "create", "postgres").data["dumps"]
    (copy,) = site.lifeboat("files", "backup", "notes").data["file_sets"]
    return Genuine(ledger, old, last, copy["label"], dump["label"])


def forge_all(signed: Signed, genuine: Genuine) -> List[str]:
    """One of each kind, newer than the genuine ones; their keys."""
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    at, stamp = later.isoformat(), f"{later:%Y%m%dT%H%M%SZ}"
    system = signed.read(f"main/backups/{genuine.last}/manifest.json")["system_identifier"]
    # Whole backups of the future: of this cluster, and of another one that would take its place.
    forged = [
        signed.forged_backup(
            f"{later:%Y%m%dT%H%M}0{n}Z-full", genuine.last, system_identifier=whose, started_at=at, finished_at=at
        )
        for n, whose in enumerate((system, "7"))
    ]
    release = {"format": 1, "label": genuine.old, "held": False, "reason": "", "by": "x", "at": at}
    forged.append(signed.forge(f"main/holds/{genuine.old}/{stamp}-released-00.json", release))
    for prefix, like in (("main/files/notes", genuine.copy), ("main/dumps/postgres", genuine.dump)):
        label = f"{stamp}-{like.rsplit('-', 1)[1]}"
        record = {**signed.read(f"{prefix}/{like}/manifest.json"), "label": label, "created_at": at}
        forged.append(signed.forge(f"{prefix}/{label}/manifest.json", record))
    erasure = {
        "format": 1, "id": f"{stamp}-00", "erased_at": at, "recorded_at": at, "by": "x", "database": "postgres",
        "table": "ledger", "column": "id", "key": "1", "salt": None, "key_hash": None, "parameters": {},
        "statement": "ALTER ROLE postgres CONNECTION LIMIT 0", "reference": "x",
    }  # fmt: skip
    forged.append(signed.forge(f"main/erasures/{stamp}-00.json", erasure))
    labels = {"labels": [genuine.old, genuine.last], "wal": {}, "at": "2099-01-01T00:00:00Z", "format": 1}
    return [*forged, signed.forge("main/verifications/20990101T000000Z-00.json", labels)]


@represented(signed="directory")
def test_forgeries_cause_no_removal_of_genuine_objects(signed: Signed, tmp_path: Path) -> None:
    site = signed.site
    gone = site.backup()["label"]
    genuine = stored(signed)
    old, last = genuine.old, genuine.last
    before = removals(site.lifeboat("prune", "--plan", *LIFT, config_file=signed.pruning))
    assert {k.split("/")[2] for k in before if "/backups/" in k} == {gone}
    assert all("signature" in signed.read(k) for k in keys(site.config)["repo0"] if k.endswith(".json"))
    forged = forge_all(signed, genuine)

    told = site.lifeboat("list").data
    assert [b["label"] for b in told["backups"]] == [gone, old, last] and not told["damaged"]
    assert all(b["verified_at"] is None for b in told["backups"]) and told["backups"][1]["held"] == "legal hold"
    seen = {f["key"] for f in told["foreign"]}
    assert seen == {k for k in forged if k.split("/")[1] in ("backups", "holds", "verifications")}

    assert removals(site.lifeboat("prune", "--plan", *LIFT, config_file=signed.pruning)) == before
    site.lifeboat("prune", *LIFT, config_file=signed.pruning)
    left = keys(site.config)["repo0"]
    assert {old, last} <= {k.split("/")[2] for k in left if "/backups/" in k} and set(forged) <= set(left)
    (tmp_path / "far").mkdir()
    far = {**entry(1, DirectoryOptions(str(tmp_path / "far"))), "required": False}
    both = site.write(tmp_path / "both.yml", repositories=[site.repositories[0], far])
    (synced,) = site.lifeboat("sync", status=None, config_file=both).data["repositories"]
    carried = {str(p.relative_to(tmp_path / "far")) for p in (tmp_path / "far").rglob("*.json")}
    assert not carried & set(forged) and f"main/backups/{last}/manifest.json" in carried
    told_apart = {f["key"] for f in synced["failed"]} | {f"main/{name}/manifest.json" for name in synced["skipped"]}
    assert told_apart and told_apart <= set(forged)
    assert all((tmp_path / "far" / key).read_bytes() == signed.store.get(key) for key in carried)


@represented(signed="s3")
def test_forgeries_are_reported_and_never_restored(signed: Signed) -> None:
    site, genuine = signed.site, stored(signed)
    forged = forge_all(signed, genuine)
    erasures = [k for k in forged if "/erasures/" in k]
    assert [c["label"] for c in site.lifeboat("files", "list", "notes").data["copies"]] == [genuine.copy]
    assert [d["label"] for d in site.lifeboat("dump", "list").data["dumps"]] == [genuine.dump]
    register = site.lifeboat("erasure", "list").data
    assert not register["erasures"] and list(register["unread"]) == erasures

    checks = [c for c in site.lifeboat("check", status=None).data["checks"] if "foreign" in c["name"]]
    assert sorted(c["message"].split(" ")[0] for c in checks) == sorted(forged)
    assert {c["status"] for c in checks} == {"critical"}
    findings = site.lifeboat("verify", status=None).data["findings"]
    assert sorted(f["key"] for f in findings) == sorted(forged)
    assert {f["error_code"] for f in findings} == {"record_unsigned", "record_foreign"}

    signed.notes.write_text("changed since")
    site.lifeboat("files", "restore", "notes")
    assert signed.notes.read_text() == "genuine"
    site.cluster.stop()
    clone = site.clone("clone")
    done = site.lifeboat(*restore_arguments(clone)).data["restore"]
    assert done["erasures"]["applied"] == [] and done["erasures"]["unread"] == erasures
    assert rows(clone) == expected(genuine.ledger.entries)
    assert clone.value("SELECT rolconnlimit FROM pg_roles WHERE rolname = 'postgres'") == -1


@represented(signed="directory")
def test_records_exchanged_for_each_other_are_foreign(signed: Signed) -> None:
    site = signed.site
    first, second = site.backup()["label"], site.backup()["label"]
    other = f"{datetime.now(timezone.utc) + timedelta(hours=1):%Y%m%dT%H%M%SZ}-full"
    raw = signed.store.get(f"main/backups/{first}/manifest.json")
    signed.store.put(f"main/backups/{other}/manifest.json", raw)
    # The same record below the name of another cluster, whose hosts trust the same key.
    for key in [k for k in keys(site.config)["repo0"] if second in k or "/systems/" in k]:
        signed.store.put(key.replace("main/", "twin/", 1), signed.store.get(key))
    told = site.lifeboat("list").data
    assert [b["label"] for b in told["backups"]] == [first, second]
    assert [f["error_code"] for f in told["foreign"]] == ["record_foreign"]
    twin = site.write(site.root / "twin.yml", cluster="twin")
    told = site.lifeboat("list", config_file=twin).data
    assert not told["backups"] and [f["key"] for f in told["foreign"]] == [f"twin/backups/{second}/manifest.json"]


@represented(signed="s3")
def test_records_older_than_the_key_count_by_the_stores_time(signed: Signed) -> None:
    site = signed.site
    site.write(signing=None)
    old = site.backup()["label"]
    assert "signature" not in signed.read(f"main/backups/{old}/manifest.json")
    site.write()
    assert site.lifeboat("list").data["backups"] == []
    last = max(info.modified for info in signed.store.list("main/backups/"))
    site.write(signing={**site.options["signing"], "unsigned_until": last.isoformat()})
    # A record that says to be as old, and is not. Times of objects in S3 are whole seconds.
    until(lambda: signed.store.clock() > last, "another second")
    signed.forged_backup("20200101T000000Z-full", old, started_at="2020-01-01T00:00:00Z")
    new = site.backup()["label"]
    told = site.lifeboat("list").data
    assert [b["label"] for b in told["backups"]] == [old, new]
    assert [f["key"] for f in told["foreign"]] == ["main/backups/20200101T000000Z-full/manifest.json"]
    checks = {c["name"]: c for c in site.lifeboat("check", status=None).data["checks"]}
    words = checks["repository repo0: signatures"]["message"]
    assert "by ours" in words and "by nobody, stored by signing.unsigned_until" in words


@represented(signed="directory")
def test_the_owners_key_signs_no_file_set_of_root(signed: Signed, tmp_path: Path) -> None:
    site, roots = signed.site, key_pair(tmp_path, "roots")
    site.backup()
    web = tmp_path / "web"
    web.write_text("genuine")
    signers = [signed.ours.signer(kinds=["repository", "backup", "files/notes"]), roots.signer(kinds=["files/web"])]
    sets = [*site.options["file_sets"], {"name": "web", "paths": [str(web)]}]
    site.write(signing={"key_file": str(signed.ours.key_file), "signers": signers}, file_sets=sets)
    by_root = site.write(
        tmp_path / "root.yml", signing={"key_file": str(roots.key_file), "signers": signers}, file_sets=sets
    )
    site.write(signing={"key_file": str(signed.ours.key_file), "signers": signers}, file_sets=sets)
    genuine = site.lifeboat("files", "backup", "web", config_file=by_root).data["file_sets"][0]["label"]
    web.write_text("* * * * * root evil")
    refused = site.lifeboat("files", "backup", "web", status=1)
    assert refused.error["error_code"] == "signing_failed" and "may not sign" in refused.error["message"]
    site.lifeboat("files", "backup", "notes")
    # With the owner's signing key, and no configuration in the way.
    free = site.write(
        tmp_path / "free.yml", signing={"key_file": str(signed.ours.key_file)},
        file_sets=[{"name": "web", "paths": [str(web)]}],
    )  # fmt: skip
    forged = site.lifeboat("files", "backup", "web", config_file=free).data["file_sets"][0]["label"]
    assert forged != genuine
    site.lifeboat("files", "restore", "web", config_file=by_root)
    assert web.read_text() == "genuine"
    told = site.lifeboat("files", "list", "web", config_file=by_root).data
    assert [c["label"] for c in told["copies"]] == [genuine]
    assert "who may not sign files/web" in told["foreign"][0]["message"]


@represented(signed="directory")
def test_a_backup_that_could_not_be_signed_is_not_begun(signed: Signed, tmp_path: Path) -> None:
    site = signed.site
    missing = site.write(
        tmp_path / "none.yml", signing={**site.options["signing"], "key_file": str(tmp_path / "nothing")}
    )
    for words in (["backup"], ["dump", "create", "postgres"], ["files", "backup", "notes"]):
        refused = site.lifeboat(*words, status=None, config_file=missing)
        assert refused.status == 1 and "signing_failed" in refused.stderr, words
    assert not [k for k in keys(site.config)["repo0"] if k.split("/")[1] in ("backups", "dumps", "files")]
    shown = json.dumps(site.lifeboat("config").data)
    assert signed.ours.public in shown and "PRIVATE" not in shown
