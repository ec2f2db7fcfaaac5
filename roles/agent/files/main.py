# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What /usr/bin/lifeboat runs: the package beside this file, and nothing from the directory that it is called in."""

import runpy

runpy.run_module("lifeboat", run_name="__main__")
