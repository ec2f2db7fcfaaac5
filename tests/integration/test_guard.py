# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``lifeboat leader guard``: a unit does not start the primary of a deposed site, whichever of the stores is down."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lifeboat.config.load import DirectoryOptions, S3Options
from lifeboat.leadership import claim
from lifeboat.leadership.decide import Request
from lifeboat.postgres.controldata import read_system_identifier
from lifeboat.repository.repository import Repositories
from support import faultproxy
from support.faultproxy import Fault, FaultProxy
from support.installations import Installation
from support.postgres import Site, Sites

pytestmark = pytest.mark.integration

STOP = 77


@pytest.fixture
def site(
    sites: Sites, newest_postgres: Installation, s3_options: S3Options, fault_proxy: FaultProxy, tmp_path: Path
) -> Site:
    """The old primary's host, at the site east, which leads; its own store is named first, and is S3."""
    (tmp_path / "far").mkdir()
    own = replace(s3_options, endpoint_url=fault_proxy.endpoint_url, read_timeout=3, max_attempts=6)
    far = DirectoryOptions(str(tmp_path / "far"))
    made = sites(newest_postgres, own, far, start=False, options={"site": "east"})
    with Repositories.open(made.config) as repositories:
        for repository in repositories.items:
            repository.adopt(read_system_identifier(made.data_dir))
    claim.apply(made.config, Request("east", "first", 1))
    return made


def depose(site: Site) -> None:
    """The other site claims to lead, and has given up the store of this one."""
    lost = [replace(site.config.repositories[0], required=False), site.config.repositories[1]]
    claim.apply(replace(site.config, site="west", repositories=tuple(lost)), Request("west", "failover", 1))


def guard(site: Site, status: int) -> bool:
    return bool(site.lifeboat("leader", "guard", "--seconds", "10", status=status).data["may_serve"])


def test_only_a_primary_whose_site_is_deposed_is_kept_down(site: Site) -> None:
    assert guard(site, 0)
    depose(site)
    assert not guard(site, STOP)
    signal = site.cluster.data_dir / "standby.signal"
    signal.touch()
    assert guard(site, 0)
    signal.unlink()
    assert not guard(site, STOP)
    site.write(site=None)
    assert guard(site, 0)


def test_a_store_that_is_silent_hides_no_claim(site: Site, fault_proxy: FaultProxy) -> None:
    depose(site)
    fault_proxy.inject(Fault(faultproxy.HANG, times=1000))
    assert not guard(site, STOP)


def test_an_outage_of_every_store_stops_nothing(site: Site, fault_proxy: FaultProxy, tmp_path: Path) -> None:
    depose(site)
    fault_proxy.inject(Fault(faultproxy.STATUS, times=1000))
    (tmp_path / "far").rename(tmp_path / "away")
    assert guard(site, 0)
