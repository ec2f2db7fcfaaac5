# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A replacement for get-pip.py that downloads nothing by itself.

``ansible-test`` downloads get-pip.py for every virtual environment that it creates. If only a package index is
reachable, that is the one step that fails. Placed in its cache, this file does the same: it installs pip from the
interpreter's ``ensurepip``, and with that the requested version of pip.
"""

from __future__ import annotations

import subprocess
import sys


def main() -> None:
    """Accept get-pip.py's arguments: requirements, and two options that pip itself does not know."""
    packages = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"])
    subprocess.check_call([sys.executable, "-m", "pip", "install", *packages])


if __name__ == "__main__":
    main()
