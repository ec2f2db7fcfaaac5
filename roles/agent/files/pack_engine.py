# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pack_engine.py ENGINE MAIN ARCHIVE: pack the engine as the package lifeboat, with the same bytes from every checkout.

Prints a digest of all names and contents, which becomes the name of the engine's directory. A file's modification
time is derived from its content, because Python detects stale bytecode by the source's time and size.
"""

import gzip
import hashlib
import io
import os
import sys
import tarfile

_YEAR_2001, _SPAN = 978307200, 2**28


def _entry(name, data=None):
    entry = tarfile.TarInfo(name)
    entry.uname = entry.gname = "root"
    entry.mtime = _YEAR_2001
    if data is None:
        entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    else:
        entry.size, entry.mode = len(data), 0o644
        entry.mtime += int.from_bytes(hashlib.sha256(data).digest()[:4], "big") % _SPAN
    return entry


def _sources(engine, main):
    yield "__main__.py", main
    for directory, names, files in os.walk(engine):
        names[:] = sorted(name for name in names if name != "__pycache__")
        relative = os.path.relpath(directory, engine)
        below = "lifeboat" if relative == "." else f"lifeboat/{relative}"
        yield below, None
        for name in sorted(files):
            if name.endswith(".py"):
                yield f"{below}/{name}", os.path.join(directory, name)


def main():
    engine, main_file, archive = sys.argv[1:]
    digest = hashlib.sha256()
    with open(archive, "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for name, path in _sources(engine, main_file):
                if path is None:
                    tar.addfile(_entry(name))
                    continue
                with open(path, "rb") as stream:
                    data = stream.read()
                tar.addfile(_entry(name, data), io.BytesIO(data))
                digest.update(f"{name}\0{len(data)}\0".encode() + data)
    sys.stdout.write(digest.hexdigest()[:32])


main()
