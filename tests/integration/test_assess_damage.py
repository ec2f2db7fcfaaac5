# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks that are flipped under a real server: found, named, and mended by the smallest way that is marked."""

from __future__ import annotations

import shlex
import struct
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Sequence

import pytest
from lifeboat.config.load import DirectoryOptions
from support.installations import Installation
from support.postgres import Site, Sites
from support.processes import alive, until

pytestmark = pytest.mark.integration
PAGE = 8192
CORRUPT = ("assess", "--disaster", "corruption")


@pytest.fixture(scope="module")
def shop(newest_postgres: Installation, module_sites: Sites, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A cluster with checksums, a table of many pages with two indexes, and a backup that a restore test proved."""
    made = module_sites(
        newest_postgres, DirectoryOptions(str(tmp_path_factory.mktemp("store"))), segment_mb=1, fresh=True,
        autovacuum="off",
    )  # fmt: skip
    sql = made.cluster.execute
    if not made.cluster.rows("SELECT 1 FROM pg_available_extensions WHERE name = 'amcheck'"):
        pytest.skip("this PostgreSQL has no amcheck")
    sql("CREATE DATABASE shop")
    sql(
        "CREATE EXTENSION amcheck",
        'CREATE TABLE "Orders" (id int PRIMARY KEY, note text)',
        "INSERT INTO \"Orders\" SELECT n, repeat('x', 100) FROM generate_series(1, 3000) n",
        'CREATE INDEX "by;note" ON "Orders" (note, id)',
        "CHECKPOINT",
        dbname="shop",
    )
    made.backup()
    made.cluster.switch_wal()
    made.lifeboat("verify", "--restore")
    return made


def damage(site: Site, relation: str, blocks: Sequence[int], database: str = "shop") -> None:
    """Flip a byte of each of these blocks, as a disk does it, while the server is down."""
    site.cluster.execute("CHECKPOINT", dbname=database)
    where = site.cluster.value("SELECT pg_relation_filepath(%s::regclass)", relation, dbname=database)
    path = site.cluster.data_dir / str(where)
    site.cluster.stop()
    with open(path, "r+b") as stream:
        for block in blocks:
            stream.seek(block * PAGE + 4000)
            byte = stream.read(1)
            stream.seek(block * PAGE + 4000)
            stream.write(bytes([byte[0] ^ 0x20]))
    site.cluster.start()


def assessed(site: Site, *words: str) -> Dict[str, Any]:
    return dict(site.lifeboat(*CORRUPT, *words).data)


def test_a_look_that_was_not_asked_for_reads_nothing_and_no_guess_is_marked(shop: Site) -> None:
    found = assessed(shop)
    assert found["damages"] is None and any("--amcheck" in step for step in found["first"])
    ways = {way["name"]: way for way in found["ways"]}
    assert not ways["reindex"]["possible"] and not ways["table_beside"]["possible"]
    assert assessed(shop, "--amcheck")["damages"]["relations"] == []


def test_a_damaged_index_is_named_and_built_again_by_the_command_of_the_page(shop: Site) -> None:
    damage(shop, '"by;note"', [1])
    found = assessed(shop, "--amcheck")
    (relation,) = found["damages"]["relations"]
    assert (relation["database"], relation["relation"], relation["kind"], relation["blocks"]) == (
        "shop", '"public"."by;note"', "index", [1],
    )  # fmt: skip
    # Databases without the extension are said not to have been checked; nothing is installed in them.
    assert "postgres" in found["damages"]["unread"]
    assert found["best"] == "reindex"
    words = shlex.split(found["command"])
    assert words[:4] == ["sudo", "-u", "postgres", "env"]
    psql = str(shop.cluster.installation.program("psql"))
    run = [psql if word == "psql" else word for word in words[3:]]
    done = subprocess.run([*run, "--username=postgres"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert assessed(shop, "--amcheck")["damages"]["relations"] == []


def test_damaged_blocks_of_a_table_are_all_named_and_the_table_comes_back_from_a_proven_backup(shop: Site) -> None:
    damage(shop, '"Orders"', [2, 5, 6])
    found = assessed(shop, "--amcheck")
    relations = {relation["relation"]: relation for relation in found["damages"]["relations"]}
    table = relations['"public"."Orders"']
    assert (table["kind"], table["blocks"]) == ("table", [2, 5, 6])
    assert found["best"] == "table_beside"
    ways = {way["name"]: way for way in found["ways"]}
    assert ways["reindex"]["conditions"][0]["reason"] == "No index is damaged."
    with pytest.raises(Exception, match="invalid page in block 2"):
        shop.cluster.value('SELECT count(note) FROM "Orders"', dbname="shop")
    words = shlex.split(found["command"])
    done = shop.lifeboat(*words[6:]).data["restored"]
    assert list(done["rows"].values()) == [3000]
    (name,) = done["rows"]
    assert shop.cluster.value(f"SELECT sum(id) FROM {name}", dbname="shop") == 3000 * 3001 // 2


def test_a_look_that_takes_too_long_is_named_and_leaves_no_program_behind(shop: Site, tmp_path: Path) -> None:
    slow = tmp_path / "bin"
    slow.mkdir()
    for program in Path(str(shop.cluster.installation.program("psql"))).parent.iterdir():
        (slow / program.name).symlink_to(program)
    (slow / "pg_amcheck").unlink()
    (slow / "pg_amcheck").write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 600\n")
    (slow / "pg_amcheck").chmod(0o755)
    config = shop.write(tmp_path / "slow.yml", bin_dir=str(slow))
    found = shop.lifeboat(*CORRUPT, "--amcheck", "--within", "6", config_file=config).data
    assert "the look for damage" in found["silent"] and found["damages"] is None and found["ways"]
    pid = int((tmp_path / "pid").read_text())
    # A zombie is left to init.
    until(lambda: not alive(pid), "the program's end")


def test_the_newest_sound_backup_is_found_by_restore_tests_and_the_table_comes_back_from_it(
    newest_postgres: Installation, sites: Sites, tmp_path: Path
) -> None:
    """Without checksums a base backup takes the damage along, so that the newest backup is not the one to use."""
    site = sites(newest_postgres, DirectoryOptions(str(tmp_path / "store")), segment_mb=1, fresh=True, autovacuum="off")
    (tmp_path / "store").mkdir(exist_ok=True)
    sql = site.cluster.execute
    sql("CREATE DATABASE shop")
    sql(
        "CREATE EXTENSION amcheck",
        "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 3000) n",
        "VACUUM FREEZE orders",
        dbname="shop",
    )
    sound = site.backup()["label"]
    sql("CHECKPOINT", dbname="shop")
    where = site.cluster.data_dir / str(site.cluster.value("SELECT pg_relation_filepath('orders')", dbname="shop"))
    site.cluster.stop()
    subprocess.run(
        [str(newest_postgres.program("pg_checksums")), "--disable", "-D", str(site.cluster.data_dir)], check=True,
        capture_output=True,
    )  # fmt: skip
    with open(where, "r+b") as stream:
        # The first line pointer of a page: PostgreSQL reads the page, and finds nonsense in it (storage/itemid.h: the
        # offset, LP_NORMAL, the length).
        stream.seek(3 * PAGE + 24)
        stream.write(struct.pack("<I", 8191 | 1 << 15 | 100 << 17))
        # The header of a later page (pd_lower): this one cannot be read at all, and hides the other.
        stream.seek(7 * PAGE + 12)
        stream.write(b"\xff\xff")
    site.cluster.start()
    damaged = []
    for _ in range(2):
        time.sleep(1.1)
        damaged.append(site.backup()["label"])
    found = site.lifeboat(*CORRUPT, "--bisect", "--amcheck").data
    assert found["tested"] == [[damaged[1], False], [sound, True], [damaged[0], False]] and found["sound"] == sound
    (relation,) = found["damages"]["relations"]
    assert (relation["relation"], relation["blocks"]) == ('"public"."orders"', [3, 7])
    assert found["best"] == "table_beside" and found["command"].endswith(f"--latest --label {sound}")
    done = site.lifeboat(*shlex.split(found["command"])[6:]).data["restored"]
    assert list(done["rows"].values()) == [3000]
    # What is known is not tested again.
    assert site.lifeboat(*CORRUPT, "--bisect").data["tested"] == []
