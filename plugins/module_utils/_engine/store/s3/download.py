# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read objects: whole, or a range of one version."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Optional

from ...base.errors import ObjectCorrupt, StoreError
from ..ranges import Fetched
from .client import Connection, back_off
from .errors import S3_FAILURES, translate


def fetch(
    connection: Connection, key: str, first: int = 0, length: Optional[int] = None, etag: str = "", version: str = ""
) -> Fetched:
    """``GetObject`` of a full key, whole or ``length`` bytes from ``first``, of that ETag or version if given.

    botocore retries requests, but not the reading of a body: after a broken body everything is fetched again.
    """
    params: Dict[str, Any] = {"IfMatch": etag} if etag else {}
    if version:
        params["VersionId"] = version
    if length is not None:
        params["Range"] = f"bytes={first}-{first + length - 1}"
    attempt = 0
    while True:
        attempt += 1
        answer = connection.call("get_object", key, **params)
        if etag and answer["ETag"] != etag:
            # Some stores ignore If-Match.
            answer["Body"].close()
            raise ObjectCorrupt(
                f"{key!r} in bucket {connection.place.bucket!r} was replaced while it was read.",
                "Find out who else writes to the repository.",
                store=connection.place.endpoint, key=key, operation="GetObject",
            )  # fmt: skip
        size = _object_size(answer, length)
        if size is None:
            answer["Body"].close()
            raise StoreError(
                f"The store at {connection.place.endpoint} ignored the range {params['Range']} of {key!r}.",
                "Use a store that supports HTTP ranges.",
                store=connection.place.endpoint, key=key, operation="GetObject",
            )  # fmt: skip
        try:
            with contextlib.closing(answer["Body"]) as body:
                return Fetched(body.read(), answer["ETag"], size)
        except S3_FAILURES as exc:
            if attempt >= connection.options.max_attempts:
                raise translate(exc, connection.place, "GetObject", key) from exc
        back_off(attempt)


def _object_size(answer: Dict[str, Any], length: Optional[int]) -> Optional[int]:
    """The whole object's size; None if a range was requested and the response is longer."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    if length is None or total.isdigit():
        return int(total or answer["ContentLength"])
    return int(answer["ContentLength"]) if answer["ContentLength"] <= length else None
