# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognizing a key is the reverse of building it; every other key is foreign."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifeboat.repository.kinds import FOREIGN, Kind, kind_of
from lifeboat.repository.layout import Layout, archive_name, sealed_name
from support.records import moment

LAYOUT = Layout("main")
LABEL, SYSTEM, NAME = "20261122T020000Z-full", "7412345678901234567", "00000001000000020000000A"
COPY = "20261122T020000Z-files"


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("compression", ["zstd", "lz4", "none"])
@pytest.mark.parametrize("tablespace", [None, "16385"])
def test_archives_of_a_backup(sealed: bool, compression: str, tablespace: str) -> None:
    name = sealed_name(archive_name(tablespace, compression), sealed)
    assert kind_of("main", LAYOUT.backup(LABEL, name)) == Kind("backup", LABEL, name)


def test_every_other_key_of_ours() -> None:
    wal = LAYOUT.wal(SYSTEM, NAME)
    for key, kind in {
        LAYOUT.manifest(LABEL): Kind("backup", LABEL, "manifest.json", record=True),
        LAYOUT.file_set("config", COPY, "data.tar.zst.age"): Kind("files", COPY, "config"),
        LAYOUT.file_set("config", COPY, "manifest.json"): Kind("files", COPY, "config", record=True),
        LAYOUT.verification(moment(0), "0a1b2c3d"): Kind("verification"),
        LAYOUT.restore_test(moment(0), "0a1b2c3d"): Kind("report"),
        wal: Kind("wal", SYSTEM, NAME, segment=True),
        f"{wal}.age": Kind("wal", SYSTEM, NAME, segment=True),
        LAYOUT.wal(SYSTEM, f"{NAME}.partial"): Kind("wal", SYSTEM, NAME, piece=True),
        LAYOUT.wal(SYSTEM, f"{NAME}.00000028.backup"): Kind("wal", SYSTEM, NAME),
        LAYOUT.wal_acknowledged(SYSTEM, NAME): Kind("wal", SYSTEM, NAME, mark=True),
        LAYOUT.wal_piece(SYSTEM, NAME, 0, 8192): Kind("wal", SYSTEM, NAME, piece=True),
        LAYOUT.wal_digest(SYSTEM, NAME): Kind("wal", SYSTEM, NAME),
        LAYOUT.wal(SYSTEM, "00000002.history"): Kind("history", SYSTEM),
        LAYOUT.lease("restores", "0123456789ab", "begun"): Kind("lease", "0123456789ab", "restores"),
        LAYOUT.lease("writes", "0123456789ab", "held-000001"): Kind("lease", "0123456789ab", "writes"),
        LAYOUT.hold(LABEL, moment(0), "0a1b2c3d"): Kind("hold", LABEL),
        # As older versions spelled a release.
        LAYOUT.hold(LABEL, moment(0), "0a1b2c3d").replace("-held-", "-released-"): Kind("hold", LABEL),
        LAYOUT.release(LABEL, moment(0), "0a1b2c3d"): Kind("release", LABEL),
        LAYOUT.audit_event("db-1.postgres", moment(0), 17): Kind("audit", "db-1.postgres", "20261122/0000000017"),
        LAYOUT.erasure(moment(0), "0a1b2c3d"): Kind("erasure"),
        LAYOUT.epoch(SYSTEM, 26): Kind("epoch", SYSTEM, "0000001A"),
        f"{LAYOUT.drills}20261122T020000Z-server/report.json": Kind("drill", "20261122T020000Z-server", "report.json"),
        f"{LAYOUT.drills}20261122T020000Z-server/manifest.json": Kind(
            "drill", "20261122T020000Z-server", "manifest.json", record=True
        ),
        LAYOUT.incident_event("20261122T020000Z-db1", 7): Kind("incident", "20261122T020000Z-db1", "000007"),
        LAYOUT.diverged(SYSTEM, f"{LABEL[:16]}-0a1b", NAME): Kind("diverged", SYSTEM, f"{LABEL[:16]}-0a1b"),
        LAYOUT.diverged(SYSTEM, f"{LABEL[:16]}-0a1b", "commits.tsv") + ".age": Kind(
            "diverged", SYSTEM, f"{LABEL[:16]}-0a1b"
        ),
        LAYOUT.diverged(SYSTEM, f"{LABEL[:16]}-0a1b", "diverged.json"): Kind(
            "diverged", SYSTEM, f"{LABEL[:16]}-0a1b", record=True
        ),
        LAYOUT.damaged(moment(0), "0a1b2c3d", "repair.json"): Kind("damaged", "20261122T020000Z-0a1b2c3d"),
        LAYOUT.damaged(moment(0), "0a1b2c3d", "object"): Kind("damaged", "20261122T020000Z-0a1b2c3d"),
        LAYOUT.repository: Kind("core"),
        LAYOUT.system(SYSTEM): Kind("core"),
    }.items():
        assert kind_of("main", key) == kind, key


@pytest.mark.parametrize(
    "key",
    [
        f"{LAYOUT.repository}/x",
        LAYOUT.hold(LABEL, moment(0), "0a1b2c3d").replace("held", "kept"),
        f"{LAYOUT.holds}{LABEL}/x.json",
        f"{LAYOUT.restore_tests}x.json",
        f"{LAYOUT.restore_tests}99999999T999999Z-0a1b2c3d.json",
        f"{LAYOUT.verifications}x/20261122T020000Z-0a1b2c3d.json",
        LAYOUT.file_set("config", "L", "manifest.json"),
        LAYOUT.manifest("99999999T999999Z-full"),
        f"{LAYOUT.audit}db1.postgres/20261122/17.json",
        f"{LAYOUT.audit}../20261122/0000000017.json",
        f"{LAYOUT.erasures}notes.json",
        f"{LAYOUT.epochs(SYSTEM)}0000001a.json",
        f"{LAYOUT.epochs(SYSTEM)}00000000.json",
        f"{LAYOUT.epochs('main')}00000001.json",
        f"{LAYOUT.incidents('20261122T020000Z-db1')}7.json",
        f"{LAYOUT.incidents('20261122T020000Z-db1')}000000.json",
        f"{LAYOUT.incidents('99999999T999999Z-db1')}000001.json",
        f"{LAYOUT.incidents()}notes/000001.json",
        LAYOUT.damaged(moment(0), "0a1b2c3d", "notes.txt"),
        f"{LAYOUT.drills}20261122T020000Z-server/notes.txt",
        f"{LAYOUT.drills}20261122T020000Z-Server/report.json",
        f"{LAYOUT.drills}20261122T020000Z-a/b/report.json",
        f"{LAYOUT.drills}99999999T999999Z-server/report.json",
        LAYOUT.diverged(SYSTEM, f"{LABEL[:16]}-0a1b", "notes.txt"),
        LAYOUT.diverged(SYSTEM, "99999999T999999Z-0a1b", NAME),
        f"{LAYOUT.backups}{LABEL}/notes.txt",
        f"{LAYOUT.backups}{LABEL}/manifest.json.bak",
        f"{LAYOUT.backups}{LABEL}/more/manifest.json",
        f"{LAYOUT.backups}20261122/manifest.json",
        # A segment below another log's or timeline's directory is not where Lifeboat puts it.
        f"{LAYOUT.wal_log(SYSTEM, 1, 3)}{NAME}.zst",
        f"{LAYOUT.wal_log(SYSTEM, 2, 2)}{NAME}.zst",
        f"{LAYOUT.wal_log(SYSTEM, 1, 2)}{NAME}.gz",
        f"{LAYOUT.wal_log(SYSTEM, 1, 2)}{NAME}",
        f"{LAYOUT.wal_digest(SYSTEM, NAME)}.zst",
        f"{LAYOUT.wal_log(SYSTEM, 1, 2)}{NAME}.zst\n",
        "maintenance/backups/x",
        f"other/{LAYOUT.manifest(LABEL)}",
    ],
)
def test_foreign_keys(key: str) -> None:
    assert kind_of("main", key) == FOREIGN


@given(st.text(alphabet="main/backupswl0123456789ABCDEF.-Tzst", max_size=80))
def test_any_key_has_a_kind(key: str) -> None:
    assert kind_of("main", key).name in {"backup", "files", "wal", "history", "hold", "core", "lease", "foreign"}
