# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lifeboat.run``: the host command. (Galaxy imports no module that is called ``__main__``.)"""

from __future__ import annotations

import sys

try:
    from .cli.main import main
except Exception:
    # Status 1 would tell a recovery that the WAL has ended, only because this installation is broken.
    import traceback

    traceback.print_exc()
    raise SystemExit(254 if "wal-fetch" in sys.argv else 1) from None

if __name__ == "__main__":
    raise SystemExit(main())
