# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for get-pip.py that needs no download of its own.

``ansible-test`` fetches get-pip.py from its makers' server for every virtual environment that it makes; where only a
package index is reachable, that is the one step that fails. This file, laid into its cache, does the same work: pip
from the interpreter's own ``ensurepip``, and with it the pip version that was asked for.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    """Take get-pip.py's arguments: requirements, and two options that mean nothing to pip itself."""
    packages = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
    subprocess.check_call([sys.executable, "-m", "pip", "install", *packages])


if __name__ == "__main__":
    main()
