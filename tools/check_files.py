#!/usr/bin/env python3
# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the engine changes files by their paths: only in base/, and where root never is or nobody else can write.

A call that names a directory by its descriptor (dir_fd and the like) is none of these.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Dict, Iterator, Optional, Set, Tuple

ENGINE = Path(__file__).resolve().parent.parent / "plugins/module_utils/_engine"
#: Where root reads what others place, so that open() to read is none of theirs either.
READERS = ("audit/", "gitcopy/", "logs/", "store/", "wal/")
# All that makes, opens, changes or removes something by a path.
FORBIDDEN: Dict[str, Set[str]] = {
    "os": {
        "chmod", "chown", "lchmod", "lchown", "link", "makedirs", "mkdir", "mkfifo", "mknod", "open", "remove",
        "removedirs", "removexattr", "rename", "renames", "replace", "rmdir", "setxattr", "symlink", "truncate",
        "unlink", "utime", "fchmod", "fchown",
    },
    "shutil": {"chown", "copy", "copy2", "copyfile", "copymode", "copystat", "copytree", "move", "rmtree"},
}  # fmt: skip
PATHS = {
    "chmod",
    "hardlink_to",
    "mkdir",
    "rename",
    "rmdir",
    "symlink_to",
    "touch",
    "unlink",
    "write_bytes",
    "write_text",
}
DESCRIPTORS = {"dir_fd", "src_dir_fd", "dst_dir_fd"}

NOT_ROOT = "a restore refuses root (postgres.server.refuse_root)"
TEMPORARY = "in a directory that tempfile has just made, private"
#: A file of the engine, or a directory of them: why it may.
ALLOWED: Dict[str, str] = {
    "base/": "the one place that decides",
    "restore/": NOT_ROOT,
    "postgres/recovery.py": NOT_ROOT,
    "postgres/server.py": NOT_ROOT,
    "scratch/place.py": NOT_ROOT,
    "scratch/cluster.py": NOT_ROOT,
    "fileset/place.py": "clears its private directory, and sets times, by descriptor",
    "wal/feed.py": NOT_ROOT,
    "wal/prefetch.py": "serves a restore, in a directory that the restore has made, private",
    "wal/spool.py": "entering the spool refuses root where others write (base.files.require_own)",
    "wal/stream.py": "entering the spool refuses root where others write (base.files.require_own)",
    "codec/sshsig.py": TEMPORARY,
    "dump/restore.py": TEMPORARY,
    "tables/waldump.py": TEMPORARY,
    "wal/scan.py": TEMPORARY,
    "cli/commands/drill.py": "the drill's own directory, on the controller",
    "drill/": "the drill's own directory, on the controller, and servers that it destroys as their owner",
    "cli/main.py": "opens /dev/null",
    "cli/terminal.py": "opens /dev/null",
    "gitcopy/push.py": "the clone is below a directory that only its owner writes (base.files.make_directory)",
    "provision/identities.py": "credentials on the controller, by O_EXCL and rename, where the operator says",
}


def calls(tree: ast.AST, reads: bool) -> Iterator[Tuple[int, str]]:
    """The line and the name of each call that is forbidden; ``reads``: open() to read too."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg for word in node.keywords}
        if given & DESCRIPTORS:
            continue
        name = forbidden(node, reads)
        if name:
            yield node.lineno, name


def forbidden(node: ast.Call, reads: bool) -> Optional[str]:
    called = node.func
    if isinstance(called, ast.Name) and called.id == "open":
        return "open" if reads or writes(node) else None
    if isinstance(called, ast.Attribute):
        where = called.value.id if isinstance(called.value, ast.Name) else ""
        if called.attr in FORBIDDEN.get(where, ()):
            return f"{where}.{called.attr}"
        if where == "tempfile" and any(word.arg == "dir" for word in node.keywords):
            return f"tempfile.{called.attr} in a directory of its own choice"
        if where not in FORBIDDEN and called.attr in PATHS:
            return f"Path.{called.attr}"
    return None


def writes(node: ast.Call) -> bool:
    """Whether a call of open() may write: its mode is not a constant, or has one of the letters."""
    mode = node.args[1] if len(node.args) > 1 else next((w.value for w in node.keywords if w.arg == "mode"), None)
    if mode is None:
        return False
    return not isinstance(mode, ast.Constant) or bool(set(str(mode.value)) & set("wax+"))


def main() -> int:
    """Report what is not allowed, and what is allowed for nothing."""
    used, wrong = set(), 0
    for path in sorted(ENGINE.rglob("*.py")):
        name = path.relative_to(ENGINE).as_posix()
        reason = next((key for key in ALLOWED if name == key or (key.endswith("/") and name.startswith(key))), None)
        found = list(calls(ast.parse(path.read_text(encoding="utf-8"), str(path)), name.startswith(READERS)))
        if reason and found:
            used.add(reason)
        for line, call in found if reason is None else ():
            wrong += 1
            where = f"{path.relative_to(ENGINE.parents[2])}:{line}"
            print(f"{where}: {call}: use base/files.py, or say in tools/check_files.py why not")
    for key in sorted(set(ALLOWED) - used):
        wrong += 1
        print(f"tools/check_files.py: {key} is allowed what it does not do")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
