# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""sweep_engines.py HOME KEEP…: remove the unused engines in HOME, except those at KEEP; prints each one removed.

A process that runs an engine holds a lock on its directory (main.py). A process of an earlier release, in HOME/python,
holds none: it is recognized by its command line.
"""

import fcntl
import os
import re
import shutil
import sys


def _is_locked(directory):
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_called(directory):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                words = stream.read().split(b"\0")
        except OSError:
            continue
        if os.fsencode(directory) in words:
            return True
    return False


def main():
    home, keep = sys.argv[1], {os.path.realpath(path) for path in sys.argv[2:] if path}
    engines = os.path.join(home, "engines")
    found = [os.path.join(engines, name) for name in sorted(os.listdir(engines)) if re.match(r"[0-9a-f]{32}\Z", name)]
    old = os.path.join(home, "python")
    found += [old] if os.path.isdir(old) and not os.path.islink(old) else []
    for directory in found:
        if directory not in keep and not _is_called(directory) and not _is_locked(directory):
            shutil.rmtree(directory)
            sys.stdout.write(f"{directory}\n")


main()
