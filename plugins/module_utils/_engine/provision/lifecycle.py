# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle rules of a bucket: those that are compatible with retention, and those that would undermine it. Pure.

Rules have the form of S3's ``PutBucketLifecycleConfiguration``. None of ours removes a current object: a rule can only
see an object's age, not which backups depend on it, which WAL they need, or whether they are held.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ..config.store_options import ARCHIVE_CLASSES

_ABORT_RULE = "lifeboat-abort-stale-uploads"
_VERSIONS_RULE = "lifeboat-expire-old-versions"
Rule = Mapping[str, Any]


def with_abort(found: Optional[Sequence[Rule]], prefix: str, days: int) -> Optional[Sequence[Rule]]:
    """The rules, with one that aborts uploads after so many days; ``found`` itself if one covers ``prefix`` already."""
    ours = {
        "ID": _ABORT_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
    }
    others: List[Rule] = [rule for rule in found or [] if rule.get("ID") != _ABORT_RULE]
    if any(_aborts(rule, prefix) for rule in others) or any(
        _aborts(rule, prefix) and rule["AbortIncompleteMultipartUpload"] == ours["AbortIncompleteMultipartUpload"]
        for rule in found or []
    ):
        return found
    return [*others, ours]


def with_old_versions(found: Optional[Sequence[Rule]], prefix: str, days: int) -> Sequence[Rule]:
    """The rules, with one that removes versions below ``prefix`` that were replaced or deleted so many days ago.

    It also removes delete markers without any version.
    """
    ours = {
        "ID": _VERSIONS_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "NoncurrentVersionExpiration": {"NoncurrentDays": days},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }
    if found and any(_same(rule, ours) for rule in found):
        return found
    return [*(rule for rule in found or [] if rule.get("ID") != _VERSIONS_RULE), ours]


def harms(rules: Optional[Sequence[Rule]], prefix: str) -> List[str]:
    """A sentence for each rule that deletes or freezes current objects below ``prefix`` (ends in ``/`` or is empty)."""
    return [
        f"The lifecycle rule {rule.get('ID') or '(without a name)'!s} {what}{_limits(rule)}."
        for rule in rules or []
        if rule.get("Status") == "Enabled" and _overlaps(_begins(rule), prefix)
        for what in _deeds(rule)
    ]


def _deeds(rule: Rule) -> List[str]:
    expiration: Dict[str, Any] = dict(rule.get("Expiration") or {})
    deeds = []
    if expiration.get("Days") or expiration.get("Date"):
        deeds.append(f"deletes objects {_when(expiration)}")
    deeds += [
        f"moves objects {_when(t)} to {t['StorageClass']}, where they cannot be read immediately"
        for t in rule.get("Transitions") or []
        if t.get("StorageClass") in ARCHIVE_CLASSES
    ]
    return deeds


def _when(action: Mapping[str, Any]) -> str:
    # Zero days are allowed for a transition.
    return f"{action['Days']} days old" if action.get("Days") is not None else f"from {action.get('Date')} on"


def _begins(rule: Rule) -> str:
    """The prefix of a rule. Older rules have it outside the filter."""
    narrowed = rule.get("Filter") or {}
    return str(narrowed.get("Prefix") or (narrowed.get("And") or {}).get("Prefix") or rule.get("Prefix") or "")


def _limits(rule: Rule) -> str:
    """The other criteria by which a rule selects objects, in words."""
    narrowed = rule.get("Filter") or {}
    both = narrowed.get("And") or {}
    tags = [*([narrowed["Tag"]] if narrowed.get("Tag") else []), *(both.get("Tags") or [])]
    words = [f"tagged {tag['Key']}={tag['Value']}" for tag in tags]
    for name, what in (("ObjectSizeGreaterThan", "larger"), ("ObjectSizeLessThan", "smaller")):
        size = narrowed.get(name) if narrowed.get(name) is not None else both.get(name)
        words += [f"{what} than {size} bytes"] if size is not None else []
    return f", those {' and '.join(words)}" if words else ""


def _overlaps(begins: str, prefix: str) -> bool:
    return begins.startswith(prefix) or prefix.startswith(begins)


def _aborts(rule: Rule, prefix: str) -> bool:
    plain = not set(rule.get("Filter") or {}) - {"Prefix"}
    stale = rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation")
    return bool(stale) and rule.get("Status") == "Enabled" and plain and prefix.startswith(_begins(rule))


def _same(rule: Rule, ours: Rule) -> bool:
    kept = {**rule, "Filter": {"Prefix": _begins(rule)}}
    kept.pop("Prefix", None)
    return kept == ours
