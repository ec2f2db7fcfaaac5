# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The index of a tar archive: every member with its owner, mode, ACL, attributes and the digest of its content.

Times are not part of it: a file that was only touched, or rewritten with the same content, counts as unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tarfile
import threading
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional

from ..base.errors import ObjectCorrupt, ProcessFailed
from ..records.fields import LABEL, MOST_SMALL, SHA256, Fields, parse_object

_KINDS = {
    tarfile.SYMTYPE: "symlink", tarfile.LNKTYPE: "hardlink", tarfile.DIRTYPE: "directory", tarfile.FIFOTYPE: "fifo",
    tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device",
}  # fmt: skip
_ATTRIBUTES = ("SCHILY.xattr.", "SCHILY.acl.", "RHT.security.")
_CHUNK = 1024 * 1024
# The most bytes of an index: some ten million members.
_MOST_INDEX = 4 * 1024 * 1024 * 1024
_KIND = re.compile(r"(?:file|symlink|hardlink|directory|fifo|device)\Z")
_MODE, _OWNER = re.compile(r"[0-7]{1,8}\Z"), re.compile(r"\d{1,20}:\d{1,20}\Z", re.ASCII)
_HEX = re.compile(r"(?:[0-9a-f]{2})+\Z")


class Indexer:
    """Reads an archive in a thread while it is streamed. Memory: 1 MiB, and about 400 bytes for each member.

    As a context manager it always ends the thread; ``members`` are complete after :meth:`finish`.
    """

    def __init__(self) -> None:
        self.members: List[Dict[str, Any]] = []
        self._trouble: Optional[BaseException] = None
        reader, writer = os.pipe()
        self._writer = os.fdopen(writer, "wb", buffering=0)
        self._thread = threading.Thread(target=self._read, args=(reader,), name="lifeboat-index", daemon=True)
        self._thread.start()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes of the archive."""
        view = memoryview(chunk)
        while view:
            view = view[self._writer.write(view) or 0 :]

    def finish(self) -> List[Dict[str, Any]]:
        """The members, by their paths; ProcessFailed if it is not an archive."""
        self._close()
        if self._trouble is not None:
            raise ProcessFailed(
                f"The archive by tar cannot be read: {self._trouble}.", "Install GNU tar. Nothing was recorded."
            ) from self._trouble
        self.members.sort(key=lambda m: str(m["path"]))
        return self.members

    def __enter__(self) -> Indexer:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._writer.close()
        self._thread.join()

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, "rb") as stream:
            try:
                # Bytes of names that are not UTF-8 are kept: os.fsencode restores them.
                with tarfile.open(fileobj=stream, mode="r|", errors="surrogateescape") as archive:
                    self.members.extend(_member(archive, info) for info in archive)
            except (tarfile.TarError, OSError, ValueError) as exc:
                self._trouble = exc
            # Drain the rest, so that the writer never blocks: tarfile stops before the padding, or at an error.
            while stream.read(_CHUNK):
                pass


def _member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Dict[str, Any]:
    found: Dict[str, Any] = {
        "path": path_of(os.fsencode(info.name)),
        "kind": _KINDS.get(info.type, "file"),
        "mode": f"{info.mode:04o}",
        "owner": f"{info.uid}:{info.gid}",
    }
    if "\\" in found["path"] and _text(info.name) != info.name:
        # A path with escaped bytes is not reversible, so the index has the name itself too.
        found["bytes"] = os.fsencode(info.name.lstrip("/")).hex()
    content = archive.extractfile(info) if info.isreg() else None
    if content is not None:
        digest = hashlib.sha256()
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
        found.update(size=info.size, sha256=digest.hexdigest())
    elif info.issym() or info.islnk():
        found["target"] = _text(info.linkname)
    # tarfile decodes header values in the same way as names.
    attributes = {name: _text(value) for name, value in info.pax_headers.items() if name.startswith(_ATTRIBUTES)}
    if attributes:
        found["attributes"] = attributes
    # A member's headers are not needed again, and there may be a hundred thousand of them.
    archive.members = []  # type: ignore[attr-defined]
    return found


def load_members(chunks: Iterable[bytes], key: str) -> List[Dict[str, Any]]:
    """The lines of a stored index; ObjectCorrupt if one is not a member, or there are more than an index can have."""
    raw = bytearray()
    for chunk in chunks:
        raw += chunk
        if len(raw) > _MOST_INDEX:
            raise ObjectCorrupt(f"{key} has more than {_MOST_INDEX} bytes.", "Restore another copy.", key=key)
    return [_load_member(line, key) for line in bytes(raw).splitlines()]


def _load_member(line: bytes, key: str) -> Dict[str, Any]:
    try:
        fields = Fields(parse_object(line, MOST_SMALL), key)
    except ValueError as exc:
        raise ObjectCorrupt(f"{key} has a line that is not a member: {exc}.", "Restore another copy.", key=key) from exc
    for name in ("path", "target"):
        if name == "path" or fields.has(name):
            fields.lines(name)
    fields.text("kind", _KIND)
    fields.text("mode", _MODE)
    fields.text("owner", _OWNER)
    fields.maybe_text("bytes", _HEX, MOST_SMALL)
    fields.maybe_text("sha256", SHA256)
    fields.maybe_text("copy", LABEL)
    fields.integer("size", default=0)
    fields.listed("looks", ())
    # An ACL is binary: its text may contain any character, even NUL.
    if not all(isinstance(value, str) for value in fields.free("attributes", default={}).values()):
        raise fields.wrong("attributes", "are not texts")
    return dict(fields.data)


def path_of(name: bytes) -> str:
    """The path of a member in the index, given its name in an archive."""
    return "/" + _text(os.fsdecode(name).strip("/"))


def _text(name: str) -> str:
    """The name as valid UTF-8: other bytes are escaped as ``\\xff``, because JSON has no lone surrogates."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def as_lines(members: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """One line of JSON for each member."""
    return (json.dumps(member, sort_keys=True).encode() + b"\n" for member in members)


def digest_of(members: Iterable[Mapping[str, Any]]) -> str:
    """SHA-256 of all lines: the same for the same content, whichever copy has it."""
    digest = hashlib.sha256()
    for line in as_lines({k: v for k, v in member.items() if k not in ("copy", "looks")} for member in members):
        digest.update(line)
    return digest.hexdigest()
