# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a company for its plan, as the role and ``dr_plan_info`` give them, with what a test chooses."""

from __future__ import annotations

from typing import Any, Dict, List

from lifeboat.plan.company import Company, company

DAY = "2026-11-22T02:00:00Z"


def a_repository(name: str = "frankfurt", **more: Any) -> Dict[str, Any]:
    label = "20261122T020000Z-full"
    return {
        "name": name,
        "kind": "s3",
        "location": f"s3://company-backups-{name}/pg",
        "endpoint": "AWS",
        "region": "eu-central-1",
        "required": True,
        "lock": "compliance",
        "versions": True,
        "error": None,
        "backups": 12,
        "newest": {
            "label": label,
            "type": "full",
            "chain": [label],
            "finished_at": DAY,
            "stored_bytes": 41_000_000_000,
            "restored_bytes": 180_000_000_000,
            "server_version": "17.2",
            "verified_at": DAY,
            "sealed": True,
            "recipients": ["age1x"],
            "requirements": {
                "os": "Debian GNU/Linux 12 (bookworm)",
                "libc": "glibc 2.36",
                "machine": "x86_64",
                "extensions": {"pg_stat_statements": "1.11", "postgis": "3.5"},
                "settings": {"max_connections": "200", "shared_preload_libraries": "pg_stat_statements"},
            },
            "tablespaces": [{"oid": "16400", "location": "/srv/tablespaces/history", "in_place": False}],
        },
        "restorable": True,
        "window_start": "2026-11-15T02:00:00Z",
        "locked_until": "2026-12-22T02:00:00Z",
        "verified_at": "2026-11-01T05:12:00Z",
        "damaged": 0,
        "restore_test": {"label": label, "at": DAY, "proven": True, "seconds": 1440.0, "seconds_at": DAY},
        "file_sets": {"config": DAY},
        "dumps": {"shop": DAY},
        "drills": [a_drill("server_deletion"), a_drill("region", passed=False, rto=5400.0)],
        "by_hand": {"label": label, "script": 'set -eu\nfetch() { aws s3 cp "$1" -; }', "sealed": True, "lz4": False},
        **more,
    }


def a_drill(scenario: str, **more: Any) -> Dict[str, Any]:
    return {
        "label": f"20261101T100000Z-{scenario}",
        "scenario": scenario,
        "passed": True,
        "stored_at": "2026-11-01T10:00:00Z",
        "rto": 1800.0,
        "rpo": 4.0,
        "lost_transactions": 7,
        "objective_rto": 3600.0,
        "objective_rpo": 60.0,
        "checks": 30,
        "checks_passed": 30,
        **more,
    }


def some_facts(cluster: str = "shop", **more: Any) -> Dict[str, Any]:
    people = [
        {
            "name": "Ann Example",
            "roles": ["commander"],
            "phone": "+49 69 1234567",
            "mail": "ann@example.com",
            "order": 1,
        },
        {"name": "Bob Example", "roles": ["operations"], "phone": "+49 69 2345678", "mail": None, "order": 2},
    ]
    ladder = [("commander", 0.0), ("operations", 900.0), ("manager", 1800.0), ("cto", 3600.0)]
    return {
        "cluster": cluster,
        "objectives": {"rto": 3600.0, "rpo": 60.0, "window": 7.0, "max_backup_age": 93600.0},
        "retention": {
            "full_days": 30.0, "wal_days": 7.0, "dump_days": 30.0, "drill_days": 1095.0, "keep_last": 2,
            "daily": 0, "weekly": 4, "monthly": 12, "yearly": 0,
        },
        "priority": "P1",
        "priorities": {"P1": 3600.0, "P2": 14400.0, "P3": 86400.0, "P4": 259200.0},
        "update_interval": 1800.0,
        "escalate": True,
        "removes": True,
        "ladder": [{"after": after, "roles": [role]} for role, after in ladder],
        "contacts": people,
        "signed": True,
        "leader": None,
        "next_drill": {"scenario": "ransomware", "due": "2027-01-31T10:00:00Z"},
        "repositories": [a_repository(), a_repository("dublin", region="eu-west-1", required=False)],
        "incidents": [
            {
                "incident": "20261120T140159Z-1a2b3c4d", "title": "a table was dropped", "priority": "P2",
                "open": False, "began_at": "2026-11-20T14:01:59Z", "closed_at": "2026-11-20T15:00:00Z",
                "actions": [
                    {"action": "0a1b2c3d", "text": "revoke DROP", "owner": "Bob", "due": "2026-12-24", "done": False},
                ],
            }
        ],
        **more,
    }  # fmt: skip


def a_host(name: str = "shop-db1", *clusters: str, **more: Any) -> Dict[str, Any]:
    jobs: List[Dict[str, Any]] = [
        {"title": "full backup", "when": "0 2 * * *", "runs": True, "reason": ""},
        {"title": "verification", "when": "0 5 1 * *", "runs": True, "reason": ""},
        {"title": "dumps of databases", "when": "0 3 * * *", "runs": False, "reason": "lifeboat_dumps is not set"},
    ]
    names = clusters or ("shop",)
    return {
        "name": name,
        "address": "203.0.113.10",
        "site": "",
        "clusters": [{"name": each, "version": 17} for each in names],
        "jobs": dict.fromkeys(names, jobs),
        "file_sets": [{"name": "config", "kind": "config", "paths": ["/etc/nginx/sites-available/shop"]}],
        "application": {"name": "shop"},
        "stream": True,
        **more,
    }


def a_company(*facts: Dict[str, Any], hosts: Any = None) -> Company:
    known = facts or (some_facts(),)
    given = hosts or [a_host("shop-db1", *(str(each["cluster"]) for each in known))]
    return company("Disaster recovery plan", ["inventory.yml"], given, known)
