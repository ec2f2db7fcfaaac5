# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the exporter and a host's text file tell, as a scrape reads it."""

from __future__ import annotations

import signal
import subprocess
import urllib.error
from pathlib import Path
from typing import Dict, Tuple

from prometheus_client.parser import text_string_to_metric_families

from .monitoring import read
from .postgres import Site
from .processes import until

Scrape = Dict[Tuple[str, Tuple[Tuple[str, str], ...]], float]


def scraped(text: str) -> Scrape:
    found: Scrape = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in found and sample.timestamp is None
            found[key] = sample.value
    return found


def value(scrape: Scrape, name: str, **labels: str) -> float:
    (found,) = [v for (n, own), v in scrape.items() if n == f"lifeboat_{name}" and labels.items() <= dict(own).items()]
    return found


class exporter:
    """The exporter of a directory of configurations, on a port that is free."""

    def __init__(self, site: Site, directory: Path, *more: str) -> None:
        words = ["exporter", "--config-dir", str(directory), "--listen", "127.0.0.1:0", *more]
        self._process = subprocess.Popen([site.command, *words], stderr=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        assert self._process.stderr
        line = next(line for line in self._process.stderr if "listening on" in line)
        url = f"http://{line.split()[-1]}"
        until(lambda: self._healthy(url), "the repositories to be read")
        return url

    def _healthy(self, url: str) -> bool:
        try:
            return read(f"{url}/healthz") == "ok\n"
        except urllib.error.HTTPError:
            return False

    def __exit__(self, *_exc: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(30) == 0
        assert self._process.stderr
        self._process.stderr.close()
