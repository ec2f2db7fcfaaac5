# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged blocks, deleted rows and an attack with the writer's keys, in this order, walked as docs/incident.md says.

The commands are those that the page prints. The acknowledged commits are recorded outside of the hosts, so that losses
are counted and not estimated. The scenarios rebuild and regions walk the other two disasters.
"""

from __future__ import annotations

import json
import re
import struct
import time
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterator, Tuple

import boto3
import pytest
import yaml
from botocore.exceptions import ClientError
from steps import CHECKOUT, HOSTS, PREFIX, Playbooks, lifeboat, podman, sql, wait_archived
from testinfra.host import Host
from walked import Ledger, Page, note, on_the_controller, on_the_host

pytestmark = pytest.mark.timeout(3600)
PAGE, ROWS = 8192, 3000
# What the server has in memory would hide what is on the disk.
EVICT = (
    "SELECT count(pg_buffercache_evict(bufferid)) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('{}')"
)


@pytest.fixture(scope="module")
def shop(machines: Dict[str, Host], playbook: Playbooks) -> Iterator[Ledger]:
    """A shop in use, with a backup."""
    host = machines["db13"]
    sql(host, "DROP DATABASE IF EXISTS shop WITH (FORCE)")
    sql(host, "CREATE DATABASE shop")
    for statement in (
        "CREATE EXTENSION amcheck", "CREATE EXTENSION pg_buffercache", "CREATE EXTENSION pageinspect",
        "CREATE TABLE ledger (id bigserial PRIMARY KEY)",
        "CREATE TABLE orders (id int PRIMARY KEY, note text) WITH (autovacuum_enabled = off)",
        f"INSERT INTO orders SELECT n, repeat('x', 100) FROM generate_series(1, {ROWS}) n",
        "CREATE INDEX by_note ON orders (note, id)",
        f"CREATE TABLE customers AS SELECT n AS id FROM generate_series(1, {ROWS}) n",
        "VACUUM (FREEZE) orders",
    ):  # fmt: skip
        sql(host, statement, "shop")
    lifeboat(host, "shop", "backup --type full")
    made = Ledger(playbook)
    yield made


def flip(host: Host, relation: str, offset: int, value: bytes) -> None:
    """Change bytes of a relation's file below the running server, as a disk does it."""
    sql(host, "CHECKPOINT", "shop")
    path = sql(host, f"SELECT current_setting('data_directory') || '/' || pg_relation_filepath('{relation}')", "shop")
    write = "import sys; f = open(sys.argv[1], 'r+b'); f.seek(int(sys.argv[2])); f.write(bytes.fromhex(sys.argv[3]))"
    host.check_output("python3 -c %s %s %s %s", write, path, str(offset), value.hex())
    sql(host, EVICT.format(relation), "shop")


def spoil(host: Host, relation: str, block: int) -> None:
    """Turn a page's first line pointer (storage/itemid.h) into nonsense, with a valid checksum, as bad memory does."""
    page = bytearray.fromhex(sql(host, f"SELECT encode(get_raw_page('{relation}', {block}), 'hex')", "shop"))
    page[24:28] = struct.pack("<I", 8191 | 1 << 15 | 100 << 17)
    checksum = int(sql(host, f"SELECT page_checksum('\\x{page.hex()}', {block})", "shop"))
    flip(host, relation, block * PAGE + 24, bytes(page[24:28]))
    flip(host, relation, block * PAGE + 8, struct.pack("<h", checksum))


def restored(host: Host, table: str) -> str:
    """The one table that was restored beside this one."""
    name = sql(host, f"SELECT tablename FROM pg_tables WHERE tablename LIKE '{table}\\_2%'", "shop")
    assert name and "\n" not in name
    return name


def test_damage_is_looked_for_on_the_host_of_the_cluster_only(playbook: Playbooks) -> None:
    told = playbook("dr", "empty13", "-e", "dr_amcheck=true", status=2)
    assert "empty13 does not answer, or has no /etc/lifeboat/shop.yml" in told


def rehearse(playbook: Playbooks, host: str, *words: str, status: int = 0) -> Tuple[str, Dict[str, Any]]:
    """What the playbook wrote, and its report, if it came to one."""
    directory = playbook.reports / "rehearsals"
    told = playbook(
        "dr_rehearse", host, "-e", "rehearsal_of=db13", "-e", f"rehearsal_report_dir={directory}", *words, status=status
    )
    report = directory / host / "report.json"
    return told, json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}


def nothing_is_left(host: Host) -> None:
    """Of a rehearsal: neither servers nor jobs, configurations or data."""
    assert not host.process.filter(comm="postgres") and not host.run("ls /var/lib/postgresql/*/*").stdout
    assert not host.run("ls /etc/lifeboat /var/lib/lifeboat").stdout.replace("/etc/lifeboat:", "").replace(
        "/var/lib/lifeboat:", ""
    ).strip()
    assert not host.check_output("systemctl list-timers --all --no-legend 'lifeboat-*'")
    assert not host.check_output("systemctl list-units --no-legend --state=active 'lifeboat-*'")


def test_a_rehearsal_is_not_aimed_at_production(playbook: Playbooks) -> None:
    told, _ = rehearse(playbook, "db13", "-e", "rehearsal_of=empty13", status=2)
    assert "db13 is in use: it has /" in told
    told, _ = rehearse(playbook, "empty13", "-e", '{"rehearsal_repository": "{{ hosts_primary }}"}', status=2)
    assert "primary is a repository of a host in the inventory" in told


def test_the_loss_of_the_server_is_rehearsed_on_an_empty_host(
    machines: Dict[str, Host], playbook: Playbooks, shop: Ledger
) -> None:
    host, empty = machines["db13"], machines["empty13"]
    began, committed = time.time(), len(shop.acknowledged)
    _, report = rehearse(playbook, "empty13", "-e", "rehearsal_keep=true")
    assert report["result"] == "passed" and report["rto"]["seconds"] > 0 and report["rpo"]["seconds"] < 600
    assert [phase["name"] for phase in report["phases"]][-1] == "re-arm"
    note(playbook, "rehearsal of the loss of a server", began, way="dr_rehearse", lost=0, acknowledged=committed)
    # Production has not noticed: its commits go on, on its only timeline.
    assert len(shop.acknowledged) > committed
    assert {window["timeline"] for window in lifeboat(host, "shop", "list")["windows"]} == {1}
    assert sql(empty, "SHOW max_logical_replication_workers") == "0"
    # The next one removes what was kept. One that fails half-way leaves nothing either, and its evidence says so.
    early = ("-e", "rehearsal_scenario=deletion", "-e", "rehearsal_moment=2001-01-01T00:00:00Z")
    told, report = rehearse(playbook, "empty13", *early, status=2)
    assert "The rehearsal FAILED" in told and report["result"] == "failed" and report["failure"]["message"]
    nothing_is_left(empty)
    kept = lifeboat(host, "shop", "drill list")["drills"]
    assert sorted((d["scenario"], d["passed"]) for d in kept) == [("deletion", False), ("server", True)]


@pytest.mark.parametrize("disaster", ["deletion", "ransomware", "corruption"])
def test_other_disasters_are_rehearsed_with_the_keys_of_the_reader(
    machines: Dict[str, Host], playbook: Playbooks, shop: Ledger, disaster: str
) -> None:
    host, began = machines["db13"], time.time()
    wait_archived(host)
    moment = datetime.now(timezone.utc) - timedelta(seconds=1)
    wait_archived(host)
    words = ["-e", '{"rehearsal_credentials": {"primary": "{{ hosts_keys_made.reader }}"}}']
    if disaster != "corruption":
        words += ["-e", f"rehearsal_moment={moment.isoformat()}"]
    _, report = rehearse(playbook, "empty13", "-e", f"rehearsal_scenario={disaster}", *words)
    assert report["result"] == "passed" and report["rto"]["seconds"] > 0
    nothing_is_left(machines["empty13"])
    note(playbook, f"rehearsal of {disaster}", began, way="dr_rehearse", lost=0, acknowledged=len(shop.acknowledged))
    kept = lifeboat(host, "shop", "drill list")["drills"]
    assert (disaster, True) in {(d["scenario"], d["passed"]) for d in kept}


def test_a_damaged_index_is_built_again(machines: Dict[str, Host], playbook: Playbooks, shop: Ledger) -> None:
    host = machines["db13"]
    flip(host, "by_note", PAGE + 4000, b"\xff\x00\xff")
    asked = "SET enable_seqscan = off; SELECT count(*) FROM orders WHERE note > ''"
    words = "runuser -u postgres -- psql -XqAt --dbname=shop --command=%s"
    assert "invalid page in block 1" in host.run(words, asked).stderr
    began, known = time.time(), shop.acknowledged
    page = Page(playbook, "db13", "dr_disaster=corruption", "dr_amcheck=true")
    assert page.damaged[0].startswith('index "public"."by_note" of shop, blocks 1: '), page.text
    assert page.best == "Build the damaged indexes again"
    on_the_host("db13", page.command)
    sql(host, "INSERT INTO orders VALUES (0, 'after')", "shop")
    note(
        playbook,
        "corruption of an index",
        began,
        way=page.best,
        lost=len(shop.lost(host, known)),
        acknowledged=len(known),
    )
    assert not shop.lost(host, known)
    assert sql(host, asked, "shop") == str(ROWS + 1)
    sql(host, "DELETE FROM orders WHERE id = 0", "shop")


def test_a_damaged_table_comes_back_from_the_newest_sound_backup(
    machines: Dict[str, Host], playbook: Playbooks, shop: Ledger
) -> None:
    """One block was damaged in memory and is in the newest backup, another one on the disk."""
    host = machines["db13"]
    (*_earlier, sound) = [backup["label"] for backup in lifeboat(host, "shop", "list")["backups"]]
    spoil(host, "orders", 3)
    damaged = lifeboat(host, "shop", "backup --type full")["backup"]["label"]
    flip(host, "orders", 5 * PAGE + 4000, b"\xff\x00\xff")
    began, known = time.time(), shop.acknowledged
    page = Page(playbook, "db13", "dr_disaster=corruption", "dr_amcheck=true", "dr_bisect=true")
    assert f"restore test of {damaged}: DAMAGED" in page.text and f"restore test of {sound}: sound" in page.text
    assert page.damaged[0].startswith('table "public"."orders" of shop, blocks 3, 5: '), page.text
    assert "beside the live one" in page.best and page.command.endswith(f"--latest --label {sound}")
    on_the_host("db13", page.command)
    beside = restored(host, "orders")
    assert sql(host, f"SELECT count(*), sum(id) FROM {beside}", "shop") == f"{ROWS}|{ROWS * (ROWS + 1) // 2}"
    exchange = (
        f"BEGIN; DROP TABLE orders; ALTER TABLE {beside} RENAME TO orders; INSERT INTO orders VALUES (0, 'x'); COMMIT"
    )
    sql(host, exchange, "shop")
    note(
        playbook,
        "corruption of a table",
        began,
        way=page.best,
        lost=len(shop.lost(host, known)),
        acknowledged=len(known),
    )
    assert not shop.lost(host, known)
    lifeboat(host, "shop", "backup --type full")
    again = Page(playbook, "db13", "dr_disaster=corruption", "dr_amcheck=true")
    assert again.damaged[0] == "nothing that pg_amcheck finds" or "not checked" in again.damaged[0], again.text


def test_deleted_rows_and_a_dropped_table_come_back(
    machines: Dict[str, Host], playbook: Playbooks, shop: Ledger
) -> None:
    host = machines["db13"]
    sql(host, "DELETE FROM orders WHERE id % 3 = 0 AND id > 0", "shop")
    sql(host, "DROP TABLE customers", "shop")
    began, known = time.time(), shop.acknowledged
    wrong = ["dr_disaster=deletion", "dr_database=shop", "dr_tables=public.orders,public.customers"]
    page = Page(playbook, "db13", *wrong)
    wait_archived(host)
    told = on_the_host("db13", page.first(r"(sudo -u postgres lifeboat .*table search .*)$"))
    deleted = re.search(r"^(\S+\.\d+Z) +public\.orders +deleted +(\d+) ", told, re.MULTILINE)
    assert deleted is not None and deleted.group(2) == str(ROWS // 3), told
    assert re.search(r"public\.customers +dropped", told), told
    moment = (datetime.fromisoformat(deleted.group(1)) - timedelta(milliseconds=1)).isoformat()
    page = Page(playbook, "db13", *wrong, "dr_target=time", f"dr_target_value={moment}")
    assert "beside the live one" in page.best
    assert "Restore beside the live server, and take shop out of it" in page.text
    assert "Restore in place to " in page.text
    on_the_host("db13", page.command)
    orders, customers = restored(host, "orders"), restored(host, "customers")
    back = (
        f"BEGIN; INSERT INTO orders SELECT * FROM {orders} ON CONFLICT DO NOTHING; DROP TABLE {orders};"
        f" ALTER TABLE {customers} RENAME TO customers; INSERT INTO customers VALUES (0); COMMIT"
    )
    sql(host, back, "shop")
    note(playbook, "deletion", began, way=page.best, lost=len(shop.lost(host, known)), acknowledged=len(known))
    counts = sql(host, "SELECT (SELECT count(*) FROM orders WHERE id > 0), (SELECT count(*) FROM customers)", "shop")
    assert counts == f"{ROWS}|{ROWS + 1}" and not shop.lost(host, known)


def writers_store(host: Host) -> Any:
    """A client with the keys that an intruder finds on the host."""
    options = yaml.safe_load(host.file("/etc/lifeboat/shop.yml").content_string)["repositories"][0]
    return boto3.client(
        "s3", endpoint_url=options["endpoint_url"], region_name=options["region"], verify=str(HOSTS / "ca.pem"),
        aws_access_key_id=options["access_key_id"], aws_secret_access_key=options["secret_access_key"],
    )  # fmt: skip


def attack(intruder: Any, label: str) -> str:
    """Overwrite every record of a backup, and add one, since nothing can be deleted; the key of the added one."""
    pages = intruder.get_paginator("list_objects_v2").paginate(Bucket="vault", Prefix="production/shop/")
    keys = [item["Key"] for page in pages for item in page["Contents"]]
    record = next(key for key in keys if label in key and key.endswith("manifest.json"))
    version = intruder.head_object(Bucket="vault", Key=record)["VersionId"]
    for given in ({}, {"VersionId": version}):
        with pytest.raises(ClientError, match="AccessDenied"):
            intruder.delete_object(Bucket="vault", Key=record, **given)
    forged = record.replace(label, f"29{label[2:]}")
    intruder.put_object(Bucket="vault", Key=forged, Body=intruder.get_object(Bucket="vault", Key=record)["Body"].read())
    for key in keys:
        if key.endswith("manifest.json"):
            intruder.put_object(Bucket="vault", Key=key, Body=b"encrypted, pay")
    return forged


def revoke(machines: Dict[str, Host]) -> None:
    """Delete the writer's access keys, and forget them."""
    identities = HOSTS / f"{PREFIX}-identities" / "primary.json"
    known = json.loads(identities.read_text(encoding="utf-8"))
    keys = json.loads((HOSTS / "store.json").read_text(encoding="utf-8"))
    iam = boto3.client(
        "iam", endpoint_url=f"https://{address(machines['s3'])}:8333", region_name="us-east-1",
        verify=str(HOSTS / "ca.pem"), aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
    )  # fmt: skip
    revoked = known.pop("writer")["access_key_id"]
    users = [user["UserName"] for user in iam.list_users()["Users"] if user["UserName"].endswith("-writer")]
    for user in users:
        iam.delete_access_key(UserName=user, AccessKeyId=revoked)
    assert users
    identities.write_text(json.dumps(known), encoding="utf-8")


def address(host: Host) -> str:
    return str(host.check_output("hostname -I")).split()[0]


def test_an_attack_with_the_keys_of_the_writer_ends_on_clean_ground(
    machines: Dict[str, Host], playbook: Playbooks, shop: Ledger
) -> None:
    host, clean = machines["db13"], machines["empty13"]
    # What is proposed is a minute before the attack: until then the archive has to have something newer than a backup.
    committed = len(shop.acknowledged)
    wait_archived(host)
    time.sleep(75)
    wait_archived(host)
    known = shop.acknowledged
    assert len(known) > committed
    intruder = writers_store(host)
    label = lifeboat(host, "shop", "list")["backups"][-1]["label"]
    forged = attack(intruder, label)
    began = time.time()
    podman("stop", "--time", "0", f"{PREFIX}-db13")
    revoke(machines)
    with pytest.raises(ClientError):
        intruder.put_object(Bucket="vault", Key=forged, Body=b"again")
    # From here on the inventory has the rescuer's keys, because the writer may not read older versions.
    wrong = ["dr_disaster=ransomware", "dr_new_host=empty13"]
    page = Page(playbook, "db13", *wrong)
    moment = page.first(r"the first object put over another one is .*: --as-of (\S+)\. ")
    page = Page(playbook, "db13", *wrong, f"dr_as_of={moment}")
    assert page.best == "Rebuild on clean ground, as of a time before the attack"
    on_the_controller(playbook, page.command)
    # Before anything is committed there: the sequence gives numbers again that were lost.
    lost = shop.lost(clean, known)
    sql(clean, "INSERT INTO ledger DEFAULT VALUES", "shop")
    note(playbook, "ransomware", began, way=page.best, lost=len(lost), acknowledged=len(known))
    # Whole transactions from the end on, and nothing in between.
    assert not lost or min(lost) > max(known - lost)
    assert sql(clean, "SELECT count(*) FROM orders WHERE id > 0", "shop") == str(ROWS)
    # A new writer for the new host.
    playbook(str(CHECKOUT / "molecule" / "disasters" / "identities.yml"), "empty13")
    playbook.role("agent", "empty13")
    wait_archived(clean)
    told = clean.check_output("runuser -u postgres -- lifeboat --config /etc/lifeboat/shop.yml list")
    assert any(forged.split("/")[-2] in line and "DAMAGED" in line for line in told.splitlines()), told
    assert label not in {held["label"] for held in lifeboat(clean, "shop", "list")["backups"] if held["restorable"]}
