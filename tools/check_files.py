#!/usr/bin/env python3
# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find code of the engine that changes files by path: allowed only in base/, and where root is never involved or
nobody else can write.

Calls with a directory descriptor (dir_fd and the like) are not checked.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Dict, Iterator, Optional, Set, Tuple

ENGINE = Path(__file__).resolve().parent.parent / "plugins/module_utils/_engine"
#: Files in which root reads what others place, so that even open() for reading is forbidden.
READERS = ("audit/", "gitcopy/", "logs/", "store/", "wal/")
# Everything that creates, opens, changes or removes something by path.
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
TEMPORARY = "in a private directory that tempfile has just created"
#: Exceptions: a file or directory of the engine, and why it may.
ALLOWED: Dict[str, str] = {
    "base/": "the one place that decides",
    "failover/rewind.py": NOT_ROOT,
    "restore/": NOT_ROOT,
    "postgres/recovery.py": NOT_ROOT,
    "postgres/server.py": NOT_ROOT,
    "scratch/place.py": NOT_ROOT,
    "scratch/cluster.py": NOT_ROOT,
    "fileset/place.py": "clears its private directory, and sets times, by descriptor",
    "wal/feed.py": NOT_ROOT,
    "repository/silence.py": NOT_ROOT,
    "wal/prefetch.py": "serves a restore, in a private directory that the restore has created",
    "wal/spool.py": "the spool refuses root if others can write there (base.files.require_own)",
    "wal/stream.py": "the spool refuses root if others can write there (base.files.require_own)",
    "codec/sshsig.py": TEMPORARY,
    "dump/restore.py": TEMPORARY,
    "wal/scan.py": TEMPORARY,
    "cli/commands/drill.py": "the drill's own directory, on the controller",
    "drill/": "the drill's own directory, on the controller, and servers that it destroys as their owner",
    "cli/main.py": "opens /dev/null",
    "cli/terminal.py": "opens /dev/null",
    "gitcopy/push.py": "the clone is below a directory that only its owner writes (base.files.make_directory)",
    "provision/identities.py": "credentials on the controller, by O_EXCL and rename, in the operator's place",
}


def calls(tree: ast.AST, reads: bool) -> Iterator[Tuple[int, str]]:
    """The line and name of each forbidden call; ``reads``: open() for reading is forbidden as well."""
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
            return f"tempfile.{called.attr} without an explicit directory"
        if where not in FORBIDDEN and called.attr in PATHS:
            return f"Path.{called.attr}"
    return None


def writes(node: ast.Call) -> bool:
    """Whether a call of open() may write: its mode is not a constant, or a writing one."""
    mode = node.args[1] if len(node.args) > 1 else next((w.value for w in node.keywords if w.arg == "mode"), None)
    if mode is None:
        return False
    return not isinstance(mode, ast.Constant) or bool(set(str(mode.value)) & set("wax+"))


def main() -> int:
    """Report forbidden calls, and exceptions that are not needed."""
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
            print(f"{where}: {call}: use base/files.py, or add an exception with its reason to tools/check_files.py")
    for key in sorted(set(ALLOWED) - used):
        wrong += 1
        print(f"tools/check_files.py: remove the exception of {key}, which is not needed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
