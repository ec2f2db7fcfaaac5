# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The central exporter: metrics and a status page of every cluster, read from the repositories alone."""

from .alertmanager import Manager
from .fleet import Fleet
from .page import render
from .serve import Options, serve

__all__ = ["Fleet", "Manager", "Options", "render", "serve"]
