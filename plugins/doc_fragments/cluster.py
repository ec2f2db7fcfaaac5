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
      - It defines the server, its data directory and its repositories. C(archive_command) and C(restore_command) use
        the same file, so that modules and the server always work with the same settings.
    type: path
    default: /etc/lifeboat/main.yml
requirements:
  - psycopg2
  - PyYAML
  - zstandard
  - boto3, for a repository of type V(s3)
notes:
  - A failure returns RV(ignore:error_code), a stable identifier for programs, RV(ignore:hint), what to do about it, and
    RV(ignore:details).
"""
