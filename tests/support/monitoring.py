# Copyright: (c) 2026, The Lifeboat authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alerting rules, the dashboard, and the programs of Prometheus that check them."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Set

import pytest
import yaml

from .processes import until

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "monitoring"
_METRIC = re.compile(r"\blifeboat_\w+")


@dataclass(frozen=True)
class Rule:
    """One alerting rule."""

    alert: str
    expr: str
    labels: Dict[str, str]
    annotations: Dict[str, str]


def rules() -> List[Rule]:
    """Every rule of every file."""
    return [
        Rule(rule["alert"], str(rule["expr"]), rule["labels"], rule["annotations"])
        for path in sorted((MONITORING / "rules").glob("*.yml"))
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def metrics_in(text: str) -> Set[str]:
    """The names of our metrics in a query."""
    return set(_METRIC.findall(text))


def dashboard() -> Dict[str, Any]:
    """The dashboard, parsed."""
    found: Dict[str, Any] = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))
    return found


def queries(panel: Dict[str, Any]) -> Iterator[str]:
    """The queries of a panel."""
    for target in panel.get("targets", []):
        yield target["expr"]


def program(name: str) -> str:
    """The path of promtool, amtool or prometheus; skips the test with a reason if it is unavailable."""
    found = subprocess.run([ROOT / "tools/prometheus", name], capture_output=True, text=True)
    if found.returncode:
        pytest.skip(found.stderr.strip())
    return found.stdout.strip()


def run(name: str, *words: object, given: str = "") -> str:
    """The output of the program, which must succeed."""
    done = subprocess.run([program(name), *map(str, words)], input=given, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def serving(argv: Sequence[object], url: str, log: Path) -> Iterator[str]:
    """Run a server until the end of the block, which starts when the URL responds; its output goes to ``log``."""
    with log.open("w") as output:
        process = subprocess.Popen([*map(str, argv)], stdout=output, stderr=subprocess.STDOUT)
        try:
            until(lambda: process.poll() is not None or answers(url), f"{url}", log.read_text)
            assert process.poll() is None, log.read_text()
            yield url
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    """Whether the URL returns 200."""
    try:
        read(url)
    except OSError:
        return False
    return True


def read(url: str) -> str:
    """The response of the URL."""
    with urllib.request.urlopen(url, timeout=30) as response:
        return str(response.read().decode())


def ask(url: str, query: str) -> List[Dict[str, Any]]:
    """The result of an instant query to Prometheus at this URL."""
    found = json.loads(read(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': query})}"))
    result: List[Dict[str, Any]] = found["data"]["result"]
    return result
