# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operations of the S3 store, and the errors that they must raise."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

import pytest
from lifeboat.base.errors import (
    StoreError,
)
from lifeboat.config.load import S3Options
from lifeboat.store import open_store
from lifeboat.store.protocol import Store

from .stores import PART

MIB = 1024 * 1024


def uploads(raw: Any, options: S3Options) -> List[str]:
    """The unfinished multipart uploads below the test's prefix."""
    found = raw.list_multipart_uploads(Bucket=options.bucket, Prefix=options.prefix).get("Uploads", [])
    return [upload["Key"] for upload in found]


def long_put(store: Store, key: str, data: bytes) -> None:
    with store.writer(key) as writer:
        writer.write(data)


OPERATIONS: Dict[str, Tuple[str, Callable[[Store], object]]] = {
    "put": ("PutObject", lambda s: s.put("k/x", b"1")),
    "writer": ("CreateMultipartUpload", lambda s: long_put(s, "k/x", bytes(PART + 1))),
    "get": ("GetObject", lambda s: s.get("k/x")),
    "read": ("GetObject", lambda s: list(s.read("k/x"))),
    "head": ("HeadObject|GetObject", lambda s: s.head("k/x")),
    "list": ("ListObjectsV2", lambda s: list(s.list("k/"))),
    "list_names": ("ListObjectsV2", lambda s: list(s.list_names("k/"))),
    "delete": ("DeleteObjects", lambda s: s.delete(["k/x"])),
}
each_operation = pytest.mark.parametrize("name", list(OPERATIONS))


def refused(options: S3Options, name: str, kind: type[StoreError]) -> StoreError:
    """Run the operation, expect that error, and check that it is helpful and contains no secret."""
    operation, use = OPERATIONS[name]
    with pytest.raises(kind) as caught:
        use(open_store(options))
    error = caught.value
    assert type(error) is kind
    assert error.details["operation"] in operation.split("|")
    text = f"{error}\n{error!r}\n{error.as_dict()}\n{error.__cause__!r}"
    for part in (error.details["operation"], options.bucket, options.endpoint_url):
        assert str(part) in error.message
    if name in ("put", "writer", "get", "read", "head"):
        assert "k/x" in error.message and error.details["key"].endswith("k/x")
    assert error.hint
    assert options.secret_access_key not in text
    return error
