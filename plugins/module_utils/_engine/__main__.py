# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m lifeboat``."""

from __future__ import annotations

import sys
import traceback

try:
    from .cli import main
    from .memory import few_arenas
except Exception:
    # Status 1 would tell a recovery that the WAL has ended, only because this installation is broken.
    traceback.print_exc()
    raise SystemExit(254 if "wal-fetch" in sys.argv else 1) from None

if __name__ == "__main__":
    few_arenas()
    raise SystemExit(main())
