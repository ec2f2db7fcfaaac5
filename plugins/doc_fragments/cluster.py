# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that name a cluster."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragment ``lifeboat.postgres.cluster``."""

    DOCUMENTATION = r"""
options:
  config_file:
    description:
      - The configuration of the cluster on the host where the module runs.
      - It names the server, its data directory and its repositories, and it is the file that C(archive_command) and
        C(restore_command) use, so that a module never works with other settings than the server does.
    type: path
    default: /etc/lifeboat/main.yml
requirements:
  - psycopg2
  - PyYAML
  - zstandard
  - boto3, for a repository of type V(s3)
notes:
  - A failure has RV(ignore:error_code), a stable word for programs, RV(ignore:hint), the way out, and
    RV(ignore:details).
"""
