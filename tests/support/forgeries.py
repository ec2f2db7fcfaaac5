# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects that somebody with the writer's keys can put beside a real backup: none may count or stop a command."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, List

from lifeboat.records.model import BackupManifest, seal_record
from lifeboat.repository.catalog import load_catalog
from lifeboat.repository.labels import make_label
from lifeboat.repository.repository import Repository

DEEP = b'{"format": 1, "x": ' + b"[" * 200_000
FUTURE = datetime(2099, 1, 1, tzinfo=timezone.utc)


@dataclass
class Forged:
    """What was put: ``backups`` by label (set apart as damaged), ``lacking`` labels without files, ``keys`` else."""

    backups: List[str] = field(default_factory=list)
    lacking: List[str] = field(default_factory=list)
    keys: List[str] = field(default_factory=list)


def forge(repository: Repository, chain: str) -> Forged:
    """Put all of it beside the newest backup, whose audit trail has the ``chain``."""
    store, layout, done = repository.store, repository.layout, Forged()
    real = load_catalog(repository).newest()
    now = datetime.now(timezone.utc).replace(microsecond=0)
    system = real.system_identifier

    def put(key: str, data: Any) -> str:
        store.put(key, data if isinstance(data, bytes) else seal_record(data))
        return key

    def backup(begin: datetime, change: Dict[str, Any], label: str = "") -> str:
        """A newer full backup, as plausible as possible, except for the ``change``."""
        label = label or make_label(begin, "full")
        whole: BackupManifest = replace(
            real, label=label, started_at=begin, finished_at=begin + timedelta(seconds=5), parent=None
        )
        for file in real.files:
            put(layout.backup(label, file.name), store.get(layout.backup(real.label, file.name)))
        put(layout.manifest(label), {**whole.as_dict(), **change})
        return label

    changes: List[Dict[str, Any]] = [
        {"label": real.label},
        {"label": 7},
        {"cluster": "other"},
        {"type": "incremental"},
        {"segment_size": 0},
        {"files": []},
        {"finished_at": "2999-01-01T00:00:00Z"},
        {"finished_at": "2099-01-01T00:00:00Z"},
        {"finished_at": "9999-12-31T23:59:59Z"},
        {"started_at": "2026-11-22T02:00:00"},
        {"system_identifier": "1"},
        {"start_lsn": "0/0", "stop_lsn": "FFFFFFFF/FFFFFFFF"},
        {"stop_lsn": "0/1"},
        {"timeline": 0},
        {"files": [{**file, "name": f"../{file['name']}"} for file in real.as_dict()["files"]]},
        {"contents": {"shop": 7}},
        {"parent": make_label(now - timedelta(days=2), "full")},
    ]
    # Older and newer than the real one, so that the last of a list is not the only one that is tried.
    # No real backup of the test begins in these seconds.
    done.backups += [
        backup(now + (1 if n % 2 else -1) * timedelta(minutes=10, seconds=n), change)
        for n, change in enumerate(changes)
    ]
    own = make_label(now - timedelta(days=3), "incremental")
    done.backups.append(backup(now - timedelta(days=3), {"type": "incremental", "parent": own}, own))
    done.backups.append(backup(FUTURE, {}))
    for n, content in enumerate((DEEP, b"{}", b"\xff" * 100, b"9" * 100_000, b" " * 17_000_000)):
        label = make_label(now - timedelta(days=10 + n), "full")
        put(layout.manifest(label), content)
        done.backups.append(label)
    label = make_label(now - timedelta(days=20), "full")
    begin = now - timedelta(days=20)
    put(layout.manifest(label), replace(real, label=label, started_at=begin, finished_at=begin).as_dict())
    done.lacking.append(label)

    span = {"first": "000000010000000000000000", "last": "00000001FFFFFFFF000000FF", "segment_size": real.segment_size}
    report = {"format": 1, "label": real.label, "ended_at": "2099-01-01T00:00:00Z", "proven": False}
    verified = {"format": 1, "at": "2099-01-01T00:00:00Z", "labels": [real.label], "wal": {system: [span]}}
    released = {"format": 1, "label": real.label, "held": False, "reason": "", "by": "", "at": "2099-01-01T00:00:00Z"}
    done.keys += [
        put(layout.wal(system, "00000001FFFFFFFF000000FF"), b"x"),
        put(layout.wal(system, "FFFFFFFF.history"), b"1\t0/1000000\tforged\n"),
        put(layout.verification(FUTURE, "aa"), verified),
        put(layout.verification(now, "ab"), verified),
        put(layout.verification(now, "ac"), DEEP),
        put(layout.restore_test(FUTURE, "aa"), report),
        put(layout.restore_test(now, "ab"), DEEP),
        put(layout.hold(real.label, FUTURE, "aa").replace("-held-", "-released-"), released),
        put(layout.hold(real.label, now, "ab").replace("-held-", "-released-"), DEEP),
        put(layout.backup(real.label, "16385.tar.zst"), b"x"),
        put(f"{layout.backups}notes.txt", b"x"),
        put(f"{layout.backups}99999999T999999Z-full/manifest.json", DEEP),
        put(f"{layout.holds}{real.label}/x.json", DEEP),
    ]
    for number in (9_999_999_999, 9_999_999_998, 5_000_000):
        put(layout.audit_event(chain, now, number), DEEP)
    return done
